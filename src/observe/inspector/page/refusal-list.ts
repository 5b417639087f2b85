/**
 * @file What was refused: by which limit, how often, and what to change.
 */

import { h } from 'preact'
import { amount, bytes, clock, count } from './format.ts'
import { shortenPeers } from './verdict.ts'
import type { Refusal } from './messages.ts'
import type { VNode } from 'preact'

/** More than anybody reads */
const SHOWN = 60

export interface RefusalListProps {
  refusals: Refusal[]
  recent: Map<string, number>
  onChoose(option: string): void
}

export function RefusalList ({ refusals, recent, onChoose }: RefusalListProps): VNode<any> {
  return h('section', { class: 'panel refusals', 'aria-labelledby': 'refusals-title' },
    h('h2', { id: 'refusals-title' }, 'Refused since this page looks', refusals.length > SHOWN ? h('small', null, ` the last ${SHOWN} of ${count(refusals.length)} kinds`) : null),
    refusals.length === 0
      ? h('p', { class: 'empty' }, 'Nothing was refused.')
      : h('ul', { tabIndex: 0, 'aria-label': 'Refusals, the latest first' }, refusals.slice(0, SHOWN).map(refusal => h(RefusalItem, { key: refusal.key, refusal, now: recent.get(refusal.key) ?? 0, onChoose }))))
}

function RefusalItem ({ refusal, now, onChoose }: { refusal: Refusal, now: number, onChoose(option: string): void }): VNode<any> {
  const { message, option, at, enforced, direction, peer, endpoint, resource } = refusal
  const who = [peer, endpoint].filter(who => who !== undefined).join(' at ')

  return h('li', { class: now > 0 ? 'now' : '' },
    h('div', { class: 'refusal-head' },
      h('b', { class: 'times' }, `${count(refusal.count)}×`),
      h('time', null, clock(at)),
      direction === undefined ? null : h('span', { class: 'tag' }, direction),
      enforced ? null : h('span', { class: 'tag' }, 'only observed'),
      h('button', { type: 'button', class: 'link', disabled: !option.startsWith('limits.'), onClick: () => { onChoose(option) } }, 'Change this limit')),
    h('p', { title: message }, sentenceOf(message, resource)),
    h('p', { class: 'option' }, h('code', null, shortenPeers(option))),
    who === '' ? null : h('p', { class: 'who', title: who }, `last ${shortenPeers(who)}`))
}

/**
 * The message without what all of them have, and without what is beside it, with
 * numbers for people
 */
function sentenceOf (message: string, resource: string): string {
  const sentence = message
    .replace(/^Local (resource|rate) limit exceeded: /, '')
    .replace(/; raise .* if this is legitimate$/, '')
    .replace(/\b\d+(?= bytes of memory\b)/, digits => bytes(Number(digits)))
    .replace(' bytes of memory', ' of memory')
    .replace(/\b\d+(?= (in use|more asked for|are resident)\b)/g, digits => amount(resource, Number(digits)))

  return shortenPeers(sentence)
}
