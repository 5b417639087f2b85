/**
 * @file Dials ask before a socket is opened. The scope waits for the upgrade of
 * the connection that the dial makes, which claims it.
 */

import { DialSockets } from './dial-sockets.ts'
import { override } from './override.ts'
import { endRecord } from './scope-map.ts'
import type { ConnectionRecords } from './connection-records.ts'
import type { ConnectionRecord } from './scope-map.ts'
import type { Connection, MultiaddrConnection } from '@libp2p/interface'
import type { TransportManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Most transports hand the options of a dial on to the upgrader, which tells
 * apart any two dials.
 */
const dialSymbol = Symbol('libp2p-resource-manager:dial')

export class PendingDials {
  /**
   * For transports that do not hand options on: `remoteAddr` of what they hand
   * over is the very object that was dialled, maybe more than once at a time.
   */
  private readonly byAddress = new WeakMap<Multiaddr, ConnectionRecord[]>()
  private readonly unclaimed = new Set<ConnectionRecord>()

  add (address: Multiaddr, record: ConnectionRecord): Record<symbol, ConnectionRecord> {
    this.byAddress.set(address, [...this.waiting(address), record])
    this.unclaimed.add(record)

    return { [dialSymbol]: record }
  }

  /**
   * The record of the dial that made a connection, to whoever asks first
   */
  claim (maConn: MultiaddrConnection, options: object): ConnectionRecord | undefined {
    const record = (options as any)?.[dialSymbol] ?? this.waiting(maConn.remoteAddr)[0]

    return this.unclaimed.delete(record) ? record : undefined
  }

  /**
   * The dial is over, one way or the other
   */
  settle (record: ConnectionRecord): void {
    if (this.unclaimed.delete(record)) {
      endRecord(record)
      record.sockets?.destroy()
    }
  }

  private waiting (address: Multiaddr): ConnectionRecord[] {
    return this.byAddress.get(address)?.filter(record => this.unclaimed.has(record)) ?? []
  }
}

export function hookTransportManager (transportManager: TransportManager, records: ConnectionRecords, pending: PendingDials): () => void {
  return override(transportManager, 'dial', original => async (address, options) => {
    const record = records.open('outbound', address)
    record.sockets = isWebSocket(address) ? new DialSockets() : undefined
    const dial = async (): Promise<Connection> => original(address, { ...options, ...pending.add(address, record) })

    try {
      return await (record.sockets == null ? dial() : record.sockets.run(dial))
    } finally {
      pending.settle(record)
    }
  })
}

function isWebSocket (address: Multiaddr): boolean {
  return address.getComponents().some(({ name }) => name === 'ws' || name === 'wss')
}
