/**
 * @file Opens the scope of a connection, with what a connection costs before it
 * buffers anything.
 */

import type { ConnectionRecord } from './scope-map.ts'
import type { ConnectionManagementScope, Direction, ResourceManager } from '../core/types.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

export class ConnectionRecords {
  private readonly manager: ResourceManager
  /** In bytes */
  private readonly baseMemory: number

  constructor (manager: ResourceManager, baseMemory: number) {
    this.manager = manager
    this.baseMemory = baseMemory
  }

  /**
   * @throws {ResourceLimitExceededError} if there is no room for it, then nothing is left
   */
  open (direction: Direction, address: Multiaddr): ConnectionRecord {
    return { scope: this.withBase(this.manager.openConnection(direction, usesFileDescriptor(direction, address), address)), ended: false }
  }

  /**
   * @throws {ResourceLimitExceededError} if there is no room for the base, then
   * the scope is done
   */
  withBase (scope: ConnectionManagementScope): ConnectionManagementScope {
    try {
      scope.reserveMemory(this.baseMemory)

      return scope
    } catch (err) {
      scope.done()
      throw err
    }
  }
}

const SOCKETS: ReadonlySet<string> = new Set(['tcp', 'unix'])

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

  return names.some(name => SOCKETS.has(name)) || (direction === 'outbound' && names.includes('webrtc-direct'))
}
