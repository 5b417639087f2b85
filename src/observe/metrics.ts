/**
 * @file Shows use, limits, refusals and failures in the metrics of the node. All of it is
 * calculated when the metrics are read.
 */

import { COUNT_BUCKETS, MEMORY_BUCKETS, numbersOf, ROOTS, Snapshots, useOf } from './observed.ts'
import type { FailureCount } from './failures.ts'
import type { NearLimit } from './near-limits.ts'
import type { Observed, Root } from './observed.ts'
import type { RefusalCount } from './refusals.ts'
import type { ScopeStat } from '../core/types.ts'
import type { CounterGroup, Metrics } from '@libp2p/interface'

export interface ObservedNode extends Observed {
  nearLimits(): NearLimit[]
  failures(): FailureCount[]
}

type Values = Record<string, number>

class NodeSnapshots extends Snapshots<ObservedNode> {
  get failures (): FailureCount[] {
    return this.once('failures', () => this.observed.failures())
  }
}

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

export function registerMetrics (metrics: Metrics, observed: ObservedNode): void {
  const now = new NodeSnapshots(observed)
  let count = (): void => {}

  const gauge = (name: string, label: string, help: string, read: () => Values): void => {
    metrics.registerMetricGroup(`${PREFIX}_${name}`, {
      label,
      help,
      calculate: () => {
        count()

        return read()
      }
    })
  }

  const counter = (name: string, label: string, help: string): CounterGroup => metrics.registerCounterGroup(`${PREFIX}_${name}`, { label, help })

  for (const root of ROOTS) {
    const [name, who] = NAMES[root]

    gauge(name, 'resource', `What is in use by ${who}`, () => useOf(now.stat[root]))
    gauge(`${name}_limit`, 'resource', `What may be used by ${who}`, () => numbersOf(now.limits[root]))
  }

  for (const [plural, label] of [['protocols', 'protocol'], ['services', 'service']] as const) {
    const seen = new Set<string>()

    for (const [name, field] of STREAM_FIELDS) {
      gauge(`${label}_${name}`, label, `${inWords(name)} by ${label}`, () => withZeros(fieldOf(now[plural], field), seen))
    }
  }

  for (const [name, field] of PEER_FIELDS) {
    gauge(`peer_${name}`, 'le', `How many peers hold ${inWords(name)}, at most so many each`,
      () => distribution([...now.stat.peers.values()].map(stat => stat[field]), field === 'memory' ? MEMORY_BUCKETS : COUNT_BUCKETS))
  }

  gauge('connection_memory_bytes', 'le', 'How many connections hold memory, at most so many bytes each',
    () => distribution(now.connectionMemory, MEMORY_BUCKETS))

  const near = new Set<string>()
  gauge('near_limit', 'limit', 'How many scopes use at least 80 % of a limit, by kind of scope and limit',
    () => withZeros(byKind(observed.nearLimits()), near))

  // read after the gauges, in the order in which all are registered
  const refused = counter('refusals_total', 'limit', 'Reservations that were refused, by direction, kind of scope and limit')
  const observedOnly = counter('observed_refusals_total', 'limit', 'Reservations that would have been refused, if limits were enforced')

  const failed = counter('failures_total', 'reason', 'Connections and streams that ended with an error, by direction, kind, how far they had come and error')

  const countRefusals = sinceLastTime(() => now.refusals, limitName, (refusal, increment) => {
    (refusal.enforced ? refused : observedOnly).increment(increment)
  })
  const countFailures = sinceLastTime(() => now.failures, failureName, (_, increment) => { failed.increment(increment) })

  count = () => {
    countRefusals()
    countFailures()
  }
}

/**
 * The metrics of js-libp2p have one label each. Two words in it are apart by a
 * space, as in its own `inbound /ipfs/id/1.0.0`.
 */
function limitName ({ direction, kind, resource }: RefusalCount): string {
  return direction === undefined ? `${kind}.${resource}` : `${direction} ${kind}.${resource}`
}

function failureName ({ direction, kind, stage, reason }: FailureCount): string {
  return `${direction} ${kind} ${stage} ${reason}`
}

/**
 * Counters go up when a gauge is read, and are not calculated themselves: what is
 * calculated is added to them in Prometheus and OpenTelemetry, but is all that they
 * show in simple-metrics. Increments mean the same everywhere.
 */
function sinceLastTime <T extends { count: number }> (read: () => T[], nameOf: (entry: T) => string, add: (entry: T, increment: Values) => void): () => void {
  const counted = new Map<string, number>()

  return () => {
    for (const entry of read()) {
      const name = nameOf(entry)
      const increment = entry.count - (counted.get(name) ?? 0)

      if (increment > 0) {
        counted.set(name, entry.count)
        add(entry, { [name]: increment })
      }
    }
  }
}

/**
 * Calculated gauges keep the values of labels that are not calculated any more, so
 * what there was once is zero when it is gone
 */
function withZeros (values: Map<string, number>, seen: Set<string>): Values {
  for (const name of values.keys()) {
    seen.add(name)
  }

  return Object.fromEntries([...seen].map(name => [name, values.get(name) ?? 0]))
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

function fieldOf (stats: Map<string, ScopeStat>, field: keyof ScopeStat): Map<string, number> {
  return new Map([...stats].map(([label, stat]) => [label, stat[field]]))
}

function byKind (near: NearLimit[]): Map<string, number> {
  const counts = new Map<string, number>()

  for (const { kind, resource } of near) {
    const name = `${kind}.${resource}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }

  return counts
}

function inWords (name: string): string {
  return name === 'memory_bytes' ? 'bytes of memory' : name.replace('_', ' ')
}
