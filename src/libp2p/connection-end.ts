/**
 * @file The scope of a connection ends with it, and so does its socket: not every
 * transport closes the socket of every connection, and a remote may keep it open
 * from its side.
 */

import { TimeoutError } from '@libp2p/interface'
import { Failures } from './failures.ts'
import { endRecord } from './scope-map.ts'
import type { ConnectionRecord } from './scope-map.ts'
import type { MultiaddrConnection, StreamCloseEvent } from '@libp2p/interface'

/**
 * How long a connection that was closed may keep its socket, in milliseconds
 */
const LINGER = 2_000

/**
 * How long it may keep it when there is something to be sent, in milliseconds.
 * `ws` waits as long.
 */
const LINGER_UNSENT = 30_000

/** `readyState` of a WebSocket that has no socket any more */
const CLOSED = 3

/**
 * What transports have beyond the interface: `sendReset` and `onRemoteReset` are
 * those of `AbstractMessageStream`, `websocket` that of the WebSockets transport.
 * `terminate` is that of `ws`, which listeners use on Node. `socket` is that of
 * TCP.
 */
interface RawConnection extends MultiaddrConnection {
  sendReset?(): void
  onRemoteReset?(): void
  websocket?: WebSocket & { terminate?(): void }
  socket?: { destroyed?: boolean }
}

/**
 * TCP says that a connection is closed as soon as the remote has sent its FIN,
 * while the socket lives on, with all that could not be sent, for as long as the
 * remote does not read. WebSockets says so as soon as a close frame is on its way
 * behind all that is still to be sent.
 */
export class ConnectionEnds {
  /** Connections that have closed and still have their socket */
  private readonly lingering = new Map<RawConnection, { record: ConnectionRecord, timer: ReturnType<typeof setTimeout> }>()
  private readonly failures: Failures
  private stopped = false

  constructor (failures: Failures = new Failures()) {
    this.failures = failures
  }

  endWith (record: ConnectionRecord, maConn: RawConnection): void {
    const end = (event?: StreamCloseEvent): void => {
      this.failures.connection(record, maConn, event?.error)

      if (maConn.status === 'closed') {
        record.ended = true
        maConn.websocket?.addEventListener('close', () => { endRecord(record) }, { once: true })
        this.linger(record, maConn, 0)
      } else {
        endRecord(record)
        drop(maConn, record)
      }
    }

    // it may have died before anybody could listen to it
    if (maConn.status === 'open' || maConn.status === 'closing') {
      maConn.addEventListener('close', end, { once: true })
    } else {
      end()
    }
  }

  /**
   * A node that has stopped keeps no sockets
   */
  dropAll (): void {
    this.stopped = true

    for (const [maConn, { record, timer }] of this.lingering) {
      clearTimeout(timer)
      this.drop(record, maConn)
    }
  }

  private linger (record: ConnectionRecord, maConn: RawConnection, waited: number): void {
    const { websocket } = maConn
    const sending = websocket != null && websocket.readyState !== CLOSED && websocket.bufferedAmount > 0 && waited < LINGER_UNSENT

    if (!sending) {
      endRecord(record)
    }

    if (this.stopped) {
      this.drop(record, maConn)

      return
    }

    const timer = setTimeout(() => {
      if (sending) {
        this.linger(record, maConn, waited + LINGER)
        return
      }

      if (hasSocket(maConn)) {
        this.failures.connection(record, maConn, new TimeoutError('The remote kept the socket of a connection that has ended'), 'close')
      }

      this.drop(record, maConn)
    }, LINGER)
    // must not keep the process alive, browsers have no such thing
    ;(timer as { unref?(): void }).unref?.()
    this.lingering.set(maConn, { record, timer })
  }

  private drop (record: ConnectionRecord, maConn: RawConnection): void {
    this.lingering.delete(maConn)
    endRecord(record)
    drop(maConn, record)
  }
}

/**
 * Of other transports it is not known
 */
function hasSocket ({ websocket, socket }: RawConnection): boolean {
  return websocket == null ? socket?.destroyed === false : websocket.readyState !== CLOSED
}

/**
 * Does nothing to a socket that is gone
 */
export function drop (maConn: RawConnection, record?: ConnectionRecord): void {
  const { websocket } = maConn

  try {
    if (websocket != null) {
      // the end of the socket would be told as another end of the connection
      maConn.onRemoteReset = () => {}

      // `sendReset` closes it with code 1006, at which every WebSocket throws and
      // stays open
      websocket.terminate != null ? websocket.terminate() : websocket.close()
    } else if (maConn.status === 'closed') {
      // an abort has done so already
      maConn.sendReset?.()
    }
  } catch (err) {
    // a transport that fails at that must not take the process with it
    maConn.log.error('could not drop the socket of a connection that has ended - %e', err)
  }

  record?.sockets?.destroy()
}
