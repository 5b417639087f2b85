/**
 * @file A wire between two nodes over TCP, that can be cut and that can go
 * silent, as seen from either end.
 */

import { once } from 'node:events'
import net from 'node:net'

export class Wire {
  private readonly server: net.Server
  private readonly sockets = new Set<net.Socket>()
  private state: 'works' | 'silent' | 'cut' = 'works'
  private target = 0

  private constructor () {
    this.server = net.createServer({ allowHalfOpen: true }, socket => { this.connect(socket) })
  }

  static async create (): Promise<Wire> {
    const wire = new Wire()
    wire.server.listen(0, '127.0.0.1')
    await once(wire.server, 'listening')

    return wire
  }

  get port (): number {
    return (this.server.address() as net.AddressInfo).port
  }

  /**
   * How many sockets the nodes have left open
   */
  get open (): number {
    return [...this.sockets].filter(socket => !socket.readableEnded && !socket.destroyed).length
  }

  /**
   * @param target - the port that connections go to from now on
   */
  restore (target: number): void {
    this.destroy()
    this.target = target
    this.state = 'works'
  }

  /**
   * Both ends see a reset, and so does whoever connects from now on
   */
  cut (): void {
    this.state = 'cut'
    this.sockets.forEach(socket => { socket.resetAndDestroy() })
  }

  /**
   * Nothing arrives any more, not even that the other end has gone
   */
  silence (): void {
    this.state = 'silent'
  }

  async close (): Promise<void> {
    this.destroy()

    if (this.server.listening) {
      const closed = once(this.server, 'close')
      this.server.close()
      await closed
    }
  }

  private destroy (): void {
    this.sockets.forEach(socket => { socket.destroy() })
    this.sockets.clear()
  }

  private connect (socket: net.Socket): void {
    this.add(socket)

    if (this.state === 'cut') {
      socket.resetAndDestroy()
      return
    }

    if (this.state === 'silent') {
      socket.resume()
      return
    }

    const other = net.connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    socket.setNoDelay(true)
    this.add(other)
    this.forward(socket, other)
    this.forward(other, socket)
  }

  private add (socket: net.Socket): void {
    this.sockets.add(socket)
    socket.on('error', () => {})
  }

  private forward (from: net.Socket, to: net.Socket): void {
    from.on('data', data => {
      if (this.state === 'works') {
        to.write(data)
      }
    })
    from.on('end', () => {
      if (this.state === 'works') {
        to.end()
      }
    })
    from.on('error', () => {
      if (this.state === 'works') {
        to.resetAndDestroy()
      }
    })
  }
}
