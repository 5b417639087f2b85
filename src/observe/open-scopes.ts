/**
 * @file Connections and streams that are open: who has them, for how long, what
 * they hold. The oldest first, for what leaks is old.
 */

import type { ConnectionNode, StreamNode } from '../core/scopes.ts'
import type { Direction } from '../core/types.ts'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

interface OpenScope {
  /** Name of its scope, such as `conn-7` */
  scope: string
  direction: Direction
  /** How long it has been open, in seconds, counted once a second */
  age: number
  /** Bytes that it holds */
  memory: number
}

export interface OpenConnection extends OpenScope {
  /** Undefined until the handshake has shown it, until then the connection is transient */
  peer?: PeerId
  endpoint?: Multiaddr
  fileDescriptors: number
}

export interface OpenStream extends OpenScope {
  peer: PeerId
  /** Undefined until it is negotiated, until then the stream is transient */
  protocol?: string
  service?: string
}

export function openConnection (scope: ConnectionNode, seconds: number): OpenConnection {
  const { account, name, peer, endpoint, openedAt } = scope

  return {
    scope: name,
    direction: account.inboundConnections > 0 ? 'inbound' : 'outbound',
    age: seconds - openedAt,
    peer,
    endpoint,
    fileDescriptors: account.fileDescriptors,
    memory: account.memory
  }
}

export function openStream (scope: StreamNode, seconds: number): OpenStream {
  const { account, name, peer, openedAt } = scope

  return {
    scope: name,
    direction: account.inboundStreams > 0 ? 'inbound' : 'outbound',
    age: seconds - openedAt,
    peer,
    protocol: scope.protocolScope?.protocol,
    service: scope.serviceScope?.service,
    memory: account.memory
  }
}
