/**
 * @file Installs the parts of this folder in a node, in order, and takes them
 * out again. The only file that knows all of them.
 */

import { hookConnectionGater } from './connection-gater.ts'
import { hookEncrypters, hookProtector } from './encrypters.ts'
import { MuxerHooks } from './muxers.ts'
import { hookRegistrar } from './registrar.ts'
import { hookTransportManager, PendingDials } from './transport-manager.ts'
import { hookUpgrader } from './upgrader.ts'
import type { ScopeMap } from './scope-map.ts'
import type { ResourceManager } from '../core/types.ts'
import type { ConnectionGater, ConnectionProtector, Upgrader } from '@libp2p/interface'
import type { Registrar, TransportManager } from '@libp2p/interface-internal'

/**
 * The components of a node that are hooked into
 */
export interface HookedComponents {
  transportManager: TransportManager
  upgrader: Upgrader
  registrar: Registrar
  connectionGater: ConnectionGater
  connectionProtector?: ConnectionProtector
}

/**
 * `serviceOf` names the service that a protocol belongs to.
 *
 * @returns takes everything out again
 */
export function install (components: HookedComponents, manager: ResourceManager, scopes: ScopeMap, serviceOf: (protocol: string) => string | undefined): () => void {
  const pending = new PendingDials()
  const muxers = new MuxerHooks(manager, scopes)

  const undo = [
    hookRegistrar(components.registrar, scopes, serviceOf),
    muxers.install(components.upgrader),
    hookEncrypters(components.upgrader, scopes, muxers.decorateFactory),
    hookProtector(components.connectionProtector, scopes),
    hookConnectionGater(components, scopes),
    hookUpgrader(components.upgrader, { manager, scopes, pending, decorateMuxerFactory: muxers.decorateFactory }),
    hookTransportManager(components.transportManager, manager, pending)
  ]

  return () => {
    for (const fn of undo.reverse()) {
      fn()
    }
  }
}
