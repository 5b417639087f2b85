/**
 * @file What metrics are read from, and how it is read once for all of them.
 */

import { RESOURCES } from '../core/limit.ts'
import type { RefusalCount } from './refusals.ts'
import type { ScopeStats } from '../core/scope-registry.ts'
import type { ConcreteLimit, ConnectionScope, Resource, ScopeStat } from '../core/types.ts'

/** The scopes that there is one of */
export const ROOTS = ['system', 'transient', 'allowlistedSystem', 'allowlistedTransient'] as const

export type Root = typeof ROOTS[number]

/**
 * How many protocols have a label of their own, and how many services. Only what
 * the node itself handles or dials has a scope, but who reads metrics keeps every
 * label that was ever seen, and names may be made up without end.
 */
const MOST_NAMES = 1_000

/** The label of all others together */
const OTHERS = '(others)'

/**
 * A resource manager, as far as metrics are read from it
 */
export interface Observed {
  stat(): ScopeStats
  limits(): Record<Root, ConcreteLimit>
  listConnections(): ConnectionScope[]
  refusals(): RefusalCount[]
}

/**
 * All that is in use and all limits at one moment. Those who collect metrics ask
 * for one after the other without a pause, so what was read is kept until the
 * present task ends: metrics of one scrape agree, and thousands of scopes are gone
 * through once.
 */
export class Snapshots<T extends Observed = Observed> {
  protected readonly observed: T
  private readonly kept = new Map<string, unknown>()
  private readonly named = { protocols: new Set<string>(), services: new Set<string>() }

  constructor (observed: T) {
    this.observed = observed
  }

  get stat (): ScopeStats {
    return this.once('stat', () => this.observed.stat())
  }

  get limits (): Record<Root, ConcreteLimit> {
    return this.once('limits', () => this.observed.limits())
  }

  /**
   * By label
   */
  get protocols (): Map<string, ScopeStat> {
    return this.once('protocols', () => labelled(this.stat.protocols, this.named.protocols))
  }

  /**
   * By label
   */
  get services (): Map<string, ScopeStat> {
    return this.once('services', () => labelled(this.stat.services, this.named.services))
  }

  get refusals (): RefusalCount[] {
    return this.once('refusals', () => this.observed.refusals())
  }

  /**
   * Bytes of each open connection
   */
  get connectionMemory (): number[] {
    return this.once('listConnections', () => this.observed.listConnections().map(scope => scope.stat().memory))
  }

  protected once <T> (key: string, read: () => T): T {
    if (!this.kept.has(key)) {
      if (this.kept.size === 0) {
        queueMicrotask(() => { this.kept.clear() })
      }

      this.kept.set(key, read())
    }

    return this.kept.get(key) as T
  }
}

/**
 * What has a label of its own is among the named, and keeps it
 */
function labelled (stats: Map<string, ScopeStat>, named: Set<string>): Map<string, ScopeStat> {
  const sums = new Map<string, ScopeStat>()

  for (const [name, stat] of stats) {
    if (named.size < MOST_NAMES) {
      named.add(name)
    }

    const label = named.has(name) ? name : OTHERS
    const sum = sums.get(label)
    sums.set(label, sum === undefined ? stat : add(sum, stat))
  }

  return sums
}

function add (one: ScopeStat, other: ScopeStat): ScopeStat {
  return {
    memory: one.memory + other.memory,
    fileDescriptors: one.fileDescriptors + other.fileDescriptors,
    inboundConnections: one.inboundConnections + other.inboundConnections,
    outboundConnections: one.outboundConnections + other.outboundConnections,
    inboundStreams: one.inboundStreams + other.inboundStreams,
    outboundStreams: one.outboundStreams + other.outboundStreams
  }
}

/**
 * The same eight words as in limits, so that use can be compared with them
 */
export function useOf (stat: ScopeStat): Record<Resource, number> {
  return {
    ...stat,
    streams: stat.inboundStreams + stat.outboundStreams,
    connections: stat.inboundConnections + stat.outboundConnections
  }
}

/**
 * A limit in numbers only
 */
export function numbersOf (limit: ConcreteLimit): Record<Resource, number> {
  return Object.fromEntries(RESOURCES.map(resource => [resource, Number(limit[resource])])) as Record<Resource, number>
}

/**
 * The buckets of go-libp2p for how many peers hold how much
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/stats.go
 */
export const COUNT_BUCKETS: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 32, 64, 128, 256]

/**
 * The same in bytes
 */
export const MEMORY_BUCKETS: readonly number[] = [2 ** 10, 2 ** 12, 2 ** 15, 2 ** 20, 2 ** 25, 2 ** 28, 2 ** 29, 2 ** 30, 2 ** 31, 2 ** 32]
