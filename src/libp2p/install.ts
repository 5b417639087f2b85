/**
 * @file Installs the parts of this folder in a node, in order, and takes them
 * out again. The only file that knows all of them.
 */

import { hookConnectionGater } from './connection-gater.ts'
import { ConnectionRecords } from './connection-records.ts'
import { hookEncrypters, hookProtector } from './encrypters.ts'
import { Failures } from './failures.ts'
import { FairShare } from './memory/fair-share.ts'
import { LeftBehind } from './memory/left-behind.ts'
import { MuxerHooks } from './muxers.ts'
import { hookRegistrar } from './registrar.ts'
import { hookTransportManager, PendingDials } from './transport-manager.ts'
import { hookUpgrader } from './upgrader.ts'
import type { ScopeMap } from './scope-map.ts'
import type { Failure } from '../core/failure.ts'
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

export interface InstallInit {
  manager: ResourceManager
  scopes: ScopeMap
  /** What an open connection and an open stream cost before they buffer anything, in bytes */
  baseMemory: { connection: number, stream: number }
  /** Names the service that a protocol belongs to */
  serviceOf(protocol: string): string | undefined
  /** Told of each connection and stream that has failed */
  onFailure?(failure: Failure): void
}

/**
 * @returns takes everything out again
 */
export function install (components: HookedComponents, { manager, scopes, baseMemory, serviceOf, onFailure }: InstallInit): () => void {
  const share = new FairShare(manager)
  const leftBehind = new LeftBehind(manager)
  const records = new ConnectionRecords(manager, baseMemory.connection)
  const pending = new PendingDials()
  const failures = new Failures(onFailure)
  const muxers = new MuxerHooks({ manager, scopes, failures, share, leftBehind, streamMemory: baseMemory.stream })

  const undo = [
    () => { leftBehind.endAll() },
    hookRegistrar(components.registrar, scopes, serviceOf),
    muxers.install(components.upgrader),
    hookEncrypters(components.upgrader, scopes, share, muxers.decorateFactory),
    hookProtector(components.connectionProtector, scopes, share),
    hookConnectionGater(components, scopes),
    hookUpgrader(components.upgrader, { scopes, failures, share, records, pending, decorateMuxerFactory: muxers.decorateFactory }),
    hookTransportManager(components.transportManager, records, pending)
  ]

  return () => {
    for (const fn of undo.reverse()) {
      fn()
    }
  }
}
