/**
 * @file The roles that scopes play: system and transient, services, protocols
 * and peers, connections and streams, and how a connection or stream moves from
 * one place in the DAG to another.
 */

import { EnforcedLimit } from './account.ts'
import { InvalidReservationError, ScopeAttachedError, ScopeNotAttachedError, show } from './errors.ts'
import { optionOf } from './limit.ts'
import { EndableScope, refusedBy, Scope } from './scope.ts'
import type { Account } from './account.ts'
import type { Remote, ResourceLimitExceededError } from './errors.ts'
import type { ScopeEnvironment } from './scope.ts'
import type { ConcreteLimit, ConnectionManagementScope, Limit, PeerScope, ProtocolScope, ScopeKind, ServiceScope, StreamManagementScope } from './types.ts'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Where the named scopes are found
 */
export interface NamedScopes {
  readonly environment: ScopeEnvironment
  /** Where connections and streams belong that no allowlist has let in */
  readonly standard: Realm
  /** Those that have not ended, in no order */
  readonly connections: ConnectionNode[]
  readonly streams: StreamNode[]
  /**
   * Seconds that have passed, counted now and then: to ask a clock for everything
   * that is opened would cost more than to count it
   */
  readonly seconds: number
  peerScope(peer: PeerId): PeerNode
  protocolScope(protocol: string): ProtocolNode
  serviceScope(service: string): ServiceNode
}

/**
 * The pair of scopes at the top that a connection or stream counts in: the
 * ordinary ones or the allowlisted ones
 */
export interface Realm {
  readonly system: RootNode
  readonly transient: RootNode
  /** The accounts above a connection that has no peer yet */
  readonly aboveConnection: readonly Account[]
}

/**
 * What the gates before the scopes know of one connection
 */
export interface ConnectionAdmission extends Remote {
  /**
   * Takes the place of the connection among those of its address, for good or
   * until `leave`
   *
   * @param moved - the connection was let in by the allowlist, wrongly as it
   * turned out: its rate is not asked again
   */
  enter(moved: boolean): ResourceLimitExceededError | undefined

  /** Takes the place although it was refused, where refusals are only observed */
  enterAnyway(): void

  /** Gives back what `enter` has taken */
  leave(): void

  /** Whether the allowlist has the address for anyone whose peer ID is not known yet */
  allowsAddress(): boolean

  /** Whether the allowlist has the address for this peer */
  allowsPeer(peer: PeerId): boolean
}

/**
 * What the gates before the scopes know of streams. A gate that is not there
 * costs nothing.
 */
export interface StreamAdmission {
  inboundStream?(peer: string): ResourceLimitExceededError | undefined
  inboundProtocol?(protocol: string): ResourceLimitExceededError | undefined
}

/**
 * A scope that does not end by itself
 */
abstract class LastingNode extends Scope {
  /**
   * Whether a limit was set for this very scope while running, which collecting
   * it, or asking for its limit again, would forget
   */
  sticky = false

  readonly environment: ScopeEnvironment
  readonly kind: ScopeKind

  constructor (environment: ScopeEnvironment, kind: ScopeKind, limit: ConcreteLimit) {
    super(environment, new EnforcedLimit(limit))
    this.environment = environment
    this.kind = kind
  }

  setLimit (limit: Limit): void {
    super.setLimit(limit)
    this.sticky = true
  }
}

/**
 * System and transient, and their allowlisted twins
 */
export class RootNode extends LastingNode {
  get name (): string {
    return this.kind
  }
}

/**
 * A scope that is found by its name, made when first used and collected when
 * nobody uses it
 */
export abstract class NamedNode extends LastingNode {
  key: string

  // kept because whom a limit refuses once, it refuses often
  private optionName?: string

  constructor (environment: ScopeEnvironment, kind: ScopeKind, limit: ConcreteLimit, key: string, above: readonly Account[]) {
    super(environment, kind, limit)
    this.key = key
    this.account.above = above
  }

  get option (): string {
    this.optionName ??= optionOf(this.kind, this.key)

    return this.optionName
  }

  /**
   * Called when its name has turned out to be another one of what it stands for
   */
  rename (key: string): void {
    this.key = key
    this.optionName = undefined
    this.account.forgetName()
  }

  get unused (): boolean {
    return this.account.empty && this.account.holds === 0 && !this.sticky
  }

  /**
   * Called when it is collected, whoever kept it can use it no more
   */
  collect (): void {
    this.end()
  }
}

export class PeerNode extends NamedNode implements PeerScope {
  private readonly id: PeerId

  /**
   * Connections from addresses that the allowlist has for this peer. While there
   * are any, its streams may use the allowlisted scopes as well.
   */
  allowlisted = 0

  private readonly streamEdges: readonly Account[]
  private readonly connectionEdges: readonly Account[]
  private readonly home: Realm

  constructor (environment: ScopeEnvironment, limit: ConcreteLimit, peer: PeerId, home: Realm) {
    super(environment, 'peer', limit, peer.toString(), [home.system.account])
    this.id = peer
    this.home = home
    this.streamEdges = this.streamsIn(home)
    this.connectionEdges = this.connectionsIn(home)
  }

  get name (): string {
    return `peer:${this.key}`
  }

  get peer (): PeerId {
    return this.id
  }

  /**
   * The accounts above a stream that is not negotiated. All streams of a peer
   * share one array.
   */
  aboveStream (realm: Realm): readonly Account[] {
    return realm === this.home ? this.streamEdges : this.streamsIn(realm)
  }

  /**
   * The accounts above a connection of this peer
   */
  aboveConnection (realm: Realm): readonly Account[] {
    return realm === this.home ? this.connectionEdges : this.connectionsIn(realm)
  }

  private streamsIn (realm: Realm): readonly Account[] {
    return [this.account, realm.transient.account, realm.system.account]
  }

  private connectionsIn (realm: Realm): readonly Account[] {
    return [this.account, realm.system.account]
  }
}

/**
 * What one peer uses of one service or protocol. Nothing is reserved here
 * directly, so it has no scopes above.
 */
export class PerPeerNode extends NamedNode {
  private readonly parent: NamedNode
  protected readonly peerNode: PeerNode

  constructor (environment: ScopeEnvironment, kind: ScopeKind, limit: ConcreteLimit, key: string, parent: NamedNode, peer: PeerNode) {
    super(environment, kind, limit, key, [])
    this.parent = parent
    this.peerNode = peer
  }

  get name (): string {
    return `${this.parent.name}.${this.peerNode.name}`
  }

  get peer (): PeerId {
    return this.peerNode.peer
  }
}

/**
 * What one peer uses of one protocol, and the accounts above its streams
 */
export class ProtocolPeerNode extends PerPeerNode {
  private readonly home: Realm
  private readonly streamEdges: readonly Account[]
  private lastService?: { service: ServiceNode, servicePeer: PerPeerNode, streamEdges: readonly Account[] }
  readonly protocolNode: ProtocolNode

  constructor (environment: ScopeEnvironment, limit: ConcreteLimit, key: string, protocol: ProtocolNode, peer: PeerNode, home: Realm) {
    super(environment, 'protocolPeer', limit, key, protocol, peer)
    this.protocolNode = protocol
    this.home = home
    this.streamEdges = this.streamsIn(home)
  }

  aboveStream (realm: Realm): readonly Account[] {
    return realm === this.home ? this.streamEdges : this.streamsIn(realm)
  }

  /**
   * What this peer uses of a service. A protocol hardly ever belongs to more than
   * one service, so it is enough to keep the last one. It goes with the peer, as
   * this scope does.
   */
  servicePeer (service: ServiceNode): PerPeerNode {
    return this.withService(service).servicePeer
  }

  aboveServiceStream (realm: Realm, service: ServiceNode): readonly Account[] {
    const { servicePeer, streamEdges } = this.withService(service)

    return realm === this.home ? streamEdges : this.serviceStreamsIn(realm, service, servicePeer)
  }

  private withService (service: ServiceNode): NonNullable<typeof this.lastService> {
    if (this.lastService?.service !== service) {
      const servicePeer = service.forPeer(this.peerNode)
      this.lastService = { service, servicePeer, streamEdges: this.serviceStreamsIn(this.home, service, servicePeer) }
    }

    return this.lastService
  }

  private streamsIn (realm: Realm): readonly Account[] {
    return [this.peerNode.account, this.account, this.protocolNode.account, realm.system.account]
  }

  private serviceStreamsIn (realm: Realm, service: ServiceNode, servicePeer: PerPeerNode): readonly Account[] {
    return [this.peerNode.account, this.account, servicePeer.account, this.protocolNode.account, service.account, realm.system.account]
  }
}

/**
 * A service or protocol: the scope of all its streams, and those of each peer
 */
abstract class ScopeWithPeers<T extends PerPeerNode> extends NamedNode {
  readonly peers = new Map<PeerNode, T>()

  forPeer (peer: PeerNode): T {
    let node = this.peers.get(peer)

    if (node === undefined) {
      node = this.create(peer)
      this.peers.set(peer, node)
      this.environment.tracer?.created(node.account)
    }

    return node
  }

  forgetPeer (peer: PeerNode): void {
    this.peers.get(peer)?.collect()
    this.peers.delete(peer)
  }

  collect (): void {
    super.collect()

    for (const node of this.peers.values()) {
      node.collect()
    }

    this.peers.clear()
  }

  protected abstract create (peer: PeerNode): T
}

export class ProtocolNode extends ScopeWithPeers<ProtocolPeerNode> implements ProtocolScope {
  readonly protocol: string
  private readonly peerLimit: () => ConcreteLimit
  private readonly home: Realm

  constructor (environment: ScopeEnvironment, limit: ConcreteLimit, protocol: string, home: Realm, peerLimit: () => ConcreteLimit) {
    super(environment, 'protocol', limit, protocol, [home.system.account])
    this.protocol = protocol
    this.home = home
    this.peerLimit = peerLimit
  }

  get name (): string {
    return `protocol:${this.key}`
  }

  protected create (peer: PeerNode): ProtocolPeerNode {
    return new ProtocolPeerNode(this.environment, this.peerLimit(), this.protocol, this, peer, this.home)
  }
}

export class ServiceNode extends ScopeWithPeers<PerPeerNode> implements ServiceScope {
  private readonly peerLimit: (service: string) => ConcreteLimit

  constructor (environment: ScopeEnvironment, limit: ConcreteLimit, service: string, home: Realm, peerLimit: (service: string) => ConcreteLimit) {
    super(environment, 'service', limit, service, [home.system.account])
    this.peerLimit = peerLimit
  }

  get service (): string {
    return this.key
  }

  get name (): string {
    return `service:${this.key}`
  }

  rename (key: string): void {
    const nodes = [this, ...this.peers.values()]
    const before = nodes.map(({ name }) => name)
    super.rename(key)

    for (const node of this.peers.values()) {
      node.rename(key)
    }

    nodes.forEach((node, i) => { this.environment.tracer?.renamed(node.account, before[i]) })
  }

  protected create (peer: PeerNode): PerPeerNode {
    return new PerPeerNode(this.environment, 'servicePeer', this.peerLimit(this.key), this.key, this, peer)
  }
}

export class ConnectionNode extends EndableScope implements ConnectionManagementScope {
  peerScope?: PeerNode

  readonly number: number
  /** In `seconds` of the named scopes */
  readonly openedAt: number
  private readonly named: NamedScopes
  private readonly admission?: ConnectionAdmission
  private realm: Realm
  private allowlisted = false
  /** In the list of those that are open */
  place = -1

  constructor (limit: EnforcedLimit, number: number, named: NamedScopes, realm: Realm, admission?: ConnectionAdmission) {
    super(named.environment, limit)
    this.number = number
    this.openedAt = named.seconds
    this.named = named
    this.realm = realm
    this.admission = admission
  }

  get environment (): ScopeEnvironment {
    return this.named.environment
  }

  get kind (): ScopeKind {
    return 'connection'
  }

  get name (): string {
    return `conn-${this.number}`
  }

  get peer (): PeerId | undefined {
    return this.peerScope?.peer
  }

  get endpoint (): Multiaddr | undefined {
    return this.admission?.endpoint
  }

  /**
   * Asks the scope itself and all above for room for one connection, takes nothing
   */
  check (inbound: boolean, fileDescriptors: number): ResourceLimitExceededError | undefined {
    const above = this.realm.aboveConnection
    let by = this.account
    let blocked = by.blocksConnection(inbound, fileDescriptors)

    for (let i = 0; blocked === undefined && i < above.length; i++) {
      by = above[i]
      blocked = by.blocksConnection(inbound, fileDescriptors)
    }

    if (blocked !== undefined) {
      return refusedBy(this, by, blocked, 1, inbound ? 'inbound' : 'outbound', undefined, fileDescriptors)
    }
  }

  /**
   * Takes what was checked
   */
  take (inbound: boolean, fileDescriptors: number): void {
    const own = this.account
    const above = this.realm.aboveConnection

    if (inbound) {
      own.inboundConnections = 1
    } else {
      own.outboundConnections = 1
    }

    own.fileDescriptors = fileDescriptors
    own.above = above
    this.place = this.named.connections.push(this) - 1

    for (let i = 0; i < above.length; i++) {
      above[i].add(own)
    }

    this.environment.tracer?.taken(own)
  }

  setPeer (peer: PeerId): void {
    this.assertOpen()

    if (this.peerScope !== undefined) {
      throw new ScopeAttachedError(this.name, this.peerScope.name)
    }

    assertPeer(peer)

    // the allowlist may have had the address for somebody else
    const { standard } = this.named
    const allowlisted = this.admission?.allowsPeer(peer) === true
    const moves = this.realm !== standard && !allowlisted

    // the scopes it passes through are asked in this order, the gate last
    let refusal = moves
      ? blockedBy(standard.system.account, this.account) ?? blockedBy(standard.transient.account, this.account)
      : undefined

    if (refusal !== undefined && this.environment.enforces(refusal, { peer, endpoint: this.endpoint })) {
      throw refusal
    }

    const scope = this.named.peerScope(peer)
    refusal ??= blockedBy(scope.account, this.account) ?? (moves ? this.admission?.enter(true) : undefined)

    if (refusal !== undefined && this.environment.enforces(refusal, { peer, endpoint: this.endpoint })) {
      throw refusal
    }

    if (moves) {
      this.goHome(scope)
    } else {
      this.realm.transient.account.subtract(this.account)
      scope.account.add(this.account)
      this.environment.tracer?.moved(this.account, [this.realm.transient.account], [scope.account])
    }

    if (allowlisted) {
      this.allowlisted = true
      scope.allowlisted++
    }

    this.account.above = scope.aboveConnection(this.realm)
    this.peerScope = scope

    if (refusal !== undefined) {
      this.environment.observed(refusal)
    }
  }

  /**
   * Everybody has agreed: only now are the allowlisted scopes left
   */
  private goHome (scope: PeerNode): void {
    const { above } = this.account
    const { standard } = this.named
    const into = [standard.system.account, scope.account]

    above.forEach(account => { account.subtract(this.account) })
    into.forEach(account => { account.add(this.account) })
    this.environment.tracer?.moved(this.account, above, into)
    this.admission?.enterAnyway()
    this.realm = standard
  }

  done (): void {
    if (this.account.closed) {
      return
    }

    this.end()
    takeOut(this, this.named.connections)
    this.admission?.leave()

    if (this.allowlisted && this.peerScope !== undefined) {
      this.peerScope.allowlisted--
    }
  }
}

export class StreamNode extends EndableScope implements StreamManagementScope {
  readonly peerScope: PeerNode
  serviceScope?: ServiceNode

  private protocolPeer?: ProtocolPeerNode
  readonly number: number
  /** In `seconds` of the named scopes */
  readonly openedAt: number
  private readonly named: NamedScopes
  private readonly realm: Realm
  private readonly admission?: StreamAdmission
  /** In the list of those that are open */
  place = -1

  constructor (limit: EnforcedLimit, number: number, named: NamedScopes, realm: Realm, peer: PeerNode, admission?: StreamAdmission) {
    super(named.environment, limit)
    this.number = number
    this.openedAt = named.seconds
    this.named = named
    this.realm = realm
    this.peerScope = peer
    this.admission = admission
  }

  get environment (): ScopeEnvironment {
    return this.named.environment
  }

  get kind (): ScopeKind {
    return 'stream'
  }

  get name (): string {
    return `stream-${this.number}`
  }

  get peer (): PeerId {
    return this.peerScope.peer
  }

  get protocolScope (): ProtocolNode | undefined {
    return this.protocolPeer?.protocolNode
  }

  /**
   * Asks the scope itself and all above for room for one stream, takes nothing
   */
  check (inbound: boolean): ResourceLimitExceededError | undefined {
    const above = this.peerScope.aboveStream(this.realm)
    let by = this.account
    let blocked = by.blocksStream(inbound)

    for (let i = 0; blocked === undefined && i < above.length; i++) {
      by = above[i]
      blocked = by.blocksStream(inbound)
    }

    if (blocked !== undefined) {
      return refusedBy(this, by, blocked, 1, inbound ? 'inbound' : 'outbound')
    }
  }

  /**
   * Takes what was checked
   */
  take (inbound: boolean): void {
    const own = this.account
    const above = this.peerScope.aboveStream(this.realm)

    if (inbound) {
      own.inboundStreams = 1
    } else {
      own.outboundStreams = 1
    }

    own.above = above
    this.place = this.named.streams.push(this) - 1

    for (let i = 0; i < above.length; i++) {
      above[i].add(own)
    }

    this.environment.tracer?.taken(own)
  }

  setProtocol (protocol: string): void {
    this.assertOpen()

    if (this.protocolScope !== undefined) {
      throw new ScopeAttachedError(this.name, this.protocolScope.name)
    }

    const scope = this.named.protocolScope(protocol)
    let refusal = blockedBy(scope.account, this.account)
    let scopeOfPeer: ProtocolPeerNode | undefined

    if (refusal === undefined) {
      scopeOfPeer = scope.forPeer(this.peerScope)
      refusal = blockedBy(scopeOfPeer.account, this.account) ?? this.refusedByRate(protocol)
    }

    if (refusal !== undefined && this.environment.enforces(refusal, this)) {
      throw refusal
    }

    scopeOfPeer ??= scope.forPeer(this.peerScope)

    this.realm.transient.account.subtract(this.account)
    scope.account.add(this.account)
    scopeOfPeer.account.add(this.account)
    this.environment.tracer?.moved(this.account, [this.realm.transient.account], [scope.account, scopeOfPeer.account])
    this.account.above = scopeOfPeer.aboveStream(this.realm)
    this.protocolPeer = scopeOfPeer

    if (refusal !== undefined) {
      this.environment.observed(refusal)
    }
  }

  setService (service: string): void {
    this.assertOpen()

    if (this.serviceScope !== undefined) {
      throw new ScopeAttachedError(this.name, this.serviceScope.name)
    }

    if (this.protocolPeer === undefined) {
      throw new ScopeNotAttachedError(this.name)
    }

    const scope = this.named.serviceScope(service)
    let refusal = blockedBy(scope.account, this.account)
    let scopeOfPeer: PerPeerNode | undefined

    if (refusal === undefined) {
      scopeOfPeer = this.protocolPeer.servicePeer(scope)
      refusal = blockedBy(scopeOfPeer.account, this.account)
    }

    if (refusal !== undefined && this.environment.enforces(refusal, this)) {
      throw refusal
    }

    scopeOfPeer ??= this.protocolPeer.servicePeer(scope)

    scope.account.add(this.account)
    scopeOfPeer.account.add(this.account)
    this.environment.tracer?.moved(this.account, [], [scope.account, scopeOfPeer.account])
    this.account.above = this.protocolPeer.aboveServiceStream(this.realm, scope)
    this.serviceScope = scope

    if (refusal !== undefined) {
      this.environment.observed(refusal)
    }
  }

  done (): void {
    if (this.account.closed) {
      return
    }

    this.end()
    takeOut(this, this.named.streams)
  }

  private refusedByRate (protocol: string): ResourceLimitExceededError | undefined {
    if (this.account.inboundStreams > 0 && this.peerScope.allowlisted === 0) {
      return this.admission?.inboundProtocol?.(protocol)
    }
  }
}

/**
 * The last one takes the place: in a Set this would take half as long as the rest
 * of the life of a connection
 */
function takeOut <T extends { place: number }> (scope: T, list: T[]): void {
  const last = list.pop()

  if (last !== undefined && last !== scope) {
    list[scope.place] = last
    last.place = scope.place
  }
}

/**
 * Why an account has no room for all that a connection or stream holds. What
 * moves was let in before, so no lower priority than the highest holds it up.
 */
function blockedBy (account: Account, leaf: Account): ResourceLimitExceededError | undefined {
  const blocked = account.blocks(leaf)

  if (blocked === undefined) {
    return
  }

  const scope = account.holder as Scope

  if (blocked === 'memory') {
    return refusedBy(scope, account, blocked, leaf.memory, undefined, 255)
  }

  return refusedBy(scope, account, blocked, 1, leaf.inboundStreams + leaf.inboundConnections > 0 ? 'inbound' : 'outbound', undefined, leaf.fileDescriptors)
}

/**
 * @throws {InvalidReservationError} unless it is a peer ID
 */
export function assertPeer (peer: PeerId): void {
  if (typeof peer?.toMultihash !== 'function') {
    throw new InvalidReservationError(`The peer is ${show(peer)}, allowed is a PeerId`)
  }
}

/**
 * @throws {InvalidReservationError} unless it is a string
 */
export function assertName (what: string, name: unknown): void {
  if (typeof name !== 'string') {
    throw new InvalidReservationError(`The name of a ${what} is ${show(name)}, allowed is a string`)
  }
}
