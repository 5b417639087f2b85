/**
 * @file Sockets that live on when their connection is over.
 *
 * TCP says that a connection is closed as soon as the remote has sent its FIN,
 * while the socket lives on, with all that could not be sent, for as long as the
 * remote does not read. `sendReset` destroys it; on a socket that is gone it
 * does nothing.
 */

import type { MultiaddrConnection } from '@libp2p/interface'

/**
 * How long a connection that the remote has closed may keep its socket, in
 * milliseconds
 */
const LINGER = 2_000

export class LingeringSockets {
  private readonly timers = new Map<MultiaddrConnection, ReturnType<typeof setTimeout>>()
  private stopped = false

  add (maConn: MultiaddrConnection): void {
    if (maConn.status !== 'open' && maConn.status !== 'closing') {
      return
    }

    maConn.addEventListener('close', () => {
      // an abort has destroyed it already
      if (maConn.status !== 'closed') {
        return
      }

      if (this.stopped) {
        this.drop(maConn)
        return
      }

      const timer = setTimeout(() => { this.drop(maConn) }, LINGER)
      // must not keep the process alive, browsers have no such thing
      ;(timer as { unref?(): void }).unref?.()
      this.timers.set(maConn, timer)
    }, { once: true })
  }

  /**
   * A node that has stopped keeps no sockets
   */
  dropAll (): void {
    this.stopped = true

    for (const maConn of this.timers.keys()) {
      this.drop(maConn)
    }
  }

  private drop (maConn: MultiaddrConnection & { sendReset?(): void }): void {
    clearTimeout(this.timers.get(maConn))
    this.timers.delete(maConn)
    maConn.sendReset?.()
  }
}
