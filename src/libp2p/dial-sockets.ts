/**
 * @file The sockets of the WebSockets that a node dials. Node's WebSocket shows
 * its socket to nobody, waits without end for the remote to answer a close frame,
 * and lives on when js-libp2p gives up a dial before it is open. Its HTTP client
 * tells of the socket that a request goes out on, in the asynchronous context of
 * whoever made the request.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'

const SEND_HEADERS = 'undici:client:sendHeaders'

interface Destroyable {
  destroy(): void
}

const contexts = new AsyncLocalStorage<DialSockets>()
let subscribed = false

function onSendHeaders (message: any): void {
  // HTTP/2, which shares its socket, has no text here
  if (typeof message.headers === 'string' && /\bupgrade: *websocket\b/i.test(message.headers)) {
    contexts.getStore()?.add(message.socket)
  }
}

export class DialSockets {
  private readonly sockets = new Set<Destroyable>()
  private opened = false
  private gone = false

  /**
   * Runs a dial, whose sockets are known from then on
   */
  run <T> (dial: () => T): T {
    if (!subscribed) {
      // not per node: what is to be destroyed may open after its node has stopped
      subscribe(SEND_HEADERS, onSendHeaders)
      subscribed = true
    }

    return contexts.run(this, dial)
  }

  /**
   * What opens from now on is opened by those who use the connection, who run in
   * the same context
   */
  stopLooking (): void {
    this.opened = true
  }

  destroy (): void {
    this.gone = true
    this.sockets.forEach(destroySoon)
    this.sockets.clear()
  }

  add (socket: Destroyable): void {
    if (this.opened) {
      return
    }

    this.gone ? destroySoon(socket) : this.sockets.add(socket)
  }
}

/**
 * Not before the request has been written: the HTTP client would connect anew
 */
function destroySoon (socket: Destroyable): void {
  setImmediate(() => { socket.destroy() })
}
