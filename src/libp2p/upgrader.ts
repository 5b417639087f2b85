/**
 * @file Every connection passes through the upgrader, whoever opened it: its
 * scope opens here, first thing, or is claimed from the dial.
 */

import { ConnectionEnds, drop } from './connection-end.ts'
import { accountConnection } from './memory/connections.ts'
import { override } from './override.ts'
import { endRecord } from './scope-map.ts'
import type { ConnectionRecords } from './connection-records.ts'
import type { Failures } from './failures.ts'
import type { FairShare } from './memory/fair-share.ts'
import type { ConnectionRecord, ScopeMap } from './scope-map.ts'
import type { PendingDials } from './transport-manager.ts'
import type { Direction } from '../core/types.ts'
import type { MultiaddrConnection, StreamMuxerFactory, Upgrader } from '@libp2p/interface'

export interface UpgraderHooks {
  records: ConnectionRecords
  scopes: ScopeMap
  failures: Failures
  share: FairShare
  pending: PendingDials
  /** Decorates the muxer factory that a transport brings along */
  decorateMuxerFactory(factory: StreamMuxerFactory): StreamMuxerFactory
}

export function hookUpgrader (upgrader: Upgrader, hooks: UpgraderHooks): () => void {
  const ends = new ConnectionEnds(hooks.failures)

  const undoInbound = override(upgrader, 'upgradeInbound', original => async (maConn: MultiaddrConnection, options: any) => {
    await upgrade('inbound', maConn, options, async opts => original(maConn, opts), hooks, ends)
  })
  const undoOutbound = override(upgrader, 'upgradeOutbound', original => async (maConn: MultiaddrConnection, options: any) => {
    return upgrade('outbound', maConn, options, async opts => original(maConn, opts), hooks, ends)
  })

  return () => {
    undoOutbound()
    undoInbound()
    ends.dropAll()
  }
}

async function upgrade <T> (direction: Direction, maConn: MultiaddrConnection, options: any, original: (options: any) => Promise<T>, hooks: UpgraderHooks, ends: ConnectionEnds): Promise<T> {
  let record: ConnectionRecord | undefined

  try {
    record = open(direction, maConn, options, hooks, ends)

    if (options?.muxerFactory != null) {
      options = { ...options, muxerFactory: hooks.decorateMuxerFactory(options.muxerFactory) }
    }

    const result = await original(options)
    record.upgrading = undefined

    return result
  } catch (err: any) {
    // one that was handed over, and then refused what a connection costs
    record ??= hooks.scopes.connection(maConn)

    if (record != null) {
      hooks.failures.connection(record, maConn, err)
    }

    // not every transport closes what it could not upgrade
    maConn.abort(err)
    drop(maConn, record)

    if (record != null) {
      endRecord(record)
    }

    throw err
  }
}

function open (direction: Direction, maConn: MultiaddrConnection, options: any, { records, scopes, share, pending }: UpgraderHooks, ends: ConnectionEnds): ConnectionRecord {
  // a transport that had to ask before it had a connection has handed over its scope
  const adopted = scopes.connection(maConn)
  const dialled = pending.claim(maConn, options)

  if (adopted != null && dialled != null) {
    adopted.sockets = dialled.sockets
    endRecord(dialled)
  }

  const record = adopted ?? dialled ?? records.open(direction, maConn.remoteAddr)
  record.maConn = maConn
  record.upgrading = { signal: options?.signal }

  if (adopted != null) {
    records.withBase(adopted.scope)
  }

  scopes.link(maConn, record)
  scopes.link(maConn.timeline, record)
  ends.endWith(record, maConn)
  accountConnection(maConn, record, share)
  record.sockets?.stopLooking()

  return record
}
