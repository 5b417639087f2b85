/**
 * @file The vocabulary of the accounting: directions, priorities, limits,
 * stats and the shapes of the scopes. Types only, but for the priorities.
 */

import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export type Direction = 'inbound' | 'outbound'

/**
 * How much of a scope's memory limit a reservation may use up. A reservation at
 * priority `p` is let through while use after it is at most
 * `floor((1 + p) * limit / 256)` in every scope that it counts in.
 *
 * Any integer from 0 to 255 is a priority, these are the ones with a name.
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/core/network/rcmgr.go#L137
 */
export const ReservationPriority = {
  /** Up to 40% of the limit: caches, growing a window that works as it is */
  Low: 101,
  /** Up to 60% of the limit */
  Medium: 152,
  /** Up to 80% of the limit */
  High: 203,
  /** The whole limit: what cannot be done without */
  Always: 255
} as const

/**
 * The most that a scope may hold of each resource, limits are inclusive.
 *
 * - `0` lets nothing through
 * - `Infinity` lets everything through
 * - `undefined` (or left out) inherits the value of the defaults
 *
 * A value is a non-negative integer or `Infinity`; a `bigint` is accepted for
 * values that come from a 64-bit configuration.
 */
export interface Limit {
  /** Streams in both directions together */
  streams?: number | bigint
  inboundStreams?: number | bigint
  outboundStreams?: number | bigint
  /** Connections in both directions together */
  connections?: number | bigint
  inboundConnections?: number | bigint
  outboundConnections?: number | bigint
  /** Open sockets and the like */
  fileDescriptors?: number | bigint
  /** Bytes */
  memory?: number | bigint
}

/**
 * A limit with nothing left to inherit
 */
export type ConcreteLimit = Readonly<Required<Limit>>

/**
 * The name of one field of a limit, in errors and metrics: the resource that
 * was asked for
 */
export type Resource = keyof Limit

/**
 * What a scope holds now
 */
export interface ScopeStat {
  inboundStreams: number
  outboundStreams: number
  inboundConnections: number
  outboundConnections: number
  fileDescriptors: number
  /** Bytes */
  memory: number
}

/**
 * Which of the limits of the configuration constrains a scope
 */
export type ScopeKind = 'system' | 'transient' | 'allowlistedSystem' | 'allowlistedTransient' |
  'service' | 'servicePeer' | 'protocol' | 'protocolPeer' | 'peer' | 'connection' | 'stream'

/**
 * Where the core reads the limit of a scope from. It is asked when a scope is
 * made, the answer holds until the scope goes or is given another limit.
 */
export interface Limiter {
  /**
   * @param kind - which kind of scope asks
   * @param name - the name of the service or protocol, or the peer ID as a string
   */
  limitFor(kind: ScopeKind, name?: string): ConcreteLimit
}

/**
 * A place where resources are counted: reserve before use, release after.
 */
export interface ResourceScope {
  /**
   * For logs and errors, such as `system`, `peer:ID`, `conn-7`,
   * `protocol:/echo/1.0.0.peer:ID` or `stream-3.span-1`
   */
  readonly name: string

  /**
   * The limit that is enforced for this scope alone
   */
  readonly limit: ConcreteLimit

  /**
   * Counts `size` bytes in this scope and in all scopes above it
   *
   * @param size - Bytes, an integer, not negative
   * @param priority - 0 to 255, see `ReservationPriority`; 255 if left out
   * @throws {ResourceLimitExceededError} if a scope would go over its limit,
   * then nothing has changed in any of them
   * @throws {ScopeClosedError} if the scope has ended
   * @throws {InvalidReservationError} if size or priority is not a number that makes sense
   */
  reserveMemory(size: number, priority?: number): void

  /**
   * Gives back `size` bytes that were reserved in this very scope. Releasing
   * more than it holds gives back what it holds, on a closed scope it does
   * nothing.
   *
   * @param size - Bytes, an integer, not negative
   * @throws {InvalidReservationError} if size is not a number that makes sense
   */
  releaseMemory(size: number): void

  /**
   * A snapshot of what is held by this scope and all that count in it
   */
  stat(): ScopeStat

  /**
   * Opens a scope that counts in this one and gives back all it holds when it
   * is done, for the resources of one task.
   *
   * @throws {ScopeClosedError} if the scope has ended
   */
  beginSpan(): ResourceScopeSpan

  /**
   * Replaces fields of this scope's limit. What is held already stays. A peer,
   * protocol or service scope whose limit was set is kept from collection.
   *
   * @throws {InvalidLimitError} if a value makes no sense
   * @throws {ScopeClosedError} if the scope has ended
   */
  setLimit(limit: Limit): void
}

export interface ResourceScopeSpan extends ResourceScope {
  /**
   * Gives everything back, the scope cannot be used any more. Can be called
   * repeatedly.
   */
  done(): void

  /**
   * The same as `done`, for `using span = scope.beginSpan()`
   */
  [Symbol.dispose](): void
}

export interface PeerScope extends ResourceScope {
  readonly peer: PeerId
}

export interface ProtocolScope extends ResourceScope {
  readonly protocol: string
}

export interface ServiceScope extends ResourceScope {
  readonly service: string
}

/**
 * The scope of a connection as the application sees it
 */
export interface ConnectionScope extends ResourceScope {
  /** Unset until the peer is known */
  readonly peerScope?: PeerScope | undefined
}

/**
 * The scope of a connection as the one sees it who ends it
 */
export interface ConnectionManagementScope extends ConnectionScope, ResourceScopeSpan {
  /**
   * Moves the connection from the transient scope to that of its peer.
   *
   * @throws {ResourceLimitExceededError} then the connection stays where it is
   * @throws {ScopeAttachedError} if it has a peer
   * @throws {ScopeClosedError} if it is done
   */
  setPeer(peer: PeerId): void
}

/**
 * The scope of a stream as the application sees it
 */
export interface StreamScope extends ResourceScope {
  readonly peerScope: PeerScope
  /** Unset until the protocol is negotiated */
  readonly protocolScope?: ProtocolScope | undefined
  /** Unset unless the stream belongs to a service */
  readonly serviceScope?: ServiceScope | undefined

  /**
   * Counts the stream in the scope of a service as well.
   *
   * @throws {ResourceLimitExceededError} then the stream stays where it is
   * @throws {ScopeNotAttachedError} if it has no protocol yet
   * @throws {ScopeAttachedError} if it has a service
   * @throws {ScopeClosedError} if it is done
   */
  setService(service: string): void
}

/**
 * The scope of a stream as the one sees it who ends it
 */
export interface StreamManagementScope extends StreamScope, ResourceScopeSpan {
  /**
   * Moves the stream from the transient scope to that of its protocol.
   *
   * @throws {ResourceLimitExceededError} then the stream stays where it is
   * @throws {ScopeAttachedError} if it has a protocol
   * @throws {ScopeClosedError} if it is done
   */
  setProtocol(protocol: string): void
}

/**
 * What a node asks before it uses a resource. The canonical implementation is
 * that of `resourceManager()`, any other can take its place.
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/core/network/rcmgr.go
 */
export interface ResourceManager {
  /**
   * Called before a dial, and for every connection that comes in.
   *
   * @param direction - who opened it
   * @param usesFileDescriptor - whether it takes a socket of its own
   * @param endpoint - the address of the remote
   * @throws {ResourceLimitExceededError} if there is no room for it
   * @throws {InvalidReservationError} if the direction is neither
   */
  openConnection(direction: Direction, usesFileDescriptor: boolean, endpoint: Multiaddr): ConnectionManagementScope

  /**
   * Called before a stream is opened, and for every stream that comes in.
   *
   * @throws {ResourceLimitExceededError} if there is no room for it
   * @throws {InvalidReservationError} if the direction is neither
   */
  openStream(peer: PeerId, direction: Direction): StreamManagementScope

  /**
   * Whether a transport that can do so should verify the source address of a
   * new connection before it does any work for it. No transport of js-libp2p
   * asks this today.
   */
  verifySourceAddress(address: Multiaddr): boolean

  /** Runs a callback with the system scope and returns its result */
  viewSystem<T>(fn: (scope: ResourceScope) => T): T
  /** Runs a callback with the transient scope and returns its result */
  viewTransient<T>(fn: (scope: ResourceScope) => T): T
  /** Runs a callback with the scope of a service, made if there is none, and returns its result */
  viewService<T>(service: string, fn: (scope: ServiceScope) => T): T
  /** Runs a callback with the scope of a protocol, made if there is none, and returns its result */
  viewProtocol<T>(protocol: string, fn: (scope: ProtocolScope) => T): T
  /** Runs a callback with the scope of a peer, made if there is none, and returns its result */
  viewPeer<T>(peer: PeerId, fn: (scope: PeerScope) => T): T

  /** Stops all background work. Scopes go on working. */
  close(): void
}
