/**
 * @file The counts of one scope and the arithmetic of its limit. Knows nothing
 * of other scopes. All scopes have the same class of account, so the loops over
 * the accounts above a scope stay fast (one hidden class).
 */

import type { ConcreteLimit, Resource, ScopeStat } from './types.ts'

/**
 * The most memory that may be in use after a reservation at a priority,
 * `floor((1 + priority) * limit / 256)`. Exact: the limit is taken apart so
 * that no product leaves the range of safe integers, a bigint stays one.
 *
 * @param limit - Bytes, a safe integer, a bigint or Infinity, not negative
 * @param priority - 0 to 255
 */
export function memoryThreshold (limit: number | bigint, priority: number): number | bigint {
  if (typeof limit === 'bigint') {
    return (BigInt(1 + priority) * limit) >> 8n
  }

  if (limit === Infinity) {
    return limit
  }

  const rest = limit % 256

  return (1 + priority) * ((limit - rest) / 256) + Math.floor((1 + priority) * rest / 256)
}

/**
 * What an account belongs to: it gives its names to errors
 */
export interface AccountHolder {
  readonly name: string
}

export class Account {
  inboundStreams = 0
  outboundStreams = 0
  inboundConnections = 0
  outboundConnections = 0
  fileDescriptors = 0
  memory = 0

  limit: ConcreteLimit
  readonly holder: AccountHolder

  constructor (holder: AccountHolder, limit: ConcreteLimit) {
    this.holder = holder
    this.limit = limit
  }

  /**
   * Use above 2^53 - 1 cannot be counted exactly, so it is refused whatever the
   * limit. Comparing a number with a bigint is exact in JavaScript.
   */
  fitsMemory (size: number, priority: number): boolean {
    const after = this.memory + size

    if (after > Number.MAX_SAFE_INTEGER) {
      return false
    }

    return priority === 255 ? after <= this.limit.memory : after <= memoryThreshold(this.limit.memory, priority)
  }

  /**
   * Which limit stands in the way of one more stream, asked in this order: that
   * of the direction, the total
   */
  blocksStream (inbound: boolean): Resource | undefined {
    if (inbound) {
      if (this.inboundStreams >= this.limit.inboundStreams) {
        return 'inboundStreams'
      }
    } else if (this.outboundStreams >= this.limit.outboundStreams) {
      return 'outboundStreams'
    }

    if (this.inboundStreams + this.outboundStreams >= this.limit.streams) {
      return 'streams'
    }
  }

  /**
   * Which limit stands in the way of one more connection, asked in this order:
   * that of the direction, the total, file descriptors
   */
  blocksConnection (inbound: boolean, fileDescriptors: number): Resource | undefined {
    if (inbound) {
      if (this.inboundConnections >= this.limit.inboundConnections) {
        return 'inboundConnections'
      }
    } else if (this.outboundConnections >= this.limit.outboundConnections) {
      return 'outboundConnections'
    }

    if (this.inboundConnections + this.outboundConnections >= this.limit.connections) {
      return 'connections'
    }

    if (fileDescriptors > 0 && this.fileDescriptors + fileDescriptors > this.limit.fileDescriptors) {
      return 'fileDescriptors'
    }
  }

  /**
   * Which limit stands in the way of all that another account holds, asked in
   * this order: memory, streams, connections. The other one is that of a leaf:
   * it holds at most one stream or connection.
   */
  blocks (leaf: Account): Resource | undefined {
    if (!this.fitsMemory(leaf.memory, 255)) {
      return 'memory'
    }

    if (leaf.inboundStreams + leaf.outboundStreams > 0) {
      return this.blocksStream(leaf.inboundStreams > 0)
    }

    if (leaf.inboundConnections + leaf.outboundConnections > 0) {
      return this.blocksConnection(leaf.inboundConnections > 0, leaf.fileDescriptors)
    }
  }

  add (other: Account): void {
    this.inboundStreams += other.inboundStreams
    this.outboundStreams += other.outboundStreams
    this.inboundConnections += other.inboundConnections
    this.outboundConnections += other.outboundConnections
    this.fileDescriptors += other.fileDescriptors
    this.memory += other.memory
  }

  subtract (other: Account): void {
    this.inboundStreams -= other.inboundStreams
    this.outboundStreams -= other.outboundStreams
    this.inboundConnections -= other.inboundConnections
    this.outboundConnections -= other.outboundConnections
    this.fileDescriptors -= other.fileDescriptors
    this.memory -= other.memory
  }

  clear (): void {
    this.inboundStreams = 0
    this.outboundStreams = 0
    this.inboundConnections = 0
    this.outboundConnections = 0
    this.fileDescriptors = 0
    this.memory = 0
  }

  get empty (): boolean {
    return this.memory === 0 && this.fileDescriptors === 0 &&
      this.inboundStreams === 0 && this.outboundStreams === 0 &&
      this.inboundConnections === 0 && this.outboundConnections === 0
  }

  /**
   * What is in use of a resource, for the error of a refusal
   */
  current (resource: Resource): number {
    switch (resource) {
      case 'streams':
        return this.inboundStreams + this.outboundStreams
      case 'connections':
        return this.inboundConnections + this.outboundConnections
      default:
        return this[resource]
    }
  }

  stat (): ScopeStat {
    return {
      inboundStreams: this.inboundStreams,
      outboundStreams: this.outboundStreams,
      inboundConnections: this.inboundConnections,
      outboundConnections: this.outboundConnections,
      fileDescriptors: this.fileDescriptors,
      memory: this.memory
    }
  }
}
