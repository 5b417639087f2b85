/**
 * @file The limits that are nearly used up.
 */

import { h } from 'preact'
import { levelOf, MARKS } from './bars.ts'
import { amount, count, FIELD_NAMES, limitText, percent } from './format.ts'
import { shortenPeers } from './verdict.ts'
import type { Snapshot } from './messages.ts'
import type { VNode } from 'preact'

const SHOWN = 20

export interface NearListProps {
  near: Snapshot['near']
  onChoose(option: string): void
}

export function NearList ({ near: { rows, total }, onChoose }: NearListProps): VNode<any> {
  return h('section', { class: 'panel near-list', 'aria-labelledby': 'near-title' },
    h('h2', { id: 'near-title' }, 'Nearly used up', total === 0 ? null : h('small', null, ` ${count(total)} of 80 % or more`)),
    rows.length === 0
      ? h('p', { class: 'empty' }, 'No limit is used to 80 % or more.')
      : h('ul', { tabIndex: 0, 'aria-label': 'Limits that are nearly used up, the fullest first' }, rows.slice(0, SHOWN).map(({ scope, resource, current, limit, fraction, option }) => h('li', { key: `${scope} ${resource}` },
        h('button', { type: 'button', class: 'row', title: `Change ${option}`, onClick: () => { onChoose(option) } },
          h('span', { class: `badge ${levelOf(fraction)}` }, `${MARKS[levelOf(fraction)]}${percent(fraction)}`),
          h('span', { class: 'what' }, shortenPeers(scope)),
          h('span', { class: 'of' }, `${amount(resource, current)} of ${limitText(resource, limit)} ${resource === 'memory' ? 'memory' : FIELD_NAMES[resource]}`))))))
}
