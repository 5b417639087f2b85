/**
 * @file Dials ask before a socket is opened. The scope waits for the upgrade of
 * the connection that the dial makes, which claims it.
 */

import { DialSockets } from './dial-sockets.ts'
import { override } from './override.ts'
import { endRecord } from './scope-map.ts'
import type { ConnectionRecord } from './scope-map.ts'
import type { Direction, ResourceManager } from '../core/types.ts'
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

export function hookTransportManager (transportManager: TransportManager, manager: ResourceManager, pending: PendingDials): () => void {
  return override(transportManager, 'dial', original => async (address, options) => {
    const record: ConnectionRecord = {
      scope: manager.openConnection('outbound', usesFileDescriptor('outbound', address), address),
      sockets: hasComponent(address, WEBSOCKETS) ? new DialSockets() : undefined,
      ended: false
    }
    const dial = async (): Promise<Connection> => original(address, { ...options, ...pending.add(address, record) })

    try {
      return await (record.sockets == null ? dial() : record.sockets.run(dial))
    } finally {
      pending.settle(record)
    }
  })
}

const SOCKETS: ReadonlySet<string> = new Set(['tcp', 'unix'])
const WEBSOCKETS: ReadonlySet<string> = new Set(['ws', 'wss'])

/**
 * Whether a connection has a socket of its own: over TCP (WebSockets included),
 * over a unix socket, or over WebRTC, which opens a UDP socket for each (seen
 * with node-datachannel). What comes in over WebRTC-direct shares the one of its
 * listener, as all connections do over QUIC and WebTransport. Streams of another
 * connection (circuit relay) have none.
 */
export function usesFileDescriptor (direction: Direction, address: Multiaddr): boolean {
  const names = address.getComponents().map(({ name }) => name)
  const relayed = names.lastIndexOf('p2p-circuit')

  // a relay that stands before it only carries the signalling
  if (names.includes('webrtc', relayed + 1)) {
    return true
  }

  if (relayed !== -1) {
    return false
  }

  return hasComponent(address, SOCKETS) || (direction === 'outbound' && names.includes('webrtc-direct'))
}

function hasComponent (address: Multiaddr, names: ReadonlySet<string>): boolean {
  return address.getComponents().some(({ name }) => names.has(name))
}
