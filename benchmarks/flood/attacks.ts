/**
 * @file The five attacks. What the node closes or refuses is tried again after a
 * moment, as an attacker would.
 */

import { connect } from 'node:net'
import { setImmediate as breathe, setTimeout as delay } from 'node:timers/promises'
import { getNetConfig } from '@libp2p/utils'
import { setMaxListeners } from 'main-event'
import { SINK } from './plan.ts'
import type { Attack, AttackSizes } from './plan.ts'
import type { Connection, Libp2p, Stream, StreamMuxer } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const RETRY_INTERVAL = 500
const CHUNK = new Uint8Array(64 * 1024)

export class AttackRun implements Record<Attack, () => Promise<void>> {
  /** Connections or streams that were tried */
  tried = 0

  private readonly nodes: Libp2p[]
  private readonly target: Multiaddr
  private readonly sizes: AttackSizes
  private readonly signal: AbortSignal

  constructor (nodes: Libp2p[], target: Multiaddr, sizes: AttackSizes, signal: AbortSignal) {
    this.nodes = nodes
    this.target = target
    this.sizes = sizes
    this.signal = signal
    setMaxListeners(Infinity, signal)
  }

  /**
   * TCP connections that say nothing
   */
  async handshakes (): Promise<void> {
    const { host, port = 0 } = getNetConfig(this.target)

    await this.parallel(this.sizes.sockets, async () => {
      this.tried++

      await new Promise<void>(resolve => {
        const socket = connect({ host, port, signal: this.signal })
        socket.on('error', () => {})
        socket.on('close', () => { resolve() })
        // a node that closes is noticed only while somebody reads
        socket.resume()
      })
    })
  }

  async identities (): Promise<void> {
    await this.parallel(this.sizes.identities, async index => {
      this.tried++
      await closed(await this.dial(this.nodes[index]), this.signal)
    })
  }

  /**
   * Opens streams as fast as it can and never says which protocol they are for
   */
  async unnegotiated (): Promise<void> {
    await this.peers(async connection => {
      const muxer = muxerOf(connection)
      const most = this.sizes.unnegotiated / this.sizes.peers

      while (this.mayGoOn(connection)) {
        for (let i = 0; i < 64 && muxer.streams.length < most; i++) {
          this.tried++
          Promise.resolve(muxer.createStream()).catch(() => {})
        }

        await (muxer.streams.length < most ? breathe() : delay(10))
      }
    })
  }

  /**
   * Opens streams of a protocol of the node and leaves them open
   */
  async streams (): Promise<void> {
    await this.peers(async connection => {
      const most = this.sizes.streams / this.sizes.peers

      while (this.mayGoOn(connection)) {
        const batch = Math.min(16, most - connection.streams.length)
        await Promise.all(Array.from({ length: batch }, async () => this.open(connection)))
        await (batch > 0 ? breathe() : delay(10))
      }
    })
  }

  /**
   * Sends data to a handler that does not read it
   */
  async unread (): Promise<void> {
    await this.peers(async connection => {
      await Promise.all(Array.from({ length: this.sizes.unreadStreams }, async () => {
        while (this.mayGoOn(connection)) {
          const stream = await this.open(connection)

          if (stream != null) {
            await fill(stream, this.sizes.unreadBytes, this.signal)
          }

          await delay(RETRY_INTERVAL)
        }
      }))
    })
  }

  /**
   * Runs a task in each of the peers that open streams, while they have a
   * connection
   */
  private async peers (task: (connection: Connection) => Promise<void>): Promise<void> {
    await this.parallel(this.sizes.peers, async index => {
      const connection = await this.dial(this.nodes[index])
      // js-libp2p drops a connection with many streams before its upgrade is complete
      await delay(100)
      await task(connection)
    })
  }

  /**
   * Runs this many tasks side by side, each over and over until the attack ends
   */
  private async parallel (count: number, task: (index: number) => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: count }, async (_, index) => {
      while (!this.signal.aborted) {
        await task(index).catch(() => {})
        await delay(RETRY_INTERVAL, undefined, { signal: this.signal }).catch(() => {})
      }
    }))
  }

  private async dial (node: Libp2p): Promise<Connection> {
    return node.dial(this.target, { signal: this.signal })
  }

  private async open (connection: Connection): Promise<Stream | undefined> {
    this.tried++

    try {
      return await connection.newStream(SINK, { signal: this.signal, maxOutboundStreams: Infinity })
    } catch {
      return undefined
    }
  }

  private mayGoOn (connection: Connection): boolean {
    return !this.signal.aborted && connection.status === 'open' && muxerOf(connection).status === 'open' && this.tried < this.sizes.attempts
  }
}

/**
 * Not public: nobody but an attacker opens a stream and does not negotiate it
 */
function muxerOf (connection: Connection): StreamMuxer {
  return (connection as any).muxer
}

/**
 * Sends this many bytes as fast as the node lets it, then waits for the stream
 * to close
 */
async function fill (stream: Stream, bytes: number, signal: AbortSignal): Promise<void> {
  const end = closed(stream, signal)

  const send = (): void => {
    while (bytes > 0 && stream.status === 'open' && !stream.writableNeedsDrain) {
      const chunk = CHUNK.subarray(0, Math.min(bytes, CHUNK.byteLength))
      bytes -= chunk.byteLength
      stream.send(chunk)
    }
  }

  // after js-libp2p has sent what was waiting
  stream.addEventListener('drain', () => { setTimeout(send, 0) })
  send()

  await end
}

async function closed (object: Connection | Stream, signal: AbortSignal): Promise<void> {
  if (object.status !== 'open') {
    return
  }

  await new Promise<void>(resolve => {
    (object as EventTarget).addEventListener('close', () => { resolve() })
    signal.addEventListener('abort', () => { resolve() })
  })
}
