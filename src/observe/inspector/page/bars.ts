/**
 * @file Use against a limit, of each kind of resource the one that is the fullest.
 */

import { h } from 'preact'
import { amount, FIELD_NAMES, limitNumber, limitText, percent } from './format.ts'
import { FIELDS } from './messages.ts'
import type { Field, LimitValue, Row } from './messages.ts'
import type { VNode } from 'preact'

/** From here on a limit is nearly used up */
const NEAR = 0.8

export interface Use {
  field: Field
  current: number
  limit: LimitValue
  fraction: number
}

export type Level = 'low' | 'near' | 'full'

const GROUPS: Record<string, Field[]> = {
  memory: ['memory'],
  streams: ['streams', 'inboundStreams', 'outboundStreams'],
  connections: ['connections', 'inboundConnections', 'outboundConnections'],
  descriptors: ['fileDescriptors']
}

/** What is counted in a scope */
const GROUPS_OF: Record<string, string[]> = {
  system: ['memory', 'streams', 'connections', 'descriptors'],
  transient: ['memory', 'streams', 'connections', 'descriptors'],
  allowlistedSystem: ['memory', 'streams', 'connections', 'descriptors'],
  allowlistedTransient: ['memory', 'streams', 'connections', 'descriptors'],
  peer: ['memory', 'streams', 'connections']
}

const OF_STREAMS = ['memory', 'streams']

export function useOf (row: Row, field: Field): Use {
  const i = FIELDS.indexOf(field)
  const current = row.use[i]
  const limit = row.limit[i]

  return { field, current, limit, fraction: current === 0 ? 0 : current / limitNumber(limit) }
}

/**
 * Of all directions the fullest, of those that are equal the sum
 */
export function groupUse (row: Row, group: string): Use {
  return GROUPS[group].map(field => useOf(row, field)).reduce((most, use) => use.fraction > most.fraction ? use : most)
}

export function usesOf (row: Row): Use[] {
  return (GROUPS_OF[row.kind] ?? OF_STREAMS).map(group => groupUse(row, group))
}

export function levelOf (fraction: number): Level {
  if (fraction >= 1) {
    return 'full'
  }

  return fraction >= NEAR ? 'near' : 'low'
}

/** Where there is little room */
const SHORT_NAMES: Partial<Record<Field, string>> = {
  connections: 'conns',
  inboundConnections: 'conns in',
  outboundConnections: 'conns out'
}

/** For those who do not see the colour */
export const MARKS: Record<Level, string> = { low: '', near: '▲ ', full: '■ ' }

export function useText ({ field, current, limit }: Use): string {
  return `${FIELD_NAMES[field]} ${amount(field, current)} of ${limitText(field, limit)}`
}

export function Bar ({ use }: { use: Use }): VNode<any> {
  const { field, current, limit, fraction } = use
  const level = levelOf(fraction)

  return h('span', { class: `bar ${level}`, title: `${useText(use)}, ${percent(fraction)}` },
    h('span', { class: 'bar-name' }, SHORT_NAMES[field] ?? FIELD_NAMES[field]),
    h('span', { class: 'track' }, h('span', { class: 'fill', style: { width: `${Math.min(100, 100 * fraction)}%` } })),
    h('span', { class: 'bar-value' }, `${MARKS[level]}${amount(field, current)}`, h('span', { class: 'of' }, limit === 'unlimited' ? ' / ∞' : ` / ${limitText(field, limit)}`)))
}
