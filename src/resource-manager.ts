/**
 * @file The canonical resource manager: wires the accounting, the limits, the
 * hooks into a node and what observes them into one component.
 */

import { serviceCapabilities } from '@libp2p/interface'
import { TypedEventEmitter } from 'main-event'
import { InvalidLimitError } from './core/errors.ts'
import { ScopeRegistry } from './core/scope-registry.ts'
import { NodeHooks } from './libp2p/node-hooks.ts'
import { automaticLimits, DEFAULT_PROFILE } from './limits/automatic.ts'
import { LimitTable, resolveLimits } from './limits/limits.ts'
import { registerMetrics } from './observe/metrics.ts'
import type { ResourceLimitExceededError } from './core/errors.ts'
import type { ScopeStats } from './core/scope-registry.ts'
import type { ScopeObserver } from './core/scope.ts'
import type { ConnectionManagementScope, ConnectionScope, Direction, PeerScope, ProtocolScope, ResourceManager, ResourceScope, ServiceScope, StreamManagementScope, StreamScope } from './core/types.ts'
import type { HookedComponents } from './libp2p/install.ts'
import type { ServiceProtocols } from './libp2p/services.ts'
import type { ConcreteLimits, Limits } from './limits/limits.ts'
import type { ComponentLogger, Connection, Logger, Metrics, MultiaddrConnection, PeerId, Startable, Stream } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * @default 60_000
 */
export const DEFAULT_COLLECTION_INTERVAL = 60_000

export interface ResourceManagerInit {
  /**
   * What scopes may hold. What is left out has its default, scaled to `memory`
   * and `fileDescriptors`.
   */
  limits?: Limits

  /**
   * How many bytes of memory the default limits are scaled to
   *
   * @default an eighth of what this process may use
   */
  memory?: number

  /**
   * How many file descriptors the default limits are scaled to
   *
   * @default half of what this process may open
   */
  fileDescriptors?: number

  /**
   * The protocols of your own services, by service name. Streams of these
   * protocols count in the scope of the service. Stock js-libp2p services need
   * no entry.
   *
   * @default {}
   */
  services?: ServiceProtocols

  /**
   * How often scopes of peers and protocols that nobody uses are removed, in
   * milliseconds
   *
   * @default 60_000
   */
  collectionInterval?: number
}

export interface ResourceManagerComponents extends HookedComponents {
  logger: ComponentLogger
  metrics?: Metrics
  connectionManager?: Pick<ConnectionManager, 'getMaxConnections'>
}

export interface ResourceManagerEvents {
  /**
   * A reservation was refused; the detail says by which limit
   */
  blocked: CustomEvent<ResourceLimitExceededError>
}

const OPTIONS: ReadonlySet<string> = new Set<keyof ResourceManagerInit>(['limits', 'memory', 'fileDescriptors', 'services', 'collectionInterval'])

export class DefaultResourceManager extends TypedEventEmitter<ResourceManagerEvents> implements ResourceManager, Startable {
  private readonly registry: ScopeRegistry
  private readonly concreteLimits: ConcreteLimits
  private readonly hooks: NodeHooks
  private readonly log?: Logger
  private readonly countRefusal?: (refusal: ResourceLimitExceededError) => void
  private readonly collectionInterval: number
  private timer?: ReturnType<typeof setInterval>

  /**
   * Without the components of a node it is the accounting alone.
   *
   * @throws {InvalidLimitError} if an option makes no sense
   */
  constructor (init: ResourceManagerInit = {}, components?: ResourceManagerComponents) {
    super()

    verifyInit(init)

    const maxConnections = components?.connectionManager?.getMaxConnections() ?? DEFAULT_PROFILE.maxConnections
    this.concreteLimits = resolveLimits(init.limits, automaticLimits(init, { ...DEFAULT_PROFILE, maxConnections }))
    this.registry = new ScopeRegistry({ observer: this.observer() }, new LimitTable(this.concreteLimits))
    this.collectionInterval = init.collectionInterval ?? DEFAULT_COLLECTION_INTERVAL
    this.log = components?.logger.forComponent('libp2p:resource-manager')
    this.countRefusal = components?.metrics == null ? undefined : registerMetrics(components.metrics, this)
    this.hooks = new NodeHooks(this, init.services, components)
    this.hooks.install()
    this.startCollection()
  }

  readonly [Symbol.toStringTag] = 'libp2p-resource-manager'

  readonly [serviceCapabilities]: string[] = [
    '@libp2p/resource-manager'
  ]

  /**
   * A node that starts again is protected again
   */
  beforeStart (): void {
    this.hooks.install()
    this.startCollection()
  }

  start (): void {}

  stop (): void {}

  /**
   * Everything is taken out only after all other components have stopped: they
   * still close connections
   */
  afterStop (): void {
    this.hooks.uninstall()
    this.close()
  }

  openConnection (direction: Direction, usesFileDescriptor: boolean, _endpoint?: Multiaddr): ConnectionManagementScope {
    return this.registry.openConnection(direction, usesFileDescriptor)
  }

  openStream (peer: PeerId, direction: Direction): StreamManagementScope {
    return this.registry.openStream(peer, direction)
  }

  verifySourceAddress (_address: Multiaddr): boolean {
    return false
  }

  viewSystem<T> (fn: (scope: ResourceScope) => T): T {
    return this.registry.view(this.registry.standard.system, fn)
  }

  viewTransient<T> (fn: (scope: ResourceScope) => T): T {
    return this.registry.view(this.registry.standard.transient, fn)
  }

  viewService<T> (service: string, fn: (scope: ServiceScope) => T): T {
    return this.registry.view(this.registry.serviceScope(service), fn)
  }

  viewProtocol<T> (protocol: string, fn: (scope: ProtocolScope) => T): T {
    return this.registry.view(this.registry.protocolScope(protocol), fn)
  }

  viewPeer<T> (peer: PeerId, fn: (scope: PeerScope) => T): T {
    return this.registry.view(this.registry.peerScope(peer), fn)
  }

  close (): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  /**
   * What every scope holds now
   */
  stat (): ScopeStats {
    return this.registry.stat()
  }

  /**
   * The limits that are enforced, with nothing left out
   */
  limits (): ConcreteLimits {
    return this.concreteLimits
  }

  /**
   * The services that have a scope, in byte order
   */
  listServices (): string[] {
    return this.registry.listServices()
  }

  /**
   * The protocols that have a scope, in byte order
   */
  listProtocols (): string[] {
    return this.registry.listProtocols()
  }

  /**
   * The peers that have a scope, in byte order of their IDs
   */
  listPeers (): PeerId[] {
    return this.registry.listPeers()
  }

  /**
   * Removes the scopes of peers and protocols that nobody uses, which otherwise
   * happens once a minute
   */
  removeUnusedScopes (): void {
    this.registry.removeUnused()
  }

  /**
   * The scope of a connection of this node, undefined if it is not managed
   */
  connectionScope (connection: Connection): ConnectionScope | undefined {
    return this.hooks.scopes.ofConnection(connection)?.scope
  }

  /**
   * The scope of a stream of this node, undefined if it is not managed
   */
  streamScope (stream: Stream): StreamScope | undefined {
    return this.hooks.scopes.stream(stream)?.scope
  }

  /**
   * Hands the scope of a connection over to the upgrader, for a transport that
   * must ask before it has a connection: it calls `openConnection` itself, and
   * this before it has the connection upgraded.
   */
  adoptConnection (maConn: MultiaddrConnection, scope: ConnectionManagementScope): void {
    this.hooks.scopes.link(maConn, { scope, ended: false })
  }

  private observer (): ScopeObserver {
    return {
      blocked: err => {
        this.countRefusal?.(err)

        if (this.log?.enabled === true) {
          this.log('%s', err.message)
        }

        if (this.listenerCount('blocked') > 0) {
          this.safeDispatchEvent('blocked', { detail: err })
        }
      },
      overReleased: (scope, released, held) => {
        this.log?.error('%s was to release %d bytes but has only reserved %d, whoever released them has lost count', scope.name, released, held)
      }
    }
  }

  private startCollection (): void {
    if (this.timer != null) {
      return
    }

    this.timer = setInterval(() => { this.removeUnusedScopes() }, this.collectionInterval)
    // must not keep the process alive, browsers have no such thing
    ;(this.timer as { unref?(): void }).unref?.()
  }
}

function verifyInit (init: ResourceManagerInit): void {
  if (init === null || typeof init !== 'object' || Array.isArray(init)) {
    throw new InvalidLimitError('resourceManager options', init, 'an object')
  }

  for (const key of Object.keys(init)) {
    if (!OPTIONS.has(key)) {
      throw new InvalidLimitError(key, init[key as keyof ResourceManagerInit], `one of the options ${[...OPTIONS].join(', ')}`)
    }
  }

  assertNumber('memory', init.memory, 0)
  assertNumber('fileDescriptors', init.fileDescriptors, 0)
  assertNumber('collectionInterval', init.collectionInterval, 1)
}

function assertNumber (name: string, value: unknown, min: number): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value as number >= min)) {
    throw new InvalidLimitError(name, value, `an integer of at least ${min}`)
  }
}
