/**
 * @file A resource manager that accepts everything, counts nothing and hooks
 * into nothing: how protection is switched off.
 */

import { serviceCapabilities } from '@libp2p/interface'
import type { ConcreteLimit, ConnectionManagementScope, Limit, PeerScope, ProtocolScope, ResourceManager, ResourceScope, ResourceScopeSpan, ScopeStat, ServiceScope, StreamManagementScope } from './core/types.ts'
import type { Connection, PeerId, Stream } from '@libp2p/interface'

const UNLIMITED: ConcreteLimit = Object.freeze({
  streams: Infinity,
  inboundStreams: Infinity,
  outboundStreams: Infinity,
  connections: Infinity,
  inboundConnections: Infinity,
  outboundConnections: Infinity,
  fileDescriptors: Infinity,
  memory: Infinity
})

class NullScope implements ConnectionManagementScope {
  readonly name: string = 'null'
  readonly limit = UNLIMITED

  reserveMemory (_size: number, _priority?: number): void {}
  releaseMemory (_size: number): void {}
  setLimit (_limit: Limit): void {}
  setPeer (_peer: PeerId): void {}
  done (): void {}
  [Symbol.dispose] (): void {}

  beginSpan (): ResourceScopeSpan {
    return this
  }

  stat (): ScopeStat {
    return { inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0, memory: 0 }
  }
}

class NullPeerScope extends NullScope implements PeerScope {
  readonly peer: PeerId

  constructor (peer: PeerId) {
    super()
    this.peer = peer
  }
}

class NullProtocolScope extends NullScope implements ProtocolScope {
  readonly protocol: string

  constructor (protocol: string) {
    super()
    this.protocol = protocol
  }
}

class NullServiceScope extends NullScope implements ServiceScope {
  readonly service: string

  constructor (service: string) {
    super()
    this.service = service
  }
}

class NullStreamScope extends NullScope implements StreamManagementScope {
  readonly peerScope: PeerScope

  constructor (peer: PeerId) {
    super()
    this.peerScope = new NullPeerScope(peer)
  }

  setProtocol (_protocol: string): void {}
  setService (_service: string): void {}
}

export class NullResourceManager implements ResourceManager {
  readonly [Symbol.toStringTag] = 'libp2p-resource-manager'

  readonly [serviceCapabilities]: string[] = [
    '@libp2p/resource-manager'
  ]

  /** There are no scopes */
  connectionScope (_connection: Connection): undefined {}

  /** There are no scopes */
  streamScope (_stream: Stream): undefined {}

  openConnection (): ConnectionManagementScope {
    return new NullScope()
  }

  openStream (peer: PeerId): StreamManagementScope {
    return new NullStreamScope(peer)
  }

  verifySourceAddress (): boolean {
    return false
  }

  viewSystem<T> (fn: (scope: ResourceScope) => T): T {
    return fn(new NullScope())
  }

  viewTransient<T> (fn: (scope: ResourceScope) => T): T {
    return fn(new NullScope())
  }

  viewService<T> (service: string, fn: (scope: ServiceScope) => T): T {
    return fn(new NullServiceScope(service))
  }

  viewProtocol<T> (protocol: string, fn: (scope: ProtocolScope) => T): T {
    return fn(new NullProtocolScope(protocol))
  }

  viewPeer<T> (peer: PeerId, fn: (scope: PeerScope) => T): T {
    return fn(new NullPeerScope(peer))
  }

  close (): void {}
}
