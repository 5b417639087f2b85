/**
 * @file What the scopes of a manager hold, for those who look.
 */

import { TypedEventEmitter } from 'main-event'
import { InvalidLimitError } from './core/errors.ts'
import { nearLimits } from './observe/near-limits.ts'
import { openConnection, openStream } from './observe/open-scopes.ts'
import type { ScopeRegistry, ScopeStats } from './core/scope-registry.ts'
import type { ConnectionScope, PeerScope, ProtocolScope, ResourceScope, ServiceScope } from './core/types.ts'
import type { ResourceManagerEvents } from './events.ts'
import type { NearLimit } from './observe/near-limits.ts'
import type { OpenConnection, OpenStream } from './observe/open-scopes.ts'
import type { PeerId } from '@libp2p/interface'

/**
 * Which part of a limit is near it
 *
 * @default 0.8
 */
const DEFAULT_NEAR = 0.8

export abstract class ScopeViews extends TypedEventEmitter<ResourceManagerEvents> {
  protected abstract readonly registry: ScopeRegistry

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

  /**
   * What every scope holds now
   */
  stat (): ScopeStats {
    return this.registry.stat()
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
   * The scopes of all connections that have not ended, the oldest first
   */
  listConnections (): ConnectionScope[] {
    return this.registry.listConnections()
  }

  /**
   * All connections that have not ended, the oldest first: who has them, for how
   * long, what they hold
   */
  connections (): OpenConnection[] {
    return this.registry.listConnections().map(scope => openConnection(scope, this.registry.seconds))
  }

  /**
   * All streams that have not ended, the oldest first
   */
  streams (): OpenStream[] {
    return this.registry.listStreams().map(scope => openStream(scope, this.registry.seconds))
  }

  /**
   * The scopes that use at least this fraction of a limit, the fullest first
   *
   * @throws {InvalidLimitError} if it is not a number from 0 to 1
   */
  nearLimits (fraction: number = DEFAULT_NEAR): NearLimit[] {
    if (typeof fraction !== 'number' || !(fraction >= 0 && fraction <= 1)) {
      throw new InvalidLimitError('fraction', fraction, 'a number from 0 to 1')
    }

    return nearLimits(this.registry.allScopes(), fraction)
  }
}
