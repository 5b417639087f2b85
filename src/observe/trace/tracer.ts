/**
 * @file Makes events of what happens in scopes. The last totals of all scopes are
 * the state of all of them.
 */

import { ConnectionEvent, MemoryEvent, ScopeEvent, StreamEvent } from './events.ts'
import type { TraceEvent, TraceEventType } from './event.ts'
import type { Counts } from './events.ts'
import type { Account } from '../../core/account.ts'
import type { ResourceLimitExceededError } from '../../core/errors.ts'
import type { ScopeTracer } from '../../core/tracer.ts'

/** What moves was let in before: it counts elsewhere at the highest priority */
const ALWAYS = 255

/**
 * How often the time is compared with that of the system, in milliseconds
 */
const COMPARE = 1_000

/**
 * By how much the time of the system may be ahead, in milliseconds
 */
const MOST_AHEAD = 1_000

const NOTHING: Counts = { memory: 0, inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0 }

export class Tracer implements ScopeTracer {
  /** In the order in which they were made, so those above come first */
  private readonly live = new Set<Account>()
  private readonly push: (event: TraceEvent) => void
  /** Of the operation that is reported, in milliseconds since the epoch */
  private time = 0
  /** In milliseconds since the epoch, where `performance.now()` is 0 */
  private origin = performance.timeOrigin
  /** As `performance.now()` has it */
  private comparedAt = -Infinity

  /**
   * `push` is called in the midst of operations, see `ScopeTracer`
   */
  constructor (push: (event: TraceEvent) => void) {
    this.push = push
  }

  /**
   * All that there is, as if it was made and taken just now: a trace begins with it
   */
  snapshot (limits: Record<string, unknown>): void {
    this.readClock()
    this.push(new ScopeEvent(this.time, 'start', '', limits))

    for (const account of this.live) {
      this.push(new ScopeEvent(this.time, 'create_scope', account.name, account.limit))
    }

    for (const account of this.live) {
      this.change(account.name, account, account, true)
    }
  }

  created (account: Account): void {
    this.readClock()
    this.live.add(account)
    this.push(new ScopeEvent(this.time, 'create_scope', account.name, account.limit))
  }

  reserved (account: Account, size: number, priority: number): void {
    if (size > 0) {
      this.readClock()
      this.changeMemory('reserve_memory', account, size, priority)
    }
  }

  released (account: Account, size: number): void {
    if (size > 0) {
      this.readClock()
      this.changeMemory('release_memory', account, 0 - size, 0)
    }
  }

  taken (leaf: Account): void {
    this.readClock()
    this.changeAll(leaf.above, leaf, true)
    this.change(leaf.name, leaf, leaf, true)
  }

  moved (leaf: Account, from: readonly Account[], to: readonly Account[]): void {
    this.readClock()
    this.changeAll(to, leaf, true)
    this.changeAll(from, leaf, false)
  }

  ended (account: Account): void {
    this.readClock()
    this.live.delete(account)
    this.giveBack(account, account)
    this.push(new ScopeEvent(this.time, 'destroy_scope', account.name))
  }

  blocked (refusal: ResourceLimitExceededError, by?: Account, fileDescriptors: number = 0): void {
    const { resource, attempted, direction, priority = 0 } = refusal
    const name = by?.name ?? refusal.scope
    const totals = by ?? NOTHING
    const inbound = direction === 'inbound' ? 1 : 0
    const outbound = direction === 'outbound' ? 1 : 0

    this.readClock()

    switch (resource) {
      case 'memory':
        this.push(new MemoryEvent(this.time, 'block_reserve_memory', name, totals, attempted, priority))
        break
      case 'streams':
      case 'inboundStreams':
      case 'outboundStreams':
      case 'inboundStreamsPerSecond':
        this.push(new StreamEvent(this.time, 'block_add_stream', name, totals, inbound, outbound))
        break
      default:
        this.push(new ConnectionEvent(this.time, 'block_add_conn', name, totals, inbound, outbound, fileDescriptors))
    }
  }

  renamed (account: Account, before: string): void {
    this.readClock()
    this.change(before, NOTHING, account, false)
    this.push(new ScopeEvent(this.time, 'destroy_scope', before))
    this.push(new ScopeEvent(this.time, 'create_scope', account.name, account.limit))
    this.change(account.name, account, account, true)
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
      this.push(new MemoryEvent(this.time, type, above[i].name, above[i], delta, priority))
    }

    this.push(new MemoryEvent(this.time, type, account.name, account, delta, priority))
  }

  /**
   * Once for each operation: it costs more than an event. The clock never goes
   * back, but stands still while the machine sleeps.
   */
  private readClock (): void {
    const now = performance.now()

    if (now - this.comparedAt >= COMPARE) {
      const ahead = Date.now() - (this.origin + now)
      this.origin += ahead > MOST_AHEAD ? ahead : 0
      this.comparedAt = now
    }

    this.time = this.origin + now
  }

  /**
   * In the order in which scopes report a reservation
   */
  private giveBack (account: Account, leaf: Account): void {
    const { owner } = account

    if (owner === undefined) {
      this.changeAll(account.above, leaf, false)
    } else if (!owner.closed) {
      this.giveBack(owner, leaf)
      this.change(owner.name, owner, leaf, false)
    }
  }

  private changeAll (accounts: readonly Account[], leaf: Account, more: boolean): void {
    for (let i = 0; i < accounts.length; i++) {
      this.change(accounts[i].name, accounts[i], leaf, more)
    }
  }

  /**
   * All that a leaf holds begins, or ends, to count in a scope
   */
  private change (name: string, totals: Counts, leaf: Counts, more: boolean): void {
    if (leaf.memory > 0) {
      this.push(new MemoryEvent(this.time, more ? 'reserve_memory' : 'release_memory', name, totals, signed(leaf.memory, more), more ? ALWAYS : 0))
    }

    if (leaf.inboundStreams + leaf.outboundStreams > 0) {
      this.push(new StreamEvent(this.time, more ? 'add_stream' : 'remove_stream', name, totals, signed(leaf.inboundStreams, more), signed(leaf.outboundStreams, more)))
    }

    if (leaf.inboundConnections + leaf.outboundConnections > 0) {
      this.push(new ConnectionEvent(this.time, more ? 'add_conn' : 'remove_conn', name, totals, signed(leaf.inboundConnections, more), signed(leaf.outboundConnections, more), signed(leaf.fileDescriptors, more)))
    }
  }
}

/**
 * Never -0
 */
function signed (count: number, more: boolean): number {
  return more ? count : 0 - count
}
