/**
 * @file Tables of who holds the most and of what is open the longest.
 */

import { h } from 'preact'
import { useState } from 'preact/hooks'
import { groupUse, levelOf, MARKS, useOf } from './bars.ts'
import { amount, bytes, count, duration, limitNumber, limitText, percent, shortPeer } from './format.ts'
import type { Field, OpenRow, RefusalTotal, Row, Snapshot } from './messages.ts'
import type { ComponentChildren, VNode } from 'preact'

/** Of each table */
const SHOWN = 50

const ARROWS = { none: '', ascending: ' ↑', descending: ' ↓' }

interface Column<T> {
  name: string
  /** What it is sorted by, the most first; names the other way round */
  value(row: T): number | string
  cell?(row: T): ComponentChildren
  isText?: boolean
}

interface Tab<T = any> {
  id: string
  name: string
  rows: T[]
  total: number
  columns: Array<Column<T>>
  key(row: T): string
  /** Which column it is sorted by at first */
  sortedBy: number
}

const NUMBERS: Array<Column<Row>> = [
  { name: 'Fullest limit', value: row => row.fullness, cell: row => h('span', { class: `badge ${levelOf(row.fullness)}` }, `${MARKS[levelOf(row.fullness)]}${percent(row.fullness)}`) },
  held('Memory', 'memory'),
  allowed('Memory limit', 'memory'),
  held('Streams', 'streams'),
  held('in', 'inboundStreams'),
  held('out', 'outboundStreams'),
  allowed('Stream limit', 'streams')
]

const CONNECTIONS = held('Connections', 'connections')

const OPEN: Array<Column<OpenRow>> = [
  { name: 'Scope', value: row => row.scope, isText: true },
  { name: 'Open for', value: row => row.age, cell: row => duration(row.age) },
  { name: 'Memory', value: row => row.memory, cell: row => bytes(row.memory) },
  { name: 'Direction', value: row => row.direction, isText: true },
  { name: 'Peer', value: row => row.peer ?? '', cell: row => row.peer === undefined ? 'not known yet' : h('span', { title: row.peer }, shortPeer(row.peer)), isText: true }
]

const ENDPOINT: Column<OpenRow> = { name: 'Address', value: row => row.endpoint ?? '', isText: true }
const PROTOCOL: Column<OpenRow> = { name: 'Protocol', value: row => row.protocol ?? '', cell: row => row.protocol === '' ? 'not negotiated yet' : row.protocol, isText: true }
const SERVICE: Column<OpenRow> = { name: 'Service', value: row => row.service ?? '', isText: true }

const REFUSED: Array<Column<RefusalTotal>> = [
  { name: 'Kind of scope', value: row => row.kind, isText: true },
  { name: 'Limit', value: row => row.resource, isText: true },
  { name: 'Direction', value: row => row.direction ?? '', isText: true },
  { name: 'Refusals', value: row => row.count, cell: row => count(row.count) },
  { name: '', value: row => row.enforced ? '' : 'only observed', isText: true }
]

function held (name: string, field: Field): Column<Row> {
  return { name, value: row => useOf(row, field).current, cell: row => amount(field, useOf(row, field).current) }
}

/**
 * Of all directions the limit that is the fullest
 */
function allowed (name: string, group: 'memory' | 'streams'): Column<Row> {
  return { name, value: row => limitNumber(groupUse(row, group).limit), cell: row => limitText(group, groupUse(row, group).limit) }
}

function tabsOf (snapshot: Snapshot, onChoose: (option: string) => void): Tab[] {
  const name = (title: string): Column<Row> => ({
    name: title,
    value: row => row.name,
    cell: row => h('button', { type: 'button', class: 'link', title: `Change the limits of ${row.name}`, onClick: () => { onChoose(row.option) } }, row.name),
    isText: true
  })
  const rowKey = (row: Row): string => row.name
  const openKey = (row: OpenRow): string => row.scope

  return [
    { id: 'peers', name: 'Peers', ...snapshot.peers, columns: [name('Peer'), ...NUMBERS, CONNECTIONS], key: rowKey, sortedBy: 2 },
    { id: 'protocols', name: 'Protocols', ...snapshot.protocols, columns: [name('Protocol'), ...NUMBERS], key: rowKey, sortedBy: 2 },
    { id: 'services', name: 'Services', ...snapshot.services, columns: [name('Service'), ...NUMBERS], key: rowKey, sortedBy: 2 },
    { id: 'connections', name: 'Oldest connections', ...snapshot.connections, columns: [...OPEN, ENDPOINT], key: openKey, sortedBy: 1 },
    { id: 'streams', name: 'Oldest streams', ...snapshot.streams, columns: [...OPEN, PROTOCOL, SERVICE], key: openKey, sortedBy: 1 },
    {
      id: 'refusals',
      name: 'Refusals by limit',
      rows: snapshot.refusals,
      total: snapshot.refusals.length,
      columns: REFUSED,
      key: ({ kind, resource, direction, enforced }: RefusalTotal) => `${kind} ${resource} ${direction} ${enforced}`,
      sortedBy: 3
    }
  ]
}

export interface TablesProps {
  snapshot: Snapshot
  onChoose(option: string): void
}

export function Tables ({ snapshot, onChoose }: TablesProps): VNode<any> {
  const tabs = tabsOf(snapshot, onChoose)
  const [chosen, choose] = useState('peers')
  const current = tabs.find(({ id }) => id === chosen) ?? tabs[0]

  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]

    if (step !== undefined) {
      const { id } = tabs[(tabs.indexOf(current) + step + tabs.length) % tabs.length]
      choose(id)
      document.getElementById(`tab-${id}`)?.focus()
    }
  }

  return h('section', { class: 'panel tables', 'aria-label': 'Who holds what' },
    h('div', { role: 'tablist', onKeyDown }, tabs.map(({ id, name, total }) => h('button', {
      key: id,
      id: `tab-${id}`,
      type: 'button',
      role: 'tab',
      'aria-selected': id === current.id,
      'aria-controls': 'tab-panel',
      tabIndex: id === current.id ? 0 : -1,
      onClick: () => { choose(id) }
    }, name, h('small', null, ` ${count(total)}`)))),
    h('div', { id: 'tab-panel', role: 'tabpanel', 'aria-labelledby': `tab-${current.id}` }, h(SortedTable, { key: current.id, tab: current })))
}

function compare (a: number | string, b: number | string): number {
  return Number(a > b) - Number(a < b)
}

function SortedTable ({ tab: { name, rows, total, columns, key, sortedBy } }: { tab: Tab }): VNode<any> {
  const [sort, setSort] = useState({ column: sortedBy, isReversed: false })
  const { value, isText = false } = columns[sort.column]
  const sign = isText === sort.isReversed ? -1 : 1
  const sorted = rows
    .map(row => ({ row, by: value(row) }))
    .sort((a, b) => sign * compare(a.by, b.by))
    .slice(0, SHOWN)
    .map(({ row }) => row)

  const directionOf = (i: number): 'none' | 'ascending' | 'descending' => {
    if (i !== sort.column) {
      return 'none'
    }

    return isText === sort.isReversed ? 'descending' : 'ascending'
  }

  if (sorted.length === 0) {
    return h('p', { class: 'empty' }, 'There are none.')
  }

  return h('div', { class: 'scroll' }, h('table', null,
    h('caption', null, sorted.length < total ? `${name}: ${count(sorted.length)} of ${count(total)}` : `${name}: all ${count(total)}`),
    h('thead', null, h('tr', null, columns.map((column, i) => h('th', {
      key: column.name,
      scope: 'col',
      class: column.isText === true ? '' : 'number',
      'aria-sort': directionOf(i)
    }, h('button', { type: 'button', onClick: () => { setSort({ column: i, isReversed: i === sort.column && !sort.isReversed }) } },
      column.name,
      h('span', { 'aria-hidden': 'true' }, ARROWS[directionOf(i)])))))),
    h('tbody', null, sorted.map(row => h('tr', { key: key(row) }, columns.map(column => h('td', { key: column.name, class: column.isText === true ? '' : 'number' },
      column.cell === undefined ? column.value(row) : column.cell(row))))))))
}
