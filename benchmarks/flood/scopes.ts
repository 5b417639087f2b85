/**
 * @file Reads the scopes of a resource manager: the rows of the table, and
 * whether any scope holds more than its limit.
 */

import { SINK } from './plan.ts'
import type { ConcreteLimit, ConcreteLimits, DefaultResourceManager, RefusalKind, RefusedResource, Resource, ResourceLimitExceededError, ScopeKind, ScopeStat, ScopeStats } from '../../src/index.ts'

/**
 * One resource of one scope; of scopes that there is one of for each peer, the
 * fullest
 */
export interface ScopeRow {
  scope: string
  resource: Resource
  used: number
  /** The most there was */
  most: number
  limit?: number
  refused: number
}

interface Shown {
  kind: ScopeKind
  name: string
  resources: Resource[]
  limit(limits: ConcreteLimits): ConcreteLimit
  stats(stats: ScopeStats): Iterable<ScopeStat>
}

const SHOWN: Shown[] = [{
  kind: 'system',
  name: 'system',
  resources: ['inboundConnections', 'inboundStreams', 'memory'],
  limit: limits => limits.system,
  stats: stats => [stats.system]
}, {
  kind: 'transient',
  name: 'transient',
  resources: ['inboundConnections', 'inboundStreams'],
  limit: limits => limits.transient,
  stats: stats => [stats.transient]
}, {
  kind: 'peer',
  name: 'one peer',
  resources: ['inboundConnections', 'inboundStreams', 'memory'],
  limit: limits => limits.peerDefault,
  stats: stats => stats.peers.values()
}, {
  kind: 'protocol',
  name: SINK,
  resources: ['inboundStreams', 'memory'],
  limit: limits => limits.protocols[SINK],
  stats: stats => [stats.protocols.get(SINK)].filter(stat => stat != null)
}, {
  kind: 'protocolPeer',
  name: `one peer's ${SINK}`,
  resources: ['inboundStreams', 'memory'],
  limit: limits => limits.protocolPeers[SINK],
  stats: stats => stats.protocolPeers.get(SINK)?.values() ?? []
}]

export class ScopeWatch {
  /** What was found above its limit, each scope and resource once */
  readonly excesses = new Set<string>()

  private readonly manager: DefaultResourceManager
  private readonly most = new Map<string, number>()
  private readonly refused = new Map<string, number>()
  private latest: ScopeStats

  constructor (manager: DefaultResourceManager) {
    this.manager = manager
    this.latest = manager.stat()

    manager.addEventListener('blocked', ({ detail }: CustomEvent<ResourceLimitExceededError>) => {
      const key = keyOf(detail.kind, detail.resource)
      this.refused.set(key, (this.refused.get(key) ?? 0) + 1)
    })
  }

  sample (): void {
    this.latest = this.manager.stat()

    for (const { kind, resources, stats } of SHOWN) {
      for (const resource of resources) {
        const key = keyOf(kind, resource)
        this.most.set(key, Math.max(this.most.get(key) ?? 0, fullest(stats(this.latest), resource)))
      }
    }

    for (const excess of findExcesses(this.latest, this.manager.limits())) {
      this.excesses.add(excess)
    }
  }

  rows (): ScopeRow[] {
    const refused = new Map(this.refused)
    const rows: ScopeRow[] = []

    for (const { kind, name, resources, limit, stats } of SHOWN) {
      for (const resource of resources) {
        const key = keyOf(kind, resource)

        rows.push({
          scope: name,
          resource,
          used: fullest(stats(this.latest), resource),
          most: this.most.get(key) ?? 0,
          limit: Number(limit(this.manager.limits())[resource]),
          refused: refused.get(key) ?? 0
        })
        refused.delete(key)
      }
    }

    // what is not in the table unless it refuses
    for (const [key, count] of refused) {
      const [kind, resource] = key.split('.')
      rows.push({ scope: kind, resource: resource as Resource, used: 0, most: 0, refused: count })
    }

    return rows
  }
}

/**
 * Every scope and resource that holds more than its limit
 */
export function findExcesses (stats: ScopeStats, limits: ConcreteLimits): string[] {
  const { services, servicePeers, protocols, protocolPeers, peers, ...roots } = stats
  const excesses: string[] = []

  const compare = (scope: string, stat: ScopeStat, limit: ConcreteLimit): void => {
    for (const resource of Object.keys(limit) as Resource[]) {
      const use = used(stat, resource)

      if (use > limit[resource]) {
        excesses.push(`${scope} held ${use} ${resource}, its limit is ${limit[resource]}`)
      }
    }
  }

  for (const [name, stat] of Object.entries(roots)) {
    compare(name, stat, limits[name as keyof typeof roots])
  }

  for (const [name, stat] of services) {
    compare(`service ${name}`, stat, limits.services[name] ?? limits.serviceDefault)
  }

  for (const [name, stat] of protocols) {
    compare(`protocol ${name}`, stat, limits.protocols[name] ?? limits.protocolDefault)
  }

  for (const [peer, stat] of peers) {
    compare(`peer ${peer}`, stat, limits.peers[peer] ?? limits.peerDefault)
  }

  for (const [name, byPeer] of servicePeers) {
    for (const [peer, stat] of byPeer) {
      compare(`service ${name} of peer ${peer}`, stat, limits.servicePeers[name] ?? limits.servicePeerDefault)
    }
  }

  for (const [name, byPeer] of protocolPeers) {
    for (const [peer, stat] of byPeer) {
      compare(`protocol ${name} of peer ${peer}`, stat, limits.protocolPeers[name] ?? limits.protocolPeerDefault)
    }
  }

  return excesses
}

function used (stat: ScopeStat, resource: Resource): number {
  switch (resource) {
    case 'streams':
      return stat.inboundStreams + stat.outboundStreams
    case 'connections':
      return stat.inboundConnections + stat.outboundConnections
    default:
      return stat[resource]
  }
}

function fullest (stats: Iterable<ScopeStat>, resource: Resource): number {
  let most = 0

  for (const stat of stats) {
    most = Math.max(most, used(stat, resource))
  }

  return most
}

function keyOf (kind: RefusalKind, resource: RefusedResource): string {
  return `${kind}.${resource}`
}
