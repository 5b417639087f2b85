/**
 * @file All scopes of one manager: the four at the top, the named ones by their
 * names (made when first used, collected when unused), and the opening of
 * connection and stream scopes.
 */

import { compare } from 'uint8arrays/compare'
import { EnforcedLimit } from './account.ts'
import { InvalidReservationError, show } from './errors.ts'
import { assertName, assertPeer, ConnectionNode, PeerNode, ProtocolNode, RootNode, ServiceNode, StreamNode } from './scopes.ts'
import { ByService, ServiceNames } from './service-names.ts'
import type { Scope, ScopeEnvironment } from './scope.ts'
import type { ConnectionAdmission, NamedNode, NamedScopes, Realm, StreamAdmission } from './scopes.ts'
import type { ConcreteLimit, ConnectionManagementScope, Direction, Limiter, ScopeStat, StreamManagementScope } from './types.ts'
import type { PeerId } from '@libp2p/interface'

/**
 * What every scope holds now. Maps are by name, those per peer by name, then by
 * peer ID. A service that has several names is found by all of them.
 */
export interface ScopeStats {
  system: ScopeStat
  transient: ScopeStat
  allowlistedSystem: ScopeStat
  allowlistedTransient: ScopeStat
  services: Map<string, ScopeStat>
  servicePeers: Map<string, Map<string, ScopeStat>>
  protocols: Map<string, ScopeStat>
  protocolPeers: Map<string, Map<string, ScopeStat>>
  peers: Map<string, ScopeStat>
}

export class ScopeRegistry implements NamedScopes {
  readonly environment: ScopeEnvironment
  readonly standard: Realm
  readonly allowlisted: Realm
  readonly connections: ConnectionNode[] = []
  readonly streams: StreamNode[] = []
  /** Of all connections but those whose limit was set by hand */
  readonly connectionLimit: EnforcedLimit
  /** Of all streams but those whose limit was set by hand */
  readonly streamLimit: EnforcedLimit
  seconds = 0

  private limiter: Limiter
  private readonly services = new Map<string, ServiceNode>()
  private readonly protocols = new Map<string, ProtocolNode>()
  private readonly peers = new Map<string, PeerNode>()
  private readonly streamAdmission?: StreamAdmission
  private readonly names: ServiceNames
  private connectionsOpened = 0
  private streamsOpened = 0

  constructor (environment: ScopeEnvironment, limiter: Limiter, streamAdmission?: StreamAdmission, names: ServiceNames = new ServiceNames()) {
    this.environment = environment
    this.limiter = limiter
    this.streamAdmission = streamAdmission
    this.names = names
    this.connectionLimit = new EnforcedLimit(limiter.limitFor('connection'))
    this.streamLimit = new EnforcedLimit(limiter.limitFor('stream'))
    this.standard = this.realm('system', 'transient')
    this.allowlisted = this.realm('allowlistedSystem', 'allowlistedTransient')
  }

  /**
   * What the gates refuse, or the standard scopes, is tried in the allowlisted
   * scopes if the address is on the allowlist. Only what all of them refuse is a
   * refusal.
   */
  openConnection (direction: Direction, usesFileDescriptor: boolean, admission?: ConnectionAdmission): ConnectionManagementScope {
    const inbound = isInbound(direction)
    const fileDescriptors = usesFileDescriptor ? 1 : 0

    let scope: ConnectionNode | undefined
    let refusal = admission?.enter(false)

    if (refusal === undefined) {
      scope = this.newConnection(this.standard, admission)
      refusal = scope.check(inbound, fileDescriptors)
    }

    if (refusal !== undefined && admission?.allowsAddress() === true) {
      const allowlisted = this.newConnection(this.allowlisted, admission)
      refusal = allowlisted.check(inbound, fileDescriptors)

      if (refusal === undefined) {
        // who is in the allowlisted scopes takes no place among the others
        admission.leave()
        this.drop(scope)
        scope = allowlisted
      } else {
        this.drop(allowlisted)
      }
    }

    if (refusal !== undefined && this.environment.enforces(refusal, admission)) {
      this.drop(scope)
      admission?.leave()
      throw refusal
    }

    scope ??= this.newConnection(this.standard, admission)
    scope.take(inbound, fileDescriptors)

    if (refusal !== undefined) {
      admission?.enterAnyway()
      this.environment.observed(refusal)
    }

    return scope
  }

  /**
   * Streams of a peer with an allowlisted connection are tried in the
   * allowlisted scopes when they are refused elsewhere
   */
  openStream (peer: PeerId, direction: Direction): StreamManagementScope {
    const inbound = isInbound(direction)
    const peerScope = this.peerScope(peer)

    let scope = this.newStream(this.standard, peerScope)
    let refusal = (inbound ? this.streamAdmission?.inboundStream?.(peerScope.key) : undefined) ?? scope.check(inbound)

    if (refusal !== undefined && peerScope.allowlisted > 0) {
      const allowlisted = this.newStream(this.allowlisted, peerScope)
      refusal = allowlisted.check(inbound)

      if (refusal === undefined) {
        this.drop(scope)
        scope = allowlisted
      } else {
        this.drop(allowlisted)
      }
    }

    if (refusal !== undefined && this.environment.enforces(refusal, peerScope)) {
      this.drop(scope)
      throw refusal
    }

    scope.take(inbound)

    if (refusal !== undefined) {
      this.environment.observed(refusal)
    }

    return scope
  }

  /**
   * Asks a limiter for the limits of all scopes there are. What it throws comes
   * before anything has changed. With `keepSticky` scopes keep a limit that was set
   * for them by hand.
   *
   * @returns puts the limiter and its answers in place
   */
  prepareLimiter (limiter: Limiter, keepSticky: boolean): () => void {
    const changes: Array<[EnforcedLimit, ConcreteLimit]> = [
      [this.connectionLimit, limiter.limitFor('connection')],
      [this.streamLimit, limiter.limitFor('stream')]
    ]
    const lasting = [...this.rootScopes(), ...this.namedScopes()].filter(({ sticky }) => !(keepSticky && sticky))

    for (const scope of lasting) {
      changes.push([scope.account.enforced, limiter.limitFor(scope.kind, 'key' in scope ? scope.key : undefined)])
    }

    return () => {
      this.limiter = limiter

      for (const [enforced, limit] of changes) {
        enforced.concrete = limit
      }

      for (const scope of lasting) {
        scope.sticky = false
      }
    }
  }

  rootScopes (): RootNode[] {
    return [this.standard.system, this.standard.transient, this.allowlisted.system, this.allowlisted.transient]
  }

  /**
   * All scopes but spans
   */
  * allScopes (): Generator<Scope> {
    yield * this.rootScopes()
    yield * this.namedScopes()
    yield * this.connections
    yield * this.streams
  }

  /**
   * All scopes with a name, those of each peer in services and protocols included
   */
  * namedScopes (): Generator<NamedNode> {
    yield * this.peers.values()

    for (const parent of [...this.services.values(), ...this.protocols.values()]) {
      yield parent
      yield * parent.peers.values()
    }
  }

  peerScope (peer: PeerId): PeerNode {
    assertPeer(peer)

    const key = peer.toString()
    let scope = this.peers.get(key)

    if (scope === undefined) {
      scope = new PeerNode(this.environment, this.limiter.limitFor('peer', key), peer, this.standard)
      this.peers.set(key, scope)
      this.environment.tracer?.created(scope.account)
    }

    return scope
  }

  protocolScope (protocol: string): ProtocolNode {
    let scope = this.protocols.get(protocol)

    if (scope === undefined) {
      assertName('protocol', protocol)
      scope = new ProtocolNode(this.environment, this.limiter.limitFor('protocol', protocol), protocol, this.standard,
        () => this.limiter.limitFor('protocolPeer', protocol))
      this.protocols.set(protocol, scope)
      this.environment.tracer?.created(scope.account)
    }

    return scope
  }

  serviceScope (name: string): ServiceNode {
    const service = this.names.canonical(name)
    let scope = this.services.get(service)

    if (scope === undefined) {
      assertName('service', service)
      scope = new ServiceNode(this.environment, this.limiter.limitFor('service', service), service, this.standard,
        name => this.limiter.limitFor('servicePeer', name))
      this.services.set(service, scope)
      this.environment.tracer?.created(scope.account)
    }

    return scope
  }

  /**
   * Moves the scope of a service, which was used under a name that has turned out
   * to be another one of it. If the service has one already, what is held in the
   * other is given back there.
   */
  renameService (name: string, canonical: string): void {
    const scope = this.services.get(name)

    if (scope !== undefined && !this.services.has(canonical)) {
      this.services.delete(name)
      scope.rename(canonical)
      this.services.set(canonical, scope)
    }
  }

  /**
   * Names in byte order
   */
  listServices (): string[] {
    return sortedNames(this.services)
  }

  /**
   * Names in byte order
   */
  listProtocols (): string[] {
    return sortedNames(this.protocols)
  }

  /**
   * Those that have not ended, the oldest first
   */
  listConnections (): ConnectionNode[] {
    return this.connections.toSorted((a, b) => a.number - b.number)
  }

  /**
   * Those that have not ended, the oldest first
   */
  listStreams (): StreamNode[] {
    return this.streams.toSorted((a, b) => a.number - b.number)
  }

  /**
   * In byte order of the IDs
   */
  listPeers (): PeerId[] {
    return [...this.peers.values()]
      .map(scope => ({ peer: scope.peer, bytes: scope.peer.toMultihash().bytes }))
      .sort((a, b) => compare(a.bytes, b.bytes))
      .map(({ peer }) => peer)
  }

  stat (): ScopeStats {
    return {
      system: this.standard.system.stat(),
      transient: this.standard.transient.stat(),
      allowlistedSystem: this.allowlisted.system.stat(),
      allowlistedTransient: this.allowlisted.transient.stat(),
      services: new ByService(stats(this.services), this.names),
      servicePeers: new ByService(peerStats(this.services), this.names),
      protocols: stats(this.protocols),
      protocolPeers: peerStats(this.protocols),
      peers: stats(this.peers)
    }
  }

  /**
   * Removes peers and protocols that hold nothing, that nobody views or has a
   * span in, and whose limit nobody has set. What one peer uses of services and
   * protocols goes with the peer. Services stay: there are few of them.
   */
  removeUnused (): void {
    for (const [name, scope] of this.protocols) {
      if (scope.unused) {
        scope.collect()
        this.protocols.delete(name)
      }
    }

    for (const [key, scope] of this.peers) {
      if (!scope.unused) {
        continue
      }

      scope.collect()
      this.peers.delete(key)

      for (const parent of [...this.services.values(), ...this.protocols.values()]) {
        parent.forgetPeer(scope)
      }
    }
  }

  /**
   * Runs a callback with a scope that is kept from collection meanwhile, until
   * the promise settles if the callback returns one
   */
  view<S extends Scope, T> (scope: S, fn: (scope: S) => T): T {
    let result: T
    scope.account.holds++

    try {
      result = fn(scope)
    } catch (err) {
      scope.account.holds--
      throw err
    }

    if (isThenable(result)) {
      const release = (): void => { scope.account.holds-- }
      result.then(release, release)
    } else {
      scope.account.holds--
    }

    return result
  }

  private newConnection (realm: Realm, admission?: ConnectionAdmission): ConnectionNode {
    const scope = new ConnectionNode(this.connectionLimit, ++this.connectionsOpened, this, realm, admission)
    this.environment.tracer?.created(scope.account)

    return scope
  }

  private newStream (realm: Realm, peer: PeerNode): StreamNode {
    const scope = new StreamNode(this.streamLimit, ++this.streamsOpened, this, realm, peer, this.streamAdmission)
    this.environment.tracer?.created(scope.account)

    return scope
  }

  /**
   * Nothing was taken for it
   */
  private drop (scope?: Scope): void {
    if (scope !== undefined) {
      this.environment.tracer?.ended(scope.account)
    }
  }

  private realm (system: 'system' | 'allowlistedSystem', transient: 'transient' | 'allowlistedTransient'): Realm {
    const systemNode = new RootNode(this.environment, system, this.limiter.limitFor(system))
    const transientNode = new RootNode(this.environment, transient, this.limiter.limitFor(transient))
    transientNode.account.above = [systemNode.account]
    this.environment.tracer?.created(systemNode.account)
    this.environment.tracer?.created(transientNode.account)

    return {
      system: systemNode,
      transient: transientNode,
      aboveConnection: [transientNode.account, systemNode.account]
    }
  }
}

function isInbound (direction: Direction): boolean {
  if (direction === 'inbound') {
    return true
  }

  if (direction === 'outbound') {
    return false
  }

  throw new InvalidReservationError(`The direction is ${show(direction)}, allowed are 'inbound' and 'outbound'`)
}

function isThenable (value: any): value is PromiseLike<unknown> {
  return typeof value?.then === 'function'
}

const encoder = new TextEncoder()

function sortedNames (scopes: Map<string, unknown>): string[] {
  return [...scopes.keys()]
    .map(name => ({ name, bytes: encoder.encode(name) }))
    .sort((a, b) => compare(a.bytes, b.bytes))
    .map(({ name }) => name)
}

function stats (scopes: Map<string, NamedNode>): Map<string, ScopeStat> {
  return new Map([...scopes].map(([name, scope]) => [name, scope.stat()]))
}

function peerStats (scopes: Map<string, ServiceNode | ProtocolNode>): Map<string, Map<string, ScopeStat>> {
  return new Map([...scopes].map(([name, scope]) => [
    name,
    new Map([...scope.peers].map(([peer, node]) => [peer.peer.toString(), node.stat()]))
  ]))
}
