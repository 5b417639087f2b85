/**
 * @file The metrics of go-libp2p's resource manager for prom-client, and how each
 * is read from a manager.
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/stats.go
 */

import { Gauge } from 'prom-client'
import { COUNT_BUCKETS, MEMORY_BUCKETS, numbersOf } from './observed.ts'
import { HistogramPair } from './prometheus-histograms.ts'
import type { Snapshots } from './observed.ts'
import type { RefusalKind, RefusedResource } from '../core/errors.ts'
import type { Direction, Resource } from '../core/types.ts'
import type { Registry } from 'prom-client'

/**
 * A manager that is exported
 */
export interface Source {
  /** What tells it apart from the others in the registry */
  labels: Labels
  now: Snapshots
}

export type Labels = Record<string, string>

type Sample = [labels: Labels, value: number]

const PREFIX = 'libp2p_rcmgr_'

const DIRECTIONS: Direction[] = ['inbound', 'outbound']

/** These two are in all of go-libp2p's metrics, the allowlisted ones in none */
const SCOPES = ['system', 'transient'] as const

interface GaugeOf {
  name: string
  help: string
  labelNames: string[]
  read(now: Snapshots): Sample[]
}

interface HistogramOf {
  name: string
  help: string
  buckets: readonly number[]
  /** Labels, and the values that are distributed now */
  read(now: Snapshots): Array<[Labels, number[]]>
}

const GAUGES: GaugeOf[] = [{
  name: 'connections',
  help: 'Number of Connections',
  labelNames: ['dir', 'scope'],
  read: ({ stat }) => SCOPES.flatMap(scope => DIRECTIONS.map((dir): Sample => [{ dir, scope }, stat[scope][`${dir}Connections`]]))
}, {
  name: 'streams',
  help: 'Number of Streams',
  labelNames: ['dir', 'scope', 'protocol'],
  read: ({ stat, protocols }) => DIRECTIONS.flatMap(dir => [
    ...SCOPES.map((scope): Sample => [{ dir, scope, protocol: '' }, stat[scope][`${dir}Streams`]]),
    ...[...protocols].map(([protocol, use]): Sample => [{ dir, scope: 'protocol', protocol }, use[`${dir}Streams`]])
  ])
}, {
  name: 'memory',
  help: 'Amount of memory reserved as reported to the Resource Manager',
  // go-libp2p has no service label, but its dashboard shows one
  labelNames: ['scope', 'protocol', 'service'],
  read: ({ stat, protocols, services }) => [
    ...SCOPES.map((scope): Sample => [{ scope, protocol: '' }, stat[scope].memory]),
    ...[...protocols].map(([protocol, use]): Sample => [{ scope: 'protocol', protocol }, use.memory]),
    ...[...services].map(([service, use]): Sample => [{ scope: 'service', protocol: '', service }, use.memory])
  ]
}, {
  name: 'fds',
  help: 'Number of file descriptors reserved as reported to the Resource Manager',
  labelNames: ['scope'],
  read: ({ stat }) => SCOPES.map(scope => [{ scope }, stat[scope].fileDescriptors])
}, {
  name: 'blocked_resources',
  help: 'Number of blocked resources',
  labelNames: ['dir', 'scope', 'resource'],
  read: blocked
}, {
  name: 'limit',
  help: 'Resource manager limits',
  labelNames: ['scope', 'resource'],
  read: ({ limits }) => SCOPES.flatMap(scope => Object.entries(numbersOf(limits[scope]))
    .map(([resource, value]): Sample => [{ scope, resource: LIMIT_NAMES[resource as Resource] }, value]))
}]

const HISTOGRAMS: HistogramOf[] = [{
  name: 'peer_connections',
  help: 'Number of connections this peer has',
  buckets: COUNT_BUCKETS,
  read: ({ stat }) => DIRECTIONS.map(dir => [{ dir }, [...stat.peers.values()].map(use => use[`${dir}Connections`])])
}, {
  name: 'peer_streams',
  help: 'Number of streams this peer has',
  buckets: COUNT_BUCKETS,
  read: ({ stat }) => DIRECTIONS.map(dir => [{ dir }, [...stat.peers.values()].map(use => use[`${dir}Streams`])])
}, {
  name: 'peer_memory',
  help: 'How many peers have reserved this bucket of memory, as reported to the Resource Manager',
  buckets: MEMORY_BUCKETS,
  read: ({ stat }) => [[{}, [...stat.peers.values()].map(use => use.memory)]]
}, {
  name: 'conn_memory',
  help: 'How many conns have reserved this bucket of memory, as reported to the Resource Manager',
  buckets: MEMORY_BUCKETS,
  read: ({ connectionMemory }) => [[{}, connectionMemory]]
}]

const LIMIT_NAMES: Record<Resource, string> = {
  memory: 'memory',
  fileDescriptors: 'fd',
  connections: 'conns',
  inboundConnections: 'conns_inbound',
  outboundConnections: 'conns_outbound',
  streams: 'streams',
  inboundStreams: 'streams_inbound',
  outboundStreams: 'streams_outbound'
}

/**
 * go-libp2p cuts the names of scopes off where they name somebody: what one peer
 * uses of a protocol is blocked in `protocol`
 */
const SCOPE_NAMES: Partial<Record<RefusalKind, string>> = {
  servicePeer: 'service',
  protocolPeer: 'protocol',
  connection: 'conn'
}

const BLOCKED_NAMES: Record<RefusedResource, string> = {
  memory: 'memory',
  fileDescriptors: 'fd',
  connections: 'connection',
  inboundConnections: 'connection',
  outboundConnections: 'connection',
  connectionsPerSecond: 'connection',
  streams: 'stream',
  inboundStreams: 'stream',
  outboundStreams: 'stream',
  inboundStreamsPerSecond: 'stream'
}

export const METRICS: string[] = [
  ...GAUGES.map(({ name }) => `${PREFIX}${name}`),
  ...HISTOGRAMS.flatMap(({ name }) => [`${PREFIX}${name}`, `${PREFIX}previous_${name}`])
]

/**
 * As in go-libp2p this is a gauge that only rises, and memory counts in bytes.
 * What the gates before the scopes refuse, which go-libp2p does not count, is here
 * under the names of the gates.
 */
function blocked ({ refusals }: Snapshots): Sample[] {
  return refusals.filter(({ enforced }) => enforced).flatMap(({ kind, resource, direction, count, attempted }) => {
    const scope = SCOPE_NAMES[kind] ?? kind
    // the whole process is full, whatever is asked for
    const value = kind === 'process' ? count : attempted
    const sample: Sample = [{ dir: direction ?? '', scope, resource: BLOCKED_NAMES[resource] }, value]

    // a connection that gets no descriptor is blocked, and so is the descriptor
    return resource === 'fileDescriptors'
      ? [[{ dir: direction ?? '', scope, resource: 'connection' }, value], [{ ...sample[0], dir: '' }, value]]
      : [sample]
  })
}

/**
 * The metrics in one registry, of all managers that are exported there
 */
export class MetricSet {
  readonly sources: Source[] = []
  readonly labelNames: string[]
  private readonly pairs: HistogramPair[]

  constructor (registry: Registry, labelNames: string[]) {
    this.labelNames = labelNames

    const { sources } = this
    const registers = [registry]

    for (const { name, help, labelNames: own, read } of GAUGES) {
      // eslint-disable-next-line no-new
      new Gauge({
        name: `${PREFIX}${name}`,
        help,
        labelNames: [...own, ...labelNames],
        registers,
        collect () {
          this.reset()

          for (const { labels, now } of sources) {
            for (const [ownLabels, value] of read(now)) {
              // several kinds of scopes may be one here
              this.inc({ ...ownLabels, ...labels }, value)
            }
          }
        }
      })
    }

    this.pairs = HISTOGRAMS.map(({ name, help, buckets, read }) => new HistogramPair({
      name: `${PREFIX}${name}`,
      previousName: `${PREFIX}previous_${name}`,
      help,
      buckets,
      labelNames: [...name === 'peer_connections' || name === 'peer_streams' ? ['dir'] : [], ...labelNames],
      registers,
      read: () => sources.flatMap(({ labels, now }) => read(now).map(([own, values]): [Labels, number[]] => [{ ...own, ...labels }, values]))
    }))
  }

  get isEmpty (): boolean {
    return this.sources.length === 0
  }

  isIn (registry: Registry): boolean {
    return this.pairs.every(pair => registry.getSingleMetric(pair.name) === pair.now)
  }

  add (source: Source): void {
    this.sources.push(source)
  }

  remove (source: Source): void {
    const i = this.sources.indexOf(source)

    if (i !== -1) {
      this.sources.splice(i, 1)
      this.pairs.forEach(pair => { pair.forget(source.labels) })
    }
  }

  takeOut (registry: Registry): void {
    METRICS.forEach(name => { registry.removeSingleMetric(name) })
  }
}
