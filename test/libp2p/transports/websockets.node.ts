/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { eventually, managerOf, MUXERS } from '../../fixtures/nodes.ts'
import { connectPair, ECHO, expectPairHoldsNothing, handleHeld, HELD, heldStreams, stopPair, unnegotiated } from '../../fixtures/pair.ts'
import { portOf } from '../../fixtures/sockets.ts'
import { pattern, receive } from '../../fixtures/transfer.ts'
import { createWebSocketsNode, socketsOf, untilNoSockets, untilSockets } from '../../fixtures/websockets.ts'
import type { NodeInit } from '../../fixtures/nodes.ts'
import type { End, Pair } from '../../fixtures/pair.ts'

const ERROR = new Error('Aborted on purpose')

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

  'hangs up': async ({ node }, { node: other }) => node.hangUp(other.peerId),

  stops: async ({ node }) => node.stop(),

  'and the other one abort it at once': (end, other) => {
    end.connection.abort(ERROR)
    other.connection.abort(ERROR)
  },

  'and the other one close it at once': async (end, other) => Promise.all([end.connection.close(), other.connection.close()]),

  'and the other one stop at once': async (end, other) => Promise.all([end.node.stop(), other.node.stop()])
}

describe('over WebSockets', () => {
  let pair: Pair
  let port: number

  async function connect (init: NodeInit = {}, listenerInit: NodeInit = init): Promise<Pair> {
    const dialer = await createWebSocketsNode(init)
    const listener = await createWebSocketsNode(listenerInit)
    await handleHeld(dialer)
    await handleHeld(listener)
    port = portOf(listener)
    pair = await connectPair(dialer, listener)

    return pair
  }

  afterEach(async () => {
    await stopPair(pair)
  })

  it('a connection counts once at each end, with its socket, and so do its streams', async () => {
    const { dialer, listener } = await connect()

    for (const [end, other, connections] of [
      [dialer, listener, 'outboundConnections'],
      [listener, dialer, 'inboundConnections']
    ] as Array<[End, End, string]>) {
      const manager = managerOf(end.node)
      const none = { inboundConnections: 0, outboundConnections: 0 }

      expect(manager.stat().system).to.include({ ...none, [connections]: 1, fileDescriptors: 1 })
      expect(manager.stat().peers.get(`${other.node.peerId}`)).to.include({ ...none, [connections]: 1, fileDescriptors: 1 })
      expect(manager.stat().transient).to.include({ ...none, fileDescriptors: 0 })
      expect(manager.connectionScope(end.connection)?.peerScope?.peer.equals(other.node.peerId)).to.be.true()
      expect(manager.connectionScope(end.connection)?.stat()).to.include({ ...none, [connections]: 1, fileDescriptors: 1 })

      // and a stream from the other end
      const stream = await other.connection.newStream(ECHO)
      await eventually(() => manager.stat().protocols.get(ECHO)?.inboundStreams === 1)
      const echoed = receive(stream)
      stream.send(pattern(100_000))
      await eventually(() => echoed.received === 100_000)
      expect(echoed.inOrder).to.be.true()
      expect(manager.stat().peers.get(`${other.node.peerId}`)).to.include({ inboundStreams: 1 })
      stream.abort(ERROR)
      await eventually(() => managerOf(other.node).stat().system.outboundStreams === 0 && manager.stat().system.inboundStreams === 0)
    }

    expect(socketsOf(port).dialled).to.have.lengthOf(1)
    expect(socketsOf(port).accepted).to.have.lengthOf(1)

    await dialer.connection.close()
    await expectPairHoldsNothing(pair)
    await untilNoSockets(port)
  })

  for (const muxer of Object.keys(MUXERS) as Array<keyof typeof MUXERS>) {
    for (const side of ['dialer', 'listener'] as const) {
      for (const [name, finish] of Object.entries(ENDS)) {
        it(`a connection with open streams leaves no scope and no socket when the ${side} ${name}, with ${muxer}`, async () => {
          await connect({ muxer })

          for (const [end, other] of [[pair.dialer, pair.listener], [pair.listener, pair.dialer]]) {
            const echo = await end.connection.newStream(ECHO)
            echo.send(Uint8Array.of(1, 2, 3))
            const unread = await end.connection.newStream(HELD)
            unread.send(new Uint8Array(10_000))
            await unnegotiated(end)
            await eventually(() => heldStreams(other.node).some(stream => stream.readBufferLength > 0))
          }

          const [end, other] = side === 'dialer' ? [pair.dialer, pair.listener] : [pair.listener, pair.dialer]
          // js-libp2p closes what it can within a time limit and says so
          await Promise.resolve(finish(end, other)).catch(() => {})

          await expectPairHoldsNothing(pair)
          await untilNoSockets(port)
        })
      }

      it(`a connection leaves no scope and no socket when the ${side} dies, with ${muxer}`, async () => {
        await connect({ muxer })
        await pair.dialer.connection.newStream(ECHO)
        await pair.listener.connection.newStream(ECHO)

        const { dialled, accepted } = socketsOf(port)
        const [socket] = side === 'dialer' ? dialled : accepted
        socket.resetAndDestroy()

        await expectPairHoldsNothing(pair)
        await untilNoSockets(port)
      })
    }
  }

  for (const side of ['dialer', 'listener'] as const) {
    it(`a connection that the ${side} aborts is told to have ended once`, async () => {
      await connect()
      const closes = { dialer: 0, listener: 0 }
      pair.dialer.node.addEventListener('connection:close', () => { closes.dialer++ })
      pair.listener.node.addEventListener('connection:close', () => { closes.listener++ })

      pair[side].connection.abort(ERROR)
      await untilNoSockets(port)
      await eventually(() => pair.dialer.node.getConnections().length + pair.listener.node.getConnections().length === 0)

      expect(closes).to.deep.equal({ dialer: 1, listener: 1 })
    })

    for (const how of ['close', 'abort'] as const) {
      it(`a connection that the ${side} ${how}s has no socket when the other one does not answer`, async () => {
        await connect()
        const { dialled, accepted } = socketsOf(port)
        const deaf = side === 'dialer' ? accepted[0] : dialled[0]
        deaf.pause()

        if (how === 'close') {
          await pair[side].connection.close({ signal: AbortSignal.timeout(1_000) }).catch(() => {})
        } else {
          pair[side].connection.abort(ERROR)
        }

        // it lingers for two seconds, then waits no more
        const still = side === 'dialer' ? [0, 1] : [1, 0]
        await untilSockets(port, still[0], still[1], 5_000)

        deaf.resume()
        await untilNoSockets(port)
        await expectPairHoldsNothing(pair)
      })
    }
  }
})
