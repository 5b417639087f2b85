/**
 * @file Those that hold the most, chosen in one pass over all: of thousands of
 * peers a few are sent.
 */

import { optionOf, RESOURCES } from '../../core/limit.ts'
import { useOf } from '../observed.ts'
import { cut } from './cut.ts'
import { encodeLimit } from './inspected.ts'
import type { Row, Rows } from './page/messages.ts'
import type { ConcreteLimit, ScopeKind, ScopeStat } from '../../core/types.ts'

interface Candidate {
  kind: ScopeKind
  name: string
  /** What the configuration calls it */
  key: string
  stat: ScopeStat
  limit: ConcreteLimit
  fullness: number
}

/**
 * What the tables of the page may be sorted by
 */
const ORDERS: Array<(candidate: Candidate) => number> = [
  ({ fullness }) => fullness,
  ({ stat }) => stat.memory,
  ({ stat }) => stat.inboundStreams + stat.outboundStreams,
  ({ stat }) => stat.inboundConnections + stat.outboundConnections
]

/**
 * The first of each order
 */
export class TopRows {
  private readonly lists: Best[]
  private readonly most: number
  private total = 0

  constructor (most: number) {
    this.most = most
    this.lists = ORDERS.map(order => new Best(most, order))
  }

  add (kind: ScopeKind, name: string, stat: ScopeStat, limit: ConcreteLimit, key: string = name): void {
    const candidate = { kind, name, key, stat, limit, fullness: fullnessOf(stat, limit) }
    this.total++

    for (const list of this.lists) {
      list.add(candidate)
    }
  }

  /**
   * Each once, the fullest first
   */
  rows (): Rows {
    const chosen = new Set(this.lists.flatMap(list => list.first()))

    // where not all lists are full, there are rows that nobody uses
    for (const candidate of this.lists[0].candidates) {
      if (chosen.size >= this.most) {
        break
      }

      chosen.add(candidate)
    }

    return {
      total: this.total,
      rows: [...chosen].sort((a, b) => b.fullness - a.fullness).map(toRow)
    }
  }
}

/**
 * Sorts only when twice as many have come as are kept, so that each costs little
 */
class Best {
  candidates: Candidate[] = []
  private least = -Infinity
  private readonly most: number
  private readonly order: (candidate: Candidate) => number

  constructor (most: number, order: (candidate: Candidate) => number) {
    this.most = most
    this.order = order
  }

  add (candidate: Candidate): void {
    if (this.order(candidate) <= this.least) {
      return
    }

    this.candidates.push(candidate)

    if (this.candidates.length >= 2 * this.most) {
      this.trim()
      this.least = this.order(this.candidates[this.most - 1])
    }
  }

  /**
   * Those that hold anything at all
   */
  first (): Candidate[] {
    this.trim()

    return this.candidates.filter(candidate => this.order(candidate) > 0)
  }

  private trim (): void {
    this.candidates.sort((a, b) => this.order(b) - this.order(a))
    this.candidates.length = Math.min(this.candidates.length, this.most)
  }
}

/**
 * How much of the limit that is the fullest is in use. A limit of 0 that nothing
 * is held of is not full, it only lets nothing through.
 */
function fullnessOf (stat: ScopeStat, limit: ConcreteLimit): number {
  return Math.max(
    part(stat.memory, limit.memory),
    part(stat.inboundStreams, limit.inboundStreams),
    part(stat.outboundStreams, limit.outboundStreams),
    part(stat.inboundStreams + stat.outboundStreams, limit.streams),
    part(stat.inboundConnections, limit.inboundConnections),
    part(stat.outboundConnections, limit.outboundConnections),
    part(stat.inboundConnections + stat.outboundConnections, limit.connections),
    part(stat.fileDescriptors, limit.fileDescriptors)
  )
}

function part (current: number, limit: number | bigint): number {
  // JSON has no Infinity, and more than twice a limit is full anyway
  return current === 0 ? 0 : Math.min(2, current / Number(limit))
}

function toRow ({ kind, name, key, stat, limit, fullness }: Candidate): Row {
  const use = useOf(stat)

  return {
    kind,
    name: cut(name),
    option: cut(optionOf(kind, key)),
    use: RESOURCES.map(resource => use[resource]),
    limit: RESOURCES.map(resource => encodeLimit(limit[resource])),
    fullness: Math.round(fullness * 1e4) / 1e4
  }
}
