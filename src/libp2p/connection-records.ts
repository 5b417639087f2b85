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
    return { scope: this.withBase(this.manager.openConnection(direction, usesFileDescriptor(address), address)), ended: false }
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
 * Whether a connection has a socket of its own: over TCP (WebSockets included)
 * or a unix socket. Streams of another connection (circuit relay) and datagrams
 * that share one socket have not.
 */
export function usesFileDescriptor (address: Multiaddr): boolean {
  const names = address.getComponents().map(component => component.name)

  return !names.includes('p2p-circuit') && names.some(name => SOCKETS.has(name))
}
