/**
 * @file A naive model of the accounting, to compare the real one with. It keeps
 * no sums: it only knows who holds what, and adds everything up anew for every
 * question.
 */

import { LimitTable } from '../../src/limits/limits.ts'
import type { ConcreteLimit, Direction, Resource, ScopeKind, ScopeStat } from '../../src/index.ts'
import type { ConcreteLimits } from '../../src/limits/limits.ts'

export interface Refusal {
  name: 'ResourceLimitExceededError' | 'ScopeClosedError' | 'ScopeAttachedError' | 'ScopeNotAttachedError'
  scope?: string
  resource?: Resource
  current?: number
}

/**
 * Whoever holds something itself: a stream, a connection, a span, or a scope in
 * which memory was reserved directly
 */
export interface Holder {
  name: string
  kind: 'connection' | 'stream' | 'span' | 'fixed'
  limit: ConcreteLimit
  /** Of a span */
  owner?: Holder
  closed: boolean
  direction?: Direction
  fileDescriptors: number
  /** Reserved here and not given back yet */
  memory: number
  peer?: string
  protocol?: string
  service?: string
  spans: number
}

export class ReferenceModel {
  readonly holders: Holder[] = []
  readonly peers = new Set<string>()
  readonly protocols = new Set<string>()
  readonly services = new Set<string>()

  private readonly limits: LimitTable
  private connections = 0
  private streams = 0

  constructor (limits: ConcreteLimits) {
    this.limits = new LimitTable(limits)
  }

  /**
   * A scope by its name that is not a leaf nor a span, such as `peer:ID`
   */
  fixed (name: string): Holder {
    this.touch(name)

    let holder = this.holders.find(holder => holder.kind === 'fixed' && holder.name === name)

    if (holder == null) {
      holder = this.holder(name, 'fixed', this.limitOf(name))
      this.holders.push(holder)
    }

    return holder
  }

  openConnection (direction: Direction, usesFileDescriptor: boolean): Holder | Refusal {
    const leaf = this.holder(`conn-${++this.connections}`, 'connection', this.limitOf('connection'))

    return this.open({ ...leaf, direction, fileDescriptors: usesFileDescriptor ? 1 : 0 })
  }

  openStream (peer: string, direction: Direction): Holder | Refusal {
    const leaf = this.holder(`stream-${++this.streams}`, 'stream', this.limitOf('stream'))
    this.peers.add(peer)

    return this.open({ ...leaf, direction, peer })
  }

  setPeer (leaf: Holder, peer: string): Refusal | undefined {
    return this.attach(leaf, 'peer', peer, () => {
      this.peers.add(peer)

      return [`peer:${peer}`]
    })
  }

  setProtocol (leaf: Holder, protocol: string): Refusal | undefined {
    return this.attach(leaf, 'protocol', protocol, () => {
      this.protocols.add(protocol)

      return [`protocol:${protocol}`, `protocol:${protocol}.peer:${leaf.peer}`]
    })
  }

  setService (leaf: Holder, service: string): Refusal | undefined {
    if (!leaf.closed && leaf.service == null && leaf.protocol == null) {
      return { name: 'ScopeNotAttachedError' }
    }

    return this.attach(leaf, 'service', service, () => {
      this.services.add(service)

      return [`service:${service}`, `service:${service}.peer:${leaf.peer}`]
    })
  }

  reserve (holder: Holder, size: number, priority: number): Refusal | undefined {
    let top = holder

    for (let at: Holder | undefined = holder; at != null; at = at.owner) {
      top = at

      if (at.closed) {
        return { name: 'ScopeClosedError', scope: at.name }
      }

      if (this.overMemory(at.name, at.limit, size, priority)) {
        return this.refusal(at.name, 'memory')
      }
    }

    for (const name of this.above(top)) {
      if (this.overMemory(name, this.limitOf(name), size, priority)) {
        return this.refusal(name, 'memory')
      }
    }

    holder.memory += size
  }

  release (holder: Holder, size: number): void {
    holder.memory -= Math.min(size, holder.memory)
  }

  beginSpan (owner: Holder): Holder | Refusal {
    if (owner.closed) {
      return { name: 'ScopeClosedError', scope: owner.name }
    }

    const span = { ...this.holder(`${owner.name}.span-${++owner.spans}`, 'span', owner.limit), owner }
    this.holders.push(span)

    return span
  }

  done (holder: Holder): void {
    holder.closed = true
    holder.memory = 0
    holder.fileDescriptors = 0
    holder.direction = undefined
  }

  collect (): void {
    for (const protocol of this.protocols) {
      if (this.unused(`protocol:${protocol}`)) {
        this.protocols.delete(protocol)
        this.forget(`protocol:${protocol}`)
      }
    }

    for (const peer of this.peers) {
      if (this.unused(`peer:${peer}`)) {
        this.peers.delete(peer)
        this.forget(`peer:${peer}`)
      }
    }
  }

  /**
   * What a scope holds: the sum of all holders that count in it
   */
  count (name: string): ScopeStat {
    const stat: ScopeStat = { inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0, memory: 0 }

    for (const holder of this.holders) {
      if (!this.countsIn(holder).has(name)) {
        continue
      }

      stat.memory += holder.memory
      stat.fileDescriptors += holder.fileDescriptors

      if (holder.direction != null) {
        stat[`${holder.direction}${holder.kind === 'stream' ? 'Streams' : 'Connections'}`]++
      }
    }

    return stat
  }

  /**
   * All scopes that hold something, other than the fixed ones each holder is one
   */
  * stats (): Iterable<[string, ScopeStat]> {
    const names = new Set(this.holders.flatMap(holder => [...this.countsIn(holder)]))

    for (const name of names) {
      yield [name, this.count(name)]
    }
  }

  private holder (name: string, kind: Holder['kind'], limit: ConcreteLimit): Holder {
    return { name, kind, limit, closed: false, fileDescriptors: 0, memory: 0, spans: 0 }
  }

  private open (leaf: Holder): Holder | Refusal {
    const names = [leaf.name, ...this.above(leaf)]

    for (const name of names) {
      const resource = this.overCount(name, leaf)

      if (resource != null) {
        return this.refusal(name, resource)
      }
    }

    this.holders.push(leaf)

    return leaf
  }

  private attach (leaf: Holder, to: 'peer' | 'protocol' | 'service', name: string, into: () => string[]): Refusal | undefined {
    if (leaf.closed) {
      return { name: 'ScopeClosedError', scope: leaf.name }
    }

    if (leaf[to] != null) {
      return { name: 'ScopeAttachedError' }
    }

    const { memory } = this.count(leaf.name)

    for (const scope of into()) {
      if (this.overMemory(scope, this.limitOf(scope), memory, 255)) {
        return this.refusal(scope, 'memory')
      }

      const resource = this.overCount(scope, leaf)

      if (resource != null) {
        return this.refusal(scope, resource)
      }
    }

    leaf[to] = name
  }

  /**
   * The scopes above a scope that is not a span, in the order in which they are
   * asked
   */
  private above ({ kind, name, peer, protocol, service }: Holder): string[] {
    if (kind === 'fixed') {
      return name === 'system' ? [] : ['system']
    }

    if (kind === 'connection') {
      return peer == null ? ['transient', 'system'] : [`peer:${peer}`, 'system']
    }

    if (protocol == null) {
      return [`peer:${peer}`, 'transient', 'system']
    }

    if (service == null) {
      return [`peer:${peer}`, `protocol:${protocol}.peer:${peer}`, `protocol:${protocol}`, 'system']
    }

    return [`peer:${peer}`, `protocol:${protocol}.peer:${peer}`, `service:${service}.peer:${peer}`, `protocol:${protocol}`, `service:${service}`, 'system']
  }

  /**
   * Each scope at most once. What a span holds counts in its owners and above,
   * up to the first that has ended: that one has given it back.
   */
  private countsIn (holder: Holder): Set<string> {
    const names = new Set([holder.name])
    let top = holder

    while (top.owner != null) {
      top = top.owner

      if (top.closed) {
        return names
      }

      names.add(top.name)
    }

    for (const name of this.above(top)) {
      names.add(name)
    }

    return names
  }

  private overMemory (name: string, limit: ConcreteLimit, size: number, priority: number): boolean {
    const after = BigInt(this.count(name).memory) + BigInt(size)

    return limit.memory !== Infinity && after > BigInt(1 + priority) * BigInt(limit.memory) / 256n
  }

  private overCount (name: string, { kind, direction, fileDescriptors, limit: own, ...leaf }: Holder): Resource | undefined {
    const limit = name === leaf.name ? own : this.limitOf(name)
    const count = this.count(name)
    const asked: Array<[Resource, number]> = kind === 'stream'
      ? [[`${direction ?? 'inbound'}Streams`, 1], ['streams', 1]]
      : [[`${direction ?? 'inbound'}Connections`, 1], ['connections', 1], ['fileDescriptors', fileDescriptors]]

    for (const [resource, more] of asked) {
      if (more > 0 && currentOf(count, resource) + more > limit[resource]) {
        return resource
      }
    }
  }

  private refusal (name: string, resource: Resource): Refusal {
    return { name: 'ResourceLimitExceededError', scope: name, resource, current: currentOf(this.count(name), resource) }
  }

  private limitOf (name: string): ConcreteLimit {
    const [kind, ...rest] = name.split(':')
    const key = rest.join(':')
    const [parent, peer] = key.split('.peer:')

    return this.limits.limitFor((peer == null ? kind : `${kind}Peer`) as ScopeKind, parent)
  }

  private touch (name: string): void {
    const [kind, ...rest] = name.split(':')
    const key = rest.join(':')

    if (kind === 'peer') {
      this.peers.add(key)
    } else if (kind === 'protocol') {
      this.protocols.add(key)
    } else if (kind === 'service') {
      this.services.add(key)
    }
  }

  private unused (name: string): boolean {
    return Object.values(this.count(name)).every(count => count === 0) &&
      !this.holders.some(holder => !holder.closed && holder.owner?.name === name)
  }

  /**
   * The scope is made anew at next use, and counts its spans from 1 again
   */
  private forget (name: string): void {
    const index = this.holders.findIndex(holder => holder.kind === 'fixed' && holder.name === name)

    if (index !== -1) {
      this.holders[index].closed = true
      this.holders.splice(index, 1)
    }
  }
}

function currentOf (count: ScopeStat, resource: Resource): number {
  switch (resource) {
    case 'streams':
      return count.inboundStreams + count.outboundStreams
    case 'connections':
      return count.inboundConnections + count.outboundConnections
    default:
      return count[resource]
  }
}
