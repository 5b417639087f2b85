/**
 * @file The styles of the page, as text in a module, which a compiler takes along.
 */

export const STYLE = `
:root {
  color-scheme: light dark;
  --back: light-dark(#f4f5f7, #0e1116);
  --panel: light-dark(#ffffff, #171b22);
  --raised: light-dark(#f8f9fb, #1e242d);
  --line: light-dark(#dde1e7, #2b323d);
  --text: light-dark(#1b2330, #e4e8ee);
  --muted: light-dark(#5d6878, #93a0b2);
  --track: light-dark(#e6e9ee, #2a313c);
  --low: light-dark(#2f6fdb, #5b9bff);
  --near: light-dark(#a86200, #f0b03f);
  --near-back: light-dark(#fff3dc, #3a2d12);
  --full: light-dark(#c2261c, #ff7b6e);
  --full-back: light-dark(#fde7e5, #431d1b);
  --ok: light-dark(#15784a, #4fc98b);
  --ok-back: light-dark(#e2f5ea, #13301f);
  --accent: #4a8cf0;
  --accent-faint: rgba(74, 140, 240, 0.18);
}

* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 13px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
h1, h2, p, ul { margin: 0; padding: 0; }
ul { list-style: none; }
h1 { font-size: 15px; font-weight: 650; }
h2 { font-size: 12px; font-weight: 600; }
small { font-size: 11px; font-weight: 400; color: var(--muted); }
code { font: 11.5px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
button, input, textarea { font: inherit; color: inherit; }
button { cursor: pointer; border: 1px solid var(--line); border-radius: 5px; background: var(--raised); padding: 2px 10px; }
button:hover:not(:disabled) { border-color: var(--low); }
button:disabled { cursor: default; opacity: 0.5; }
:focus-visible { outline: 2px solid var(--low); outline-offset: 1px; }
button.link { border: 0; background: none; padding: 0; color: var(--low); text-align: left; }
button.link:hover:not(:disabled) { text-decoration: underline; }
a { color: var(--low); }

.page { max-width: 1680px; margin: 0 auto; padding: 8px 14px 24px; display: flex; flex-direction: column; gap: 8px; }
header { display: flex; align-items: center; gap: 14px; color: var(--muted); min-height: 26px; white-space: nowrap; }
header h1 { color: var(--text); }
header .who { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow: hidden; text-overflow: ellipsis; }
.spacer { flex: 1; }
.connection.live { color: var(--ok); }
.connection.lost { color: var(--full); font-weight: 600; }
.connection.paused { color: var(--near); }

.verdict { display: flex; align-items: baseline; gap: 10px; padding: 6px 12px; border-radius: 6px; border-left: 4px solid; background: var(--panel); min-height: 33px; overflow: hidden; }
.verdict b { white-space: nowrap; font-size: 14px; }
.verdict .detail { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.verdict .link { margin-left: auto; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 30%; text-align: right; }
.verdict.wait { border-color: var(--line); }
.verdict.ok { border-color: var(--ok); background: var(--ok-back); }
.verdict.near { border-color: var(--near); background: var(--near-back); }
.verdict.refusing, .verdict.lost { border-color: var(--full); background: var(--full-back); }
.verdict.lost { display: block; }

.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 8px; }
.tile, .panel { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
.tile { padding: 8px 12px 4px; display: flex; flex-direction: column; }
.tile h2 { color: var(--muted); }
.figure { display: flex; align-items: baseline; gap: 5px; white-space: nowrap; }
.figure b { font-size: 21px; font-weight: 650; line-height: 1.25; }
.figure .of { overflow: hidden; text-overflow: ellipsis; }
.figure .badge { margin-left: auto; }
.of, .below { color: var(--muted); }
.below { font-size: 11.5px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; margin: 2px 0; }
.tile.full .figure b { color: var(--full); }
.spark { height: 52px; overflow: hidden; margin-top: auto; }

.track { display: block; height: 5px; border-radius: 3px; background: var(--track); overflow: hidden; }
.fill { display: block; height: 100%; border-radius: 3px; background: var(--low); }
.near > .track > .fill { background: var(--near); }
.full > .track > .fill { background: var(--full); }
.tile > .track { flex: none; margin: 1px 0 2px; }

.badge { display: inline-block; border-radius: 4px; padding: 0 5px; font-size: 11px; font-weight: 600; white-space: nowrap; background: var(--track); color: var(--muted); }
.badge.near { background: var(--near-back); color: var(--near); }
.badge.full { background: var(--full-back); color: var(--full); }
.tag { border: 1px solid var(--line); border-radius: 4px; padding: 0 5px; font-size: 11px; color: var(--muted); }
.tag.changed { color: var(--low); border-color: var(--low); }
.tag.wrong { color: var(--full); border-color: var(--full); }

.main { display: grid; grid-template-columns: minmax(0, 1fr) 372px; gap: 8px; }
.panel { padding: 8px 10px; min-width: 0; }
.panel > h2 { margin-bottom: 5px; }
.right { display: flex; flex-direction: column; gap: 8px; height: 0; min-height: 100%; }
.right .panel { display: flex; flex-direction: column; min-height: 0; }
.right ul { overflow-y: auto; min-height: 0; scrollbar-width: thin; }
.refusals { flex: 3; }
.near-list { flex: 2; }
.empty { color: var(--muted); }

.dag { position: relative; overflow: hidden; }
.dag-inner { position: absolute; left: 0; top: 0; transform-origin: 0 0; }
.dag svg { position: absolute; left: 0; top: 0; overflow: visible; }
.edge { fill: none; stroke: var(--line); stroke-width: 1.4; }
.edge.full { stroke: var(--full); stroke-opacity: 0.65; }
.node { position: absolute; border: 1px solid var(--line); border-radius: 6px; background: var(--raised); padding: 3px 7px; text-align: left; overflow: hidden; font-size: 10.5px; line-height: 14px; display: flex; flex-direction: column; }
.node-title { display: flex; gap: 5px; align-items: baseline; line-height: 18px; white-space: nowrap; }
.node-kind { color: var(--muted); flex: none; }
.node-kind:empty { display: none; }
.node-name { font-weight: 650; font-size: 11.5px; overflow: hidden; text-overflow: ellipsis; flex: 1; }
.node .badge { font-size: 10px; line-height: 14px; flex: none; }
.node.system .node-name { font-size: 13px; }
.node.system .bars { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 14px; }
.node.near { border-color: var(--near); }
.node.full { border-color: var(--full); }
.node.fullest { box-shadow: 0 0 0 2px var(--low); }
.node.fullest.near { box-shadow: 0 0 0 2px var(--near); }
.node.fullest.full { box-shadow: 0 0 0 2px var(--full); }
.node.idle { border-style: dashed; background: none; color: var(--muted); }
.node.idle .node-name { font-weight: 400; font-size: 10.5px; }
.node.more { border: 0; background: var(--panel); color: var(--muted); justify-content: center; font-size: 11px; }
.bar { display: grid; grid-template-columns: 60px minmax(14px, 1fr) auto; gap: 4px; align-items: center; white-space: nowrap; }
.servicePeer .bar, .protocolPeer .bar { grid-template-columns: 52px minmax(10px, 1fr) auto; }
.bar-name { color: var(--muted); overflow: hidden; text-overflow: ellipsis; }
.bar .track { height: 4px; }
.bar.near .bar-value { color: var(--near); }
.bar.full .bar-value { color: var(--full); }

.refusals li { padding: 5px 0 6px; border-top: 1px solid var(--line); }
.refusals li:first-child { border-top: 0; padding-top: 0; }
.refusal-head { display: flex; gap: 7px; align-items: baseline; color: var(--muted); font-size: 11.5px; }
.refusal-head .times { color: var(--text); font-size: 13px; }
.refusals .now .times { color: var(--full); }
.refusal-head button { margin-left: auto; }
.refusals .option code, .refusals .who { font-size: 11px; color: var(--muted); }
.refusals p { overflow-wrap: anywhere; }
.near-list .row { display: grid; grid-template-columns: 58px minmax(0, 1fr); gap: 0 8px; width: 100%; border: 0; background: none; padding: 2px 0; text-align: left; align-items: baseline; }
.near-list .row:hover .what { text-decoration: underline; }
.near-list .what { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.near-list .badge { text-align: center; padding: 0 2px; }
.near-list .of { font-size: 11.5px; grid-column: 2; line-height: 1.25; }

[role=tablist] { display: flex; gap: 2px; border-bottom: 1px solid var(--line); margin-bottom: 4px; flex-wrap: wrap; }
[role=tab] { border: 0; background: none; border-bottom: 2px solid transparent; border-radius: 0; padding: 4px 10px; }
[role=tab][aria-selected=true] { border-bottom-color: var(--low); font-weight: 600; }
.scroll { overflow: auto; max-height: 420px; scrollbar-width: thin; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--muted); font-size: 11.5px; padding-bottom: 3px; }
th, td { text-align: left; padding: 3px 8px; border-bottom: 1px solid var(--line); vertical-align: top; max-width: 420px; overflow-wrap: anywhere; }
thead th { position: sticky; top: 0; background: var(--panel); font-weight: 600; }
th button { border: 0; background: none; padding: 0; font-weight: 600; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }

.limits form { display: grid; grid-template-columns: minmax(0, 1fr) minmax(380px, 2fr); gap: 16px; align-items: start; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
.tree details { border-top: 1px solid var(--line); padding: 3px 0; }
.tree > details:first-child { border-top: 0; }
.tree details details { margin-left: 18px; }
.tree summary { display: list-item; cursor: pointer; }
.tree summary > * { margin-right: 8px; }
.words { color: var(--muted); font-size: 11.5px; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 6px 10px; padding: 5px 0 8px 18px; }
.fields.whole { display: block; }
.fields > .error { grid-column: 1 / -1; }
.field { display: flex; flex-direction: column; }
.field label, .whole label { color: var(--muted); font-size: 11px; }
input[type=text], textarea { border: 1px solid var(--line); border-radius: 4px; background: var(--back); padding: 3px 6px; width: 100%; }
textarea { font: 11.5px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.field.changed input { border-color: var(--low); }
.field.wrong input, textarea[aria-invalid=true] { border-color: var(--full); }
.was { color: var(--muted); font-size: 11px; }
.error { color: var(--full); overflow-wrap: anywhere; }
.field .error { font-size: 11px; }
.warning { color: var(--near); font-size: 11.5px; }
.note { color: var(--ok); }
.filter { display: flex; gap: 6px; padding: 3px 0 5px 18px; }
.side { position: sticky; top: 8px; display: flex; flex-direction: column; gap: 8px; background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 10px; }
.changes { max-height: 60vh; overflow: auto; }
.actions { display: flex; gap: 8px; }
.actions button { padding: 4px 14px; }
button.primary, button.apply { background: #2563c9; border-color: #2563c9; color: #ffffff; font-weight: 600; }
button.apply { background: #b3271d; border-color: #b3271d; }

@media (max-width: 1000px) {
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .main, .limits form { grid-template-columns: minmax(0, 1fr); }
  .right { height: auto; min-height: 0; }
  .right ul { max-height: 300px; }
  .dag { overflow-x: auto; }
}

@media (prefers-reduced-motion: no-preference) {
  .fill { transition: width 0.3s linear; }
}
`
