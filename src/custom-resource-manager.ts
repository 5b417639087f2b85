/**
 * @file Hooks a user's own implementation of the `ResourceManager` interface
 * into a node.
 */

import { serviceCapabilities } from '@libp2p/interface'
import { InvalidLimitError } from './core/errors.ts'
import { NodeHooks } from './libp2p/node-hooks.ts'
import { ServiceTable } from './libp2p/services.ts'
import { resolveBaseMemory } from './limits/base-memory.ts'
import type { ConnectionManagementScope, ConnectionScope, Direction, PeerScope, ProtocolScope, ResourceManager, ResourceScope, ServiceScope, StreamManagementScope, StreamScope } from './core/types.ts'
import type { HookedComponents } from './libp2p/install.ts'
import type { ServiceProtocols } from './libp2p/services.ts'
import type { BaseMemory } from './limits/base-memory.ts'
import type { Connection, PeerId, Startable, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export interface CustomResourceManagerInit {
  /**
   * Your own implementation, asked in place of the canonical one. It is yours to
   * close.
   */
  manager: ResourceManager

  /**
   * The protocols of services, by service name, in place of what is known of them
   *
   * @default {}
   */
  services?: ServiceProtocols

  /**
   * What an open connection and an open stream cost before they buffer anything,
   * in bytes. It is reserved in their scopes.
   *
   * @default { connection: 112 KiB, stream: 20 KiB }, measured
   */
  baseMemory?: Partial<BaseMemory>
}

const OPTIONS = ['manager', 'services', 'baseMemory']

export class CustomResourceManager implements ResourceManager, Startable {
  /** The user's own */
  readonly manager: ResourceManager
  private readonly hooks: NodeHooks
  private readonly services: ServiceTable

  /**
   * @throws {InvalidLimitError} if an option makes no sense
   */
  constructor (init: CustomResourceManagerInit, components: HookedComponents) {
    for (const key of Object.keys(init)) {
      if (!OPTIONS.includes(key)) {
        throw new InvalidLimitError(key, init[key as keyof CustomResourceManagerInit], `one of the options ${OPTIONS.join(', ')}: a manager of your own has limits of its own`)
      }
    }

    if (typeof init.manager?.openConnection !== 'function' || typeof init.manager.openStream !== 'function') {
      throw new InvalidLimitError('manager', init.manager, 'an implementation of ResourceManager')
    }

    this.manager = init.manager
    this.services = ServiceTable.of(components.registrar)
    this.services.configure(init.services)
    this.hooks = new NodeHooks(init.manager, { services: this.services, baseMemory: resolveBaseMemory(init.baseMemory) }, components)
    this.hooks.install()
  }

  readonly [Symbol.toStringTag] = 'libp2p-resource-manager'

  readonly [serviceCapabilities]: string[] = [
    '@libp2p/resource-manager'
  ]

  beforeStart (): void {
    this.hooks.install()
  }

  start (): void {}

  stop (): void {}

  afterStop (): void {
    this.hooks.uninstall()
  }

  openConnection (direction: Direction, usesFileDescriptor: boolean, endpoint: Multiaddr): ConnectionManagementScope {
    return this.manager.openConnection(direction, usesFileDescriptor, endpoint)
  }

  openStream (peer: PeerId, direction: Direction): StreamManagementScope {
    return this.manager.openStream(peer, direction)
  }

  verifySourceAddress (address: Multiaddr): boolean {
    return this.manager.verifySourceAddress(address)
  }

  viewSystem<T> (fn: (scope: ResourceScope) => T): T {
    return this.manager.viewSystem(fn)
  }

  viewTransient<T> (fn: (scope: ResourceScope) => T): T {
    return this.manager.viewTransient(fn)
  }

  viewService<T> (service: string, fn: (scope: ServiceScope) => T): T {
    return this.manager.viewService(this.services.names.canonical(service), fn)
  }

  viewProtocol<T> (protocol: string, fn: (scope: ProtocolScope) => T): T {
    return this.manager.viewProtocol(protocol, fn)
  }

  viewPeer<T> (peer: PeerId, fn: (scope: PeerScope) => T): T {
    return this.manager.viewPeer(peer, fn)
  }

  close (): void {
    this.manager.close()
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
}
