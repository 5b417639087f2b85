/**
 * @file What is known of a connection or stream that has failed.
 */

import type { Direction } from './types.ts'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * How far it had come: `upgrade` until a connection is encrypted and has its
 * muxer, `negotiation` until a stream has its protocol, `open` from then on.
 * `close` is a connection whose remote kept the socket after it had ended.
 */
export type FailureStage = 'upgrade' | 'negotiation' | 'open' | 'close'

/**
 * A connection or stream that ended with an error, and not because a limit has
 * refused something
 */
export interface Failure {
  kind: 'connection' | 'stream'
  direction: Direction
  stage: FailureStage
  /** The name of the error, or the code of one that has no name of its own, such as `ECONNRESET` */
  reason: string
  error: Error
  /** Name of the scope of the connection or stream */
  scope: string
  /** Unset until the handshake of the connection has shown it */
  peer?: PeerId
  /** The address of the connection */
  endpoint?: Multiaddr
}

/**
 * An error may be anything that somebody throws
 */
export function reasonOf (error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: unknown, code?: unknown }

  if (typeof name !== 'string' || name === '' || name === 'Error') {
    return typeof code === 'string' ? code : 'Error'
  }

  return name
}
