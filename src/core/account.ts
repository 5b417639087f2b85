/**
 * @file The counts of one scope, the arithmetic of its limit, and its place among
 * the accounts of other scopes.
 *
 * Whatever changes while scopes are used is here, because all scopes have the
 * same class of account: the classes of scopes are more than V8 tells apart at one
 * place in the code, where it has seen so many it reads and writes fields slowly.
 */

import type { ConcreteLimit, Resource, ScopeStat } from './types.ts'

/**
 * The most memory that may be in use after a reservation at a priority,
 * `floor((1 + priority) * limit / 256)`. Exact: a limit whose product would leave
 * the range of safe integers is taken apart, a bigint stays one.
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

  const product = (1 + priority) * limit

  if (product <= Number.MAX_SAFE_INTEGER) {
    return Math.floor(product / 256)
  }

  const rest = limit % 256

  return (1 + priority) * ((limit - rest) / 256) + Math.floor((1 + priority) * rest / 256)
}

/**
 * The two comparisons stand apart because one that has seen a bigint is slow for
 * numbers as well, by a call into the engine. Both are exact.
 */
function exceeds (use: number, limit: number | bigint): boolean {
  return typeof limit === 'number' ? use > limit : use > limit
}

/**
 * A limit on memory as a number. Use above 2^53 - 1 cannot be counted exactly, so
 * it is refused whatever the limit.
 */
function countable (limit: number | bigint): number {
  return limit <= Number.MAX_SAFE_INTEGER ? Number(limit) : Number.MAX_SAFE_INTEGER
}

/**
 * A limit that is enforced somewhere. All connections share one, all streams
 * another: replacing what is in it takes effect for those that are open.
 */
export class EnforcedLimit {
  mostMemory!: number
  private current!: ConcreteLimit

  constructor (limit: ConcreteLimit) {
    this.concrete = limit
  }

  get concrete (): ConcreteLimit {
    return this.current
  }

  set concrete (limit: ConcreteLimit) {
    this.current = limit
    this.mostMemory = countable(limit.memory)
  }
}

/**
 * What an account belongs to: it gives its names to errors
 */
export interface AccountHolder {
  readonly name: string
}

const NONE: readonly Account[] = []

export class Account {
  // in the order of how often they are used, for the cache of the processor
  memory = 0
  enforced: EnforcedLimit
  inboundStreams = 0
  outboundStreams = 0

  /**
   * The accounts above, each once, in the order in which they are asked. That of
   * a span has none of its own.
   */
  above: readonly Account[] = NONE

  /**
   * The account that a span counts in, it counts in all above that as well
   */
  readonly owner?: Account

  /**
   * The part of the memory that was reserved in this very scope, and not in a
   * span or a scope below
   */
  direct = 0
  closed = false

  inboundConnections = 0
  outboundConnections = 0
  fileDescriptors = 0

  /**
   * Live spans and running views, which keep a named scope from collection
   */
  holds = 0
  spansBegun = 0
  readonly holder: AccountHolder
  private holderName?: string

  constructor (holder: AccountHolder, limit: EnforcedLimit, owner?: Account) {
    this.holder = holder
    this.enforced = limit
    this.owner = owner
  }

  get limit (): ConcreteLimit {
    return this.enforced.concrete
  }

  /**
   * The name of the holder, which is kept: who asks once, asks often
   */
  get name (): string {
    this.holderName ??= this.holder.name

    return this.holderName
  }

  /**
   * Called when the holder has got another name
   */
  forgetName (): void {
    this.holderName = undefined
  }

  /**
   * Whether there is room for so many bytes more at a priority
   */
  fitsMemory (size: number, priority: number): boolean {
    const after = this.memory + size

    return after <= this.enforced.mostMemory && (priority === 255 || after <= memoryThreshold(this.limit.memory, priority))
  }

  /**
   * Which limit stands in the way of one more stream, asked in this order: that
   * of the direction, the total
   */
  blocksStream (inbound: boolean): Resource | undefined {
    if (inbound) {
      if (exceeds(this.inboundStreams + 1, this.limit.inboundStreams)) {
        return 'inboundStreams'
      }
    } else if (exceeds(this.outboundStreams + 1, this.limit.outboundStreams)) {
      return 'outboundStreams'
    }

    if (exceeds(this.inboundStreams + this.outboundStreams + 1, this.limit.streams)) {
      return 'streams'
    }
  }

  /**
   * Which limit stands in the way of one more connection, asked in this order:
   * that of the direction, the total, file descriptors
   */
  blocksConnection (inbound: boolean, fileDescriptors: number): Resource | undefined {
    if (inbound) {
      if (exceeds(this.inboundConnections + 1, this.limit.inboundConnections)) {
        return 'inboundConnections'
      }
    } else if (exceeds(this.outboundConnections + 1, this.limit.outboundConnections)) {
      return 'outboundConnections'
    }

    if (exceeds(this.inboundConnections + this.outboundConnections + 1, this.limit.connections)) {
      return 'connections'
    }

    if (fileDescriptors > 0 && exceeds(this.fileDescriptors + fileDescriptors, this.limit.fileDescriptors)) {
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

    if (leaf.isConnection) {
      return this.blocksConnection(leaf.inboundConnections > 0, leaf.fileDescriptors)
    }
  }

  add (leaf: Account): void {
    this.memory += leaf.memory
    this.inboundStreams += leaf.inboundStreams
    this.outboundStreams += leaf.outboundStreams

    if (leaf.isConnection) {
      this.inboundConnections += leaf.inboundConnections
      this.outboundConnections += leaf.outboundConnections
      this.fileDescriptors += leaf.fileDescriptors
    }
  }

  subtract (leaf: Account): void {
    this.memory -= leaf.memory
    this.inboundStreams -= leaf.inboundStreams
    this.outboundStreams -= leaf.outboundStreams

    if (leaf.isConnection) {
      this.inboundConnections -= leaf.inboundConnections
      this.outboundConnections -= leaf.outboundConnections
      this.fileDescriptors -= leaf.fileDescriptors
    }
  }

  private get isConnection (): boolean {
    return this.inboundConnections + this.outboundConnections > 0
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
