/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { DESCRIPTORS, dropUnread, eventually, managerOf, MUXERS, TRANSPORTS } from '../fixtures/nodes.ts'
import { createPair, ECHO, expectPairHoldsNothing, HELD, heldStreams, stopPair, unnegotiated } from '../fixtures/pair.ts'
import type { End, Pair } from '../fixtures/pair.ts'
import type { Stream } from '@libp2p/interface'

const ERROR = new Error('Aborted on purpose')

/** Streams of each kind that each side opens */
const COUNT = 8

/**
 * The ways in which one end can end a connection
 */
const ENDS: Record<string, (end: End, other: End) => Promise<unknown> | void> = {
  'closes it': async ({ connection }) => connection.close(),

  'aborts it': ({ connection }) => { connection.abort(ERROR) },

  'closes it and aborts it at once': ({ connection }) => {
    connection.close().catch(() => {})
    connection.abort(ERROR)
  },

  'closes the raw connection': async ({ connection }) => (connection as any).maConn.close(),

  'aborts the raw connection': ({ connection }) => { (connection as any).maConn.abort(ERROR) },

  'aborts the muxer and the raw connection': ({ connection }) => {
    (connection as any).muxer.abort(ERROR)
    ;(connection as any).maConn.abort(ERROR)
  },

  'hangs up': async ({ node }, { node: other }) => node.hangUp(other.peerId),

  stops: async ({ node }) => node.stop(),

  'and the other one close it at once': async (end, other) => Promise.all([end.connection.close(), other.connection.close()]),

  'and the other one abort it at once': (end, other) => {
    end.connection.abort(ERROR)
    other.connection.abort(ERROR)
  },

  'and the other one stop at once': async (end, other) => Promise.all([end.node.stop(), other.node.stop()])
}

describe('the end of a connection', () => {
  let pair: Pair | undefined

  afterEach(async () => {
    await stopPair(pair)
    pair = undefined
  })

  /**
   * Streams in both directions: in use, with data that nobody reads, half
   * closed, and such that have not negotiated
   */
  async function streams (end: End, other: End): Promise<Stream[]> {
    const opened: Stream[] = []

    for (let i = 0; i < COUNT; i++) {
      const echo = await end.connection.newStream(ECHO)
      echo.send(Uint8Array.of(1, 2, 3))

      const unread = await end.connection.newStream(HELD)
      unread.send(new Uint8Array(10_000))

      const half = await end.connection.newStream(HELD)
      half.send(new Uint8Array(10))
      await half.close()

      opened.push(echo, await unnegotiated(end))
    }

    const { inboundStreams, outboundStreams } = managerOf(other.node).stat().system
    await eventually(() => heldStreams(other.node).every(stream => stream.readBufferLength > 0))
    await eventually(() => managerOf(other.node).stat().transient.inboundStreams === COUNT)
    expect(inboundStreams + outboundStreams).to.be.at.least(3 * COUNT)

    return opened
  }

  for (const transport of Object.keys(TRANSPORTS) as Array<keyof typeof TRANSPORTS>) {
    for (const muxer of Object.keys(MUXERS) as Array<keyof typeof MUXERS>) {
      for (const side of ['dialer', 'listener'] as const) {
        for (const [name, finish] of Object.entries(ENDS)) {
          it(`with open streams gives everything back when the ${side} ${name}, over ${transport} with ${muxer}`, async () => {
            pair = await createPair({ transport, muxer })
            const opened = [
              ...await streams(pair.dialer, pair.listener),
              ...await streams(pair.listener, pair.dialer)
            ]

            const [end, other] = side === 'dialer' ? [pair.dialer, pair.listener] : [pair.listener, pair.dialer]

            // js-libp2p closes what it can within a time limit and says so
            await Promise.resolve(finish(end, other)).catch(() => {})

            await eventually(() => opened.every(stream => stream.status !== 'open'))
            dropUnread(...opened)
            await expectPairHoldsNothing(pair)
          })
        }
      }
    }
  }

  it('while streams are being opened gives everything back', async () => {
    pair = await createPair()
    const { dialer, listener } = pair

    const opening = Promise.allSettled(Array.from({ length: 20 }, async () => dialer.connection.newStream(ECHO)))
    const closing = listener.connection.close().catch(() => {})
    const opened = await opening
    await closing

    // some may have made it in time
    expect(opened).to.have.lengthOf(20)
    await expectPairHoldsNothing(pair)
  })

  it('that is not known to one side yet gives everything back', async () => {
    pair = await createPair()
    const { dialer, listener } = pair

    listener.connection.abort(ERROR)
    await Promise.allSettled(Array.from({ length: 20 }, async () => dialer.connection.newStream(ECHO)))

    await expectPairHoldsNothing(pair)
  })

  it('at the moment it opens gives everything back', async () => {
    pair = await createPair()
    const { dialer, listener } = pair
    await dialer.connection.close()
    await expectPairHoldsNothing(pair)

    let seen = 0
    listener.node.addEventListener('connection:open', ({ detail }) => {
      seen++
      detail.abort(ERROR)
    })

    for (let i = 0; i < 10; i++) {
      await dialer.node.dial(listener.node.getMultiaddrs()).catch(() => {})
    }

    await eventually(() => seen > 0)
    await expectPairHoldsNothing(pair)
  })

  it('leaves other connections of the same peer alone', async () => {
    pair = await createPair()
    const { dialer, listener } = pair
    const second = await dialer.node.dial(listener.node.getMultiaddrs(), { force: true })
    await second.newStream(ECHO)
    await dialer.connection.newStream(ECHO)

    await eventually(() => managerOf(listener.node).stat().system.inboundStreams === 2)
    expect(managerOf(dialer.node).stat().system).to.include({ outboundConnections: 2, outboundStreams: 2, fileDescriptors: 2 * DESCRIPTORS })

    await dialer.connection.close()
    await eventually(() => managerOf(listener.node).stat().system.inboundConnections === 1)

    for (const stat of [managerOf(dialer.node).stat().system, managerOf(dialer.node).stat().peers.get(`${listener.node.peerId}`)]) {
      expect(stat).to.include({ outboundConnections: 1, outboundStreams: 1, fileDescriptors: DESCRIPTORS })
    }

    await second.close()
    await expectPairHoldsNothing(pair)
  })
})
