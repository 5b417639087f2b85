/**
 * @file What a change of limits would do, and what was wrong with it.
 */

import { h } from 'preact'
import { amount, count, limitText } from './format.ts'
import { shortenPeers } from './verdict.ts'
import type { Edits } from './edits.ts'
import type { Change, ErrorAnswer, LimitValue } from './messages.ts'
import type { VNode } from 'preact'

export interface ChangesProps {
  edits: Edits
  preview?: Change[]
  error?: ErrorAnswer
  note: string
}

export function Changes ({ edits, preview, error, note }: ChangesProps): VNode<any> {
  return h('div', { class: 'changes', 'aria-live': 'polite' },
    error === undefined ? null : h('p', { class: 'error', role: 'alert' }, error.message),
    note === '' ? null : h('p', { class: 'note' }, note),
    preview === undefined
      ? h('p', { class: 'empty' }, edits.size === 0 ? 'Open a scope and type another value. Nothing happens before you have seen what it would do.' : `${count(edits.size)} changed, not previewed yet.`)
      : h(Previewed, { changes: preview }))
}

function Previewed ({ changes }: { changes: Change[] }): VNode<any> {
  if (changes.length === 0) {
    return h('p', { class: 'empty' }, 'That changes nothing.')
  }

  return h('table', null,
    h('caption', null, 'What it would do'),
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Limit'), h('th', { scope: 'col', class: 'number' }, 'From → to'), h('th', { scope: 'col', class: 'number' }, 'In use'))),
    h('tbody', null, changes.map(change => h(ChangeRow, { key: change.option, change }))))
}

function ChangeRow ({ change: { option, from, to, inUse, exceeded } }: { change: Change }): VNode<any> {
  const field = option.slice(option.lastIndexOf('.') + 1)
  const text = (value: unknown): string => typeof value === 'object' ? 'other rules' : limitText(field, value as LimitValue)

  return h('tr', { class: exceeded ? 'exceeded' : '' },
    h('td', null,
      h('code', null, shortenPeers(option)),
      exceeded ? h('p', { class: 'warning' }, '▲ More than that is in use. It stays, and nothing is added until there is less.') : null),
    h('td', { class: 'number' }, typeof from === 'object' ? 'rules are replaced' : `${text(from)} → ${text(to)}`),
    h('td', { class: 'number' }, inUse === undefined ? '–' : amount(field, inUse)))
}
