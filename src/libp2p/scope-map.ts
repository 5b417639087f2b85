/**
 * @file Which scope belongs to which of js-libp2p's objects. Those are not ours
 * to extend, so what is known of them stands in weak maps.
 */

import type { DialSockets } from './dial-sockets.ts'
import type { ConnectionManagementScope, StreamManagementScope } from '../core/types.ts'
import type { Connection, MessageStreamStatus, MultiaddrConnection, PeerId, Stream, StreamCloseEvent } from '@libp2p/interface'

export interface ConnectionRecord {
  readonly scope: ConnectionManagementScope
  /** Those that the dial of this connection has opened, if they can be known */
  sockets?: DialSockets
  /** Set once the handshake has shown who the remote is */
  peer?: PeerId
  /** The connection is gone, its scope is done */
  ended: boolean
  /** Set once there is one */
  maConn?: MultiaddrConnection
  /** Set while the connection is upgraded */
  upgrading?: { signal?: AbortSignal }
  /** What somebody has aborted the connection with */
  abortedWith?: unknown
  /** The connection has ended with an error, no other one counts */
  failed?: boolean
}

export interface StreamRecord {
  readonly scope: StreamManagementScope
  /** The stream is gone, its scope is done */
  ended: boolean
}

export class ScopeMap {
  /**
   * A connection shows itself as several objects one after the other: the raw
   * connection, the protected one, the encrypted one. `timeline` belongs to the
   * raw one and is shared by the `Connection` that the application sees.
   */
  private readonly connections = new WeakMap<object, ConnectionRecord>()
  private readonly streams = new WeakMap<Stream, StreamRecord>()

  connection (object: object): ConnectionRecord | undefined {
    return this.connections.get(object)
  }

  /**
   * Says that an object is the next form of a connection
   */
  link (object: object, record: ConnectionRecord): void {
    this.connections.set(object, record)
  }

  ofConnection (connection: Connection): ConnectionRecord | undefined {
    return this.connections.get(connection.timeline)
  }

  stream (stream: Stream): StreamRecord | undefined {
    return this.streams.get(stream)
  }

  addStream (stream: Stream, record: StreamRecord): void {
    this.streams.set(stream, record)
  }
}

/**
 * Ends a record when its object closes, at once if it is closed already: an
 * object may have died before anybody could listen to it. `onEnded` is called
 * when the scope has given everything back, with the event if there was one.
 */
export function endWithObject (record: ConnectionRecord | StreamRecord, object: { status: MessageStreamStatus, addEventListener(type: 'close', listener: (event: StreamCloseEvent) => void, options: { once: true }): void }, onEnded?: (event?: StreamCloseEvent) => void): void {
  const end = (event?: StreamCloseEvent): void => {
    endRecord(record)
    onEnded?.(event)
  }

  if (object.status === 'open' || object.status === 'closing') {
    object.addEventListener('close', end, { once: true })
  } else {
    end()
  }
}

export function endRecord (record: ConnectionRecord | StreamRecord): void {
  record.ended = true
  record.scope.done()
}
