/**
 * @file Counts by network, for all networks of one family and prefix length.
 */

import { masked, maskOf } from './addresses.ts'
import type { Words } from './addresses.ts'

const MIN_CAPACITY = 16

// another one in each process, so that nobody can choose networks that collide
const SEED = Math.random() * 2 ** 32 | 0

/**
 * Finds the count of the network that an address is in.
 *
 * A hundred thousand networks are ordinary here, and then what a look-up costs
 * is to wait for memory. A `Map` with strings as keys touches another place with
 * every step, and keeps what was deleted as holes until it is rebuilt. So the
 * bits of a network and its count stand side by side in a table here, where the
 * bits hash to or in the next place that is free, and what follows is moved up
 * when one is deleted. The table is at most half full.
 */
export class NetworkCounts {
  readonly prefixLength: number
  private readonly mask: Words
  // how many words of a key are stored, the others are 0
  private readonly width: number
  // from one place to the next: a key, and a count that is 0 where a place is free
  private readonly stride: number
  private table!: Int32Array
  // the number of the last place, there are a power of two
  private last!: number
  private entries = 0

  constructor (prefixLength: number) {
    this.prefixLength = prefixLength
    this.mask = maskOf(prefixLength)
    this.width = Math.max(1, Math.ceil(prefixLength / 32))
    this.stride = this.width + 1
    this.allocate(MIN_CAPACITY)
  }

  /**
   * How many networks have a count that is not 0
   */
  get size (): number {
    return this.entries
  }

  /**
   * 0 for networks that have none
   */
  get (ip: Words): number {
    return this.table[this.find(masked(ip, this.mask)) + this.width]
  }

  /**
   * @param ip - an address of the network
   * @param count - a 32-bit integer, 0 to keep none
   */
  set (ip: Words, count: number): void {
    const key = masked(ip, this.mask)
    const at = this.find(key)

    if (this.table[at + this.width] !== 0) {
      if (count === 0) {
        this.delete(at)
      } else {
        this.table[at + this.width] = count
      }
    } else if (count !== 0) {
      if (this.entries * 2 > this.last) {
        this.rebuild((this.last + 1) * 2)
        this.write(this.find(key), key, count)
      } else {
        this.write(at, key, count)
      }

      this.entries++
    }
  }

  /**
   * All networks that have a count. None must be changed while this runs.
   */
  * [Symbol.iterator] (): IterableIterator<[network: Words, count: number]> {
    for (let at = 0; at < this.table.length; at += this.stride) {
      const count = this.table[at + this.width]

      if (count !== 0) {
        yield [read(this.table, at, this.width), count]
      }
    }
  }

  private allocate (capacity: number): void {
    this.table = new Int32Array(capacity * this.stride)
    this.last = capacity - 1
  }

  private rebuild (capacity: number): void {
    const { table, width, stride } = this
    this.allocate(capacity)

    for (let at = 0; at < table.length; at += stride) {
      if (table[at + width] !== 0) {
        const key = read(table, at, width)
        this.write(this.find(key), key, table[at + width])
      }
    }
  }

  /**
   * Where a key is, or the free place that it belongs in
   */
  private find (key: Words): number {
    const { table, width } = this
    let at = this.home(key)

    while (table[at + width] !== 0) {
      if (table[at] === key.w0 &&
        (width < 2 || table[at + 1] === key.w1) &&
        (width < 3 || table[at + 2] === key.w2) &&
        (width < 4 || table[at + 3] === key.w3)) {
        break
      }

      at = this.next(at)
    }

    return at
  }

  private delete (free: number): void {
    const { table, width, stride } = this

    for (let at = this.next(free); table[at + width] !== 0; at = this.next(at)) {
      // a key is looked for from its home on, up to the first free place
      if (this.distance(this.home(read(table, at, width)), at) >= this.distance(free, at)) {
        table.copyWithin(free, at, at + stride)
        free = at
      }
    }

    table[free + width] = 0
    this.entries--

    if (this.entries * 8 < this.last && this.last >= MIN_CAPACITY) {
      this.rebuild((this.last + 1) / 2)
    }
  }

  private home (key: Words): number {
    return (hash(key) & this.last) * this.stride
  }

  private next (at: number): number {
    at += this.stride

    return at === this.table.length ? 0 : at
  }

  private distance (from: number, to: number): number {
    return from <= to ? to - from : to - from + this.table.length
  }

  private write (at: number, { w0, w1, w2, w3 }: Words, count: number): void {
    const { table, width } = this
    table[at] = w0

    if (width > 1) {
      table[at + 1] = w1
    }

    if (width > 2) {
      table[at + 2] = w2
    }

    if (width > 3) {
      table[at + 3] = w3
    }

    table[at + width] = count
  }
}

function read (table: Int32Array, at: number, width: number): Words {
  return {
    w0: table[at],
    w1: width > 1 ? table[at + 1] : 0,
    w2: width > 2 ? table[at + 2] : 0,
    w3: width > 3 ? table[at + 3] : 0
  }
}

/**
 * Spreads keys over all places, as MurmurHash3 does
 *
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
 */
function hash ({ w0, w1, w2, w3 }: Words): number {
  let h = mix(mix(mix(mix(SEED, w0), w1), w2), w3)
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b)
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35)

  return h ^ h >>> 16
}

function mix (h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = Math.imul(k << 15 | k >>> 17, 0x1b873593)
  h ^= k

  return Math.imul(h << 13 | h >>> 19, 5) + 0xe6546b64 | 0
}
