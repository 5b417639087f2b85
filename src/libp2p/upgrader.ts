/**
 * @file Every connection passes through the upgrader, whoever opened it: its
 * scope opens here, first thing, or is claimed from the dial.
 */

import { override } from './override.ts'
import { endRecord, endWithObject } from './scope-map.ts'
import { usesFileDescriptor } from './transport-manager.ts'
import type { ConnectionRecord, ScopeMap } from './scope-map.ts'
import type { PendingDials } from './transport-manager.ts'
import type { Direction, ResourceManager } from '../core/types.ts'
import type { MultiaddrConnection, StreamMuxerFactory, Upgrader } from '@libp2p/interface'

export interface UpgraderHooks {
  manager: ResourceManager
  scopes: ScopeMap
  pending: PendingDials
  /** Decorates the muxer factory that a transport brings along */
  decorateMuxerFactory(factory: StreamMuxerFactory): StreamMuxerFactory
}

export function hookUpgrader (upgrader: Upgrader, hooks: UpgraderHooks): () => void {
  const undoInbound = override(upgrader, 'upgradeInbound', original => async (maConn: MultiaddrConnection, options: any) => {
    await upgrade('inbound', maConn, options, async opts => original(maConn, opts), hooks)
  })
  const undoOutbound = override(upgrader, 'upgradeOutbound', original => async (maConn: MultiaddrConnection, options: any) => {
    return upgrade('outbound', maConn, options, async opts => original(maConn, opts), hooks)
  })

  return () => {
    undoOutbound()
    undoInbound()
  }
}

async function upgrade <T> (direction: Direction, maConn: MultiaddrConnection, options: any, original: (options: any) => Promise<T>, hooks: UpgraderHooks): Promise<T> {
  let record: ConnectionRecord | undefined

  try {
    record = open(direction, maConn, options, hooks)

    if (options?.muxerFactory != null) {
      options = { ...options, muxerFactory: hooks.decorateMuxerFactory(options.muxerFactory) }
    }

    return await original(options)
  } catch (err: any) {
    // not every transport closes what it could not upgrade
    maConn.abort(err)

    if (record != null) {
      endRecord(record)
    }

    throw err
  }
}

function open (direction: Direction, maConn: MultiaddrConnection, options: any, { manager, scopes, pending }: UpgraderHooks): ConnectionRecord {
  // a transport that had to ask before it had a connection has handed over its scope
  const adopted = scopes.connection(maConn)
  const dialled = pending.claim(maConn, options)

  if (adopted != null && dialled != null) {
    endRecord(dialled)
  }

  const record = adopted ?? dialled ?? {
    scope: manager.openConnection(direction, usesFileDescriptor(maConn.remoteAddr), maConn.remoteAddr),
    ended: false
  }

  scopes.link(maConn, record)
  scopes.link(maConn.timeline, record)
  endWithObject(record, maConn)
  dropWhenClosed(maConn)

  return record
}

/**
 * How long a connection that the remote has closed may keep its socket, in
 * milliseconds
 */
const LINGER = 2_000

/**
 * TCP says that a connection is closed as soon as the remote has sent its FIN,
 * while the socket lives on, with all that could not be sent, for as long as the
 * remote does not read. `sendReset` destroys it; on a socket that is gone it
 * does nothing.
 */
function dropWhenClosed (maConn: MultiaddrConnection & { sendReset?(): void }): void {
  maConn.addEventListener('close', () => {
    // an abort has done so already
    if (maConn.status !== 'closed') {
      return
    }

    const timer = setTimeout(() => {
      try {
        maConn.sendReset?.()
      } catch (err) {
        // that of WebSockets throws always, the code it closes with is not allowed
        maConn.log.error('could not drop a closed connection - %e', err)
      }
    }, LINGER)
    // must not keep the process alive, browsers have no such thing
    ;(timer as { unref?(): void }).unref?.()
  })
}
