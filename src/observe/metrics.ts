/**
 * @file Shows use, limits and refusals in the metrics of the node. All of it is
 * calculated when the metrics are read.
 */

import { COUNT_BUCKETS, MEMORY_BUCKETS, numbersOf, ROOTS, Snapshots, useOf } from './observed.ts'
import type { Observed, Root } from './observed.ts'
import type { RefusalCount } from './refusals.ts'
import type { ScopeStat } from '../core/types.ts'
import type { Metrics } from '@libp2p/interface'

type Values = Record<string, number>

const PREFIX = 'libp2p_resource_manager'

const NAMES: Record<Root, [name: string, who: string]> = {
  system: ['system', 'the whole node'],
  transient: ['transient', 'connections and streams that are being set up'],
  allowlistedSystem: ['allowlisted_system', 'allowlisted addresses when the system scope is full'],
  allowlistedTransient: ['allowlisted_transient', 'allowlisted connections and streams that are being set up']
}

/** What streams hold, and so services and protocols */
const STREAM_FIELDS = [
  ['inbound_streams', 'inboundStreams'],
  ['outbound_streams', 'outboundStreams'],
  ['memory_bytes', 'memory']
] as const

const PEER_FIELDS = [
  ...STREAM_FIELDS,
  ['inbound_connections', 'inboundConnections'],
  ['outbound_connections', 'outboundConnections'],
  ['file_descriptors', 'fileDescriptors']
] as const

export function registerMetrics (metrics: Metrics, observed: Observed): void {
  const now = new Snapshots(observed)

  const gauge = (name: string, label: string, help: string, calculate: () => Values): void => {
    metrics.registerMetricGroup(`${PREFIX}_${name}`, { label, help, calculate })
  }

  const counter = (name: string, help: string, read: () => RefusalCount[]): void => {
    metrics.registerCounterGroup(`${PREFIX}_${name}`, { label: 'limit', help, calculate: sinceLastTime(() => byLimit(read())) })
  }

  for (const root of ROOTS) {
    const [name, who] = NAMES[root]

    gauge(name, 'resource', `What is in use by ${who}`, () => useOf(now.stat[root]))
    gauge(`${name}_limit`, 'resource', `What may be used by ${who}`, () => numbersOf(now.limits[root]))
  }

  for (const [plural, label] of [['protocols', 'protocol'], ['services', 'service']] as const) {
    for (const [name, field] of STREAM_FIELDS) {
      gauge(`${label}_${name}`, label, `${inWords(name)} by ${label}`, withZeros(() => byName(now.stat[plural], field)))
    }
  }

  for (const [name, field] of PEER_FIELDS) {
    gauge(`peer_${name}`, 'le', `How many peers hold ${inWords(name)}, at most so many each`,
      () => distribution([...now.stat.peers.values()].map(stat => stat[field]), field === 'memory' ? MEMORY_BUCKETS : COUNT_BUCKETS))
  }

  gauge('connection_memory_bytes', 'le', 'How many connections hold memory, at most so many bytes each',
    () => distribution(now.connectionMemory, MEMORY_BUCKETS))

  counter('refusals_total', 'Reservations that were refused, by direction, kind of scope and limit',
    () => now.refusals.filter(({ enforced }) => enforced))
  counter('observed_refusals_total', 'Reservations that would have been refused, if limits were enforced',
    () => now.refusals.filter(({ enforced }) => !enforced))
}

/**
 * The metrics of js-libp2p have one label each. Two words in it are apart by a
 * space, as in its own `inbound /ipfs/id/1.0.0`.
 */
function byLimit (refusals: RefusalCount[]): Values {
  return Object.fromEntries(refusals.map(({ direction, kind, resource, count }) => [
    direction === undefined ? `${kind}.${resource}` : `${direction} ${kind}.${resource}`,
    count
  ]))
}

/**
 * Calculated counters of js-libp2p go up by what is calculated
 */
function sinceLastTime (read: () => Values): () => Values {
  let last: Values = {}

  return () => {
    const values = read()
    const increments = Object.entries(values)
      .map(([key, value]): [string, number] => [key, value - (last[key] ?? 0)])
      .filter(([, value]) => value > 0)
    last = values

    return Object.fromEntries(increments)
  }
}

/**
 * Calculated gauges of js-libp2p keep the values of labels that are not
 * calculated any more: these are zero once. Scopes go only when they are empty.
 */
function withZeros (read: () => Values): () => Values {
  let last: string[] = []

  return () => {
    const values = read()
    const gone = last.filter(name => !Object.hasOwn(values, name))
    last = Object.keys(values)

    return Object.fromEntries([...Object.entries(values), ...gone.map((name): [string, number] => [name, 0])])
  }
}

/**
 * How many hold at most as much as each bucket says, and in all, as in the
 * buckets of a histogram. Those that hold nothing do not count.
 */
function distribution (values: number[], buckets: readonly number[]): Values {
  const counts = new Array<number>(buckets.length + 1).fill(0)

  for (const value of values) {
    if (value > 0) {
      const i = buckets.findIndex(bucket => value <= bucket)
      counts[i === -1 ? buckets.length : i]++
    }
  }

  let sum = 0

  return Object.fromEntries(counts.map((count, i) => {
    sum += count

    return [i < buckets.length ? `${buckets[i]}` : '+Inf', sum]
  }))
}

function byName (stats: Map<string, ScopeStat>, field: keyof ScopeStat): Values {
  return Object.fromEntries([...stats].map(([name, stat]) => [name, stat[field]]))
}

function inWords (name: string): string {
  return name === 'memory_bytes' ? 'bytes of memory' : name.replace('_', ' ')
}
