/**
 * @file Makes events of what happens in scopes. The last totals of all scopes are
 * the state of all of them.
 */

import type { TraceEvent, TraceEventType } from './event.ts'
import type { Account } from '../../core/account.ts'
import type { ResourceLimitExceededError } from '../../core/errors.ts'
import type { ScopeTracer } from '../../core/tracer.ts'

/** What moves was let in before: it counts elsewhere at the highest priority */
const ALWAYS = 255

type Counts = Pick<Account, 'memory' | 'inboundStreams' | 'outboundStreams' | 'inboundConnections' | 'outboundConnections' | 'fileDescriptors'>

const NOTHING: Counts = { memory: 0, inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0 }

export class Tracer implements ScopeTracer {
  /** In the order in which they were made, so those above come first */
  private readonly live = new Set<Account>()
  private readonly push: (event: TraceEvent) => void

  /**
   * `push` is called in the midst of operations, see `ScopeTracer`
   */
  constructor (push: (event: TraceEvent) => void) {
    this.push = push
  }

  /**
   * All that there is, as if it was made and taken just now
   */
  snapshot (): void {
    for (const account of this.live) {
      this.push(creation(account))
      this.change(account.holder.name, account, account, true)
    }
  }

  created (account: Account): void {
    this.live.add(account)
    this.push(creation(account))
  }

  ended (account: Account): void {
    this.live.delete(account)
    this.push(event('destroy_scope', account.holder.name))
  }

  reserved (account: Account, size: number, priority: number): void {
    if (size > 0) {
      this.changeMemory('reserve_memory', account, size, priority)
    }
  }

  released (account: Account, size: number): void {
    if (size > 0) {
      this.changeMemory('release_memory', account, 0 - size, 0)
    }
  }

  added (to: Account, leaf: Account): void {
    this.change(to.holder.name, to, leaf, true)
  }

  removed (from: Account, leaf: Account): void {
    this.change(from.holder.name, from, leaf, false)
  }

  blocked (refusal: ResourceLimitExceededError, by?: Account, fileDescriptors: number = 0): void {
    const { resource, attempted, direction, priority = 0 } = refusal
    const name = by?.holder.name ?? refusal.scope
    const totals = by ?? NOTHING
    const inbound = direction === 'inbound' ? 1 : 0
    const outbound = direction === 'outbound' ? 1 : 0

    switch (resource) {
      case 'memory':
        this.push(memory('block_reserve_memory', name, totals, attempted, priority))
        break
      case 'streams':
      case 'inboundStreams':
      case 'outboundStreams':
      case 'inboundStreamsPerSecond':
        this.push(streams('block_add_stream', name, totals, inbound, outbound))
        break
      default:
        this.push(connections('block_add_conn', name, totals, inbound, outbound, fileDescriptors))
    }
  }

  renamed (account: Account, before: string): void {
    this.change(before, NOTHING, account, false)
    this.push(event('destroy_scope', before))
    this.push(creation(account))
    this.change(account.holder.name, account, account, true)
  }

  /**
   * Those above come first, then the owners of a span from the top down. A scope
   * that has ended has given back what was below it, and so have those above it.
   */
  private changeMemory (type: TraceEventType, account: Account, delta: number, priority: number): void {
    if (account.closed) {
      return
    }

    if (account.owner !== undefined) {
      this.changeMemory(type, account.owner, delta, priority)
    }

    const { above } = account

    for (let i = 0; i < above.length; i++) {
      this.push(memory(type, above[i].holder.name, above[i], delta, priority))
    }

    this.push(memory(type, account.holder.name, account, delta, priority))
  }

  /**
   * All that a leaf holds begins, or ends, to count in a scope
   */
  private change (name: string, totals: Counts, leaf: Counts, more: boolean): void {
    if (leaf.memory > 0) {
      this.push(memory(more ? 'reserve_memory' : 'release_memory', name, totals, signed(leaf.memory, more), more ? ALWAYS : 0))
    }

    if (leaf.inboundStreams + leaf.outboundStreams > 0) {
      this.push(streams(more ? 'add_stream' : 'remove_stream', name, totals, signed(leaf.inboundStreams, more), signed(leaf.outboundStreams, more)))
    }

    if (leaf.inboundConnections + leaf.outboundConnections > 0) {
      this.push(connections(more ? 'add_conn' : 'remove_conn', name, totals, signed(leaf.inboundConnections, more), signed(leaf.outboundConnections, more), signed(leaf.fileDescriptors, more)))
    }
  }
}

function creation (account: Account): TraceEvent {
  return event('create_scope', account.holder.name, account.limit)
}

/**
 * Never -0
 */
function signed (count: number, more: boolean): number {
  return more ? count : 0 - count
}

function memory (type: TraceEventType, name: string, totals: Counts, delta: number, priority: number): TraceEvent {
  const e = event(type, name)
  e.priority = priority
  e.delta = delta
  e.memory = totals.memory

  return e
}

function streams (type: TraceEventType, name: string, totals: Counts, deltaIn: number, deltaOut: number): TraceEvent {
  const e = event(type, name)
  e.deltaIn = deltaIn
  e.deltaOut = deltaOut
  e.streamsIn = totals.inboundStreams
  e.streamsOut = totals.outboundStreams

  return e
}

function connections (type: TraceEventType, name: string, totals: Counts, deltaIn: number, deltaOut: number, delta: number): TraceEvent {
  const e = event(type, name)
  e.delta = delta
  e.deltaIn = deltaIn
  e.deltaOut = deltaOut
  e.connsIn = totals.inboundConnections
  e.connsOut = totals.outboundConnections
  e.fd = totals.fileDescriptors

  return e
}

/**
 * All events have the same fields in the same order, so that V8 has one shape of
 * them
 */
export function event (type: TraceEventType, name: string, limit?: TraceEvent['limit']): TraceEvent {
  return {
    time: performance.timeOrigin + performance.now(),
    type,
    name,
    limit,
    priority: 0,
    delta: 0,
    deltaIn: 0,
    deltaOut: 0,
    memory: 0,
    streamsIn: 0,
    streamsOut: 0,
    connsIn: 0,
    connsOut: 0,
    fd: 0
  }
}
