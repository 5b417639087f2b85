/**
 * @file What scopes of different kinds hold together has to match whenever no
 * operation is under way: all connections and streams are in the system scope, say.
 *
 * A trace does not mark where an operation ends, but a connection or stream comes
 * last in its own operations: after the scopes above it have been told, its memory,
 * itself, or its end.
 */

import { emptyStat } from './replay-state.ts'
import type { Count } from './replay-state.ts'
import type { ScopeStat } from '../../core/types.ts'

/**
 * Scopes that are added up. The allowlisted ones count with their likes, a span
 * counts in its owner and nowhere else.
 */
export type Group = 'system' | 'transient' | 'connection' | 'stream' | 'peer' | 'service' | 'servicePeer' | 'protocol' | 'protocolPeer' | 'span' | 'other'

interface Rule {
  within: Group[]
  whole: Group[]
  counts: readonly Count[]
  /** Something may be reserved in a scope itself, so that it holds more than all within it */
  atLeast?: boolean
  words: [within: string, whole: string]
}

const CONNECTIONS = ['inboundConnections', 'outboundConnections', 'fileDescriptors'] as const
const STREAMS = ['inboundStreams', 'outboundStreams'] as const
const MEMORY = ['memory'] as const

const SYSTEM = 'the system scopes'
const LEAVES = 'all connections and streams'

const RULES: Rule[] = [
  { within: ['connection', 'stream'], whole: ['system'], counts: [...CONNECTIONS, ...STREAMS], words: [LEAVES, SYSTEM] },
  { within: ['connection'], whole: ['transient', 'peer'], counts: CONNECTIONS, words: ['all connections', 'the transient scopes and all peers'] },
  { within: ['stream'], whole: ['peer'], counts: STREAMS, words: ['all streams', 'all peers'] },
  { within: ['stream'], whole: ['transient', 'protocol'], counts: STREAMS, words: ['all streams', 'the transient scopes and all protocols'] },
  { within: ['protocolPeer'], whole: ['protocol'], counts: STREAMS, words: ['all peers within protocols', 'all protocols'] },
  { within: ['servicePeer'], whole: ['service'], counts: STREAMS, words: ['all peers within services', 'all services'] },
  { within: ['connection', 'stream'], whole: ['system'], counts: MEMORY, atLeast: true, words: [LEAVES, SYSTEM] },
  { within: ['transient'], whole: ['system'], counts: MEMORY, atLeast: true, words: ['the transient scopes', SYSTEM] },
  { within: ['peer'], whole: ['system'], counts: MEMORY, atLeast: true, words: ['all peers', SYSTEM] },
  { within: ['protocol'], whole: ['system'], counts: MEMORY, atLeast: true, words: ['all protocols', SYSTEM] },
  { within: ['service'], whole: ['system'], counts: MEMORY, atLeast: true, words: ['all services', SYSTEM] },
  { within: ['protocolPeer'], whole: ['protocol'], counts: MEMORY, atLeast: true, words: ['all peers within protocols', 'all protocols'] },
  { within: ['servicePeer'], whole: ['service'], counts: MEMORY, atLeast: true, words: ['all peers within services', 'all services'] }
]

export class Sums {
  private groups = new Map<Group, ScopeStat>()
  private readonly report: (message: string) => void

  /** What does not match and was reported, so that it is not with every event to come */
  private reported = new Map<string, number>()

  /**
   * Bytes by which a system scope has changed, until a connection or stream does the
   * same, which comes next. None does if they were reserved elsewhere, such as in a
   * service.
   */
  private systemMemory = 0

  /** The other way round: the end of a span is told to its owner first */
  private leafMemory = 0

  /** A trace may begin in the midst of an operation, whose beginning is in the state then */
  private isUnderWay = true

  constructor (report: (message: string) => void) {
    this.report = report
  }

  reset (): void {
    this.groups.clear()
    this.reported.clear()
    this.systemMemory = 0
    this.leafMemory = 0
    this.isUnderWay = true
  }

  add (group: Group, count: Count, by: number): void {
    this.of(group)[count] += by
  }

  systemMemoryChanged (by: number): void {
    this.isUnderWay = false

    if (this.leafMemory === by) {
      this.leafMemory = 0
    } else {
      this.expectNoLeafMemory()
      this.systemMemory = by
    }
  }

  /**
   * The memory of a connection or stream has changed
   *
   * @returns whether that of a system scope has changed by as much just before
   */
  leafMemoryChanged (by: number): boolean {
    if (by === 0) {
      return true
    }

    this.expectNoLeafMemory()

    if (by !== this.systemMemory && !this.isUnderWay) {
      this.leafMemory = by

      return false
    }

    this.isUnderWay = false
    this.systemMemory = 0

    return true
  }

  otherMemoryChanged (): void {
    this.systemMemory = 0
  }

  private expectNoLeafMemory (): void {
    if (this.leafMemory !== 0) {
      this.report(`the memory of a connection or stream has changed by ${this.leafMemory} bytes, that of no system scope has`)
      this.leafMemory = 0
    }
  }

  /**
   * @param counts - undefined for all
   */
  check (counts?: readonly Count[]): void {
    this.expectNoLeafMemory()

    for (let i = 0; i < RULES.length; i++) {
      for (const count of RULES[i].counts) {
        if (counts?.includes(count) !== false) {
          this.compare(RULES[i], `${i} ${count}`, count)
        }
      }
    }
  }

  private compare (rule: Rule, key: string, count: Count): void {
    const within = this.total(rule.within, count)
    const whole = this.total(rule.whole, count)
    const difference = whole - within

    if (difference === 0 || (rule.atLeast === true && difference > 0)) {
      this.reported.delete(key)
    } else if (this.reported.get(key) !== difference) {
      this.reported.set(key, difference)
      this.report(`${count}: ${within} in ${rule.words[0]}, ${whole} in ${rule.words[1]}`)
    }
  }

  private total (groups: Group[], count: Count): number {
    let total = 0

    for (const group of groups) {
      total += this.groups.get(group)?.[count] ?? 0
    }

    return total
  }

  private of (group: Group): ScopeStat {
    let stat = this.groups.get(group)

    if (stat === undefined) {
      stat = emptyStat()
      this.groups.set(group, stat)
    }

    return stat
  }
}
