/**
 * @file A remote that closes its end and does not read keeps no socket of ours.
 */

import { expect } from 'aegir/chai'
import pWaitFor from 'p-wait-for'
import { connect, createNode, eventually, expectNothingHeld, failuresOf, managerOf, stopAll } from '../fixtures/nodes.ts'
import type { TestNode } from '../fixtures/nodes.ts'

const SOURCE = '/source/1.0.0'
const MiB = 2 ** 20
const STREAMS = 200

const ROOM = { streams: 10_000, inboundStreams: 10_000, outboundStreams: 10_000, memory: 2 ** 30 }
const ROOMY = { system: ROOM, transient: ROOM, peerDefault: ROOM, protocolDefault: ROOM, protocolPeerDefault: ROOM }

describe('a remote that half-closes its socket', () => {
  let dialer: TestNode
  let listener: TestNode

  afterEach(async () => {
    await stopAll(dialer, listener)
  })

  it('and does not read what was sent, loses the connection, the scope and the socket', async () => {
    dialer = await createNode({ limits: ROOMY })
    listener = await createNode({ limits: ROOMY })

    const [tcpListener]: any[] = (listener as any).components.transportManager.getListeners()
    const sockets = async (): Promise<number> => new Promise((resolve, reject) => {
      tcpListener.server.getConnections((err: Error | null, count: number) => {
        err == null ? resolve(count) : reject(err)
      })
    })

    const go = Promise.withResolvers<void>()
    let accepted = 0

    await listener.handle(SOURCE, async stream => {
      accepted++
      await go.promise
      // does not care whether anybody reads
      stream.send(new Uint8Array(MiB))
    }, { maxInboundStreams: STREAMS })

    const connection = await connect(dialer, listener)
    const { socket } = (connection as any).maConn

    for (let i = 0; i < STREAMS; i++) {
      await connection.newStream(SOURCE, { maxOutboundStreams: STREAMS })
    }

    await eventually(() => accepted === STREAMS)
    socket.pause()
    // a window for every stream, which is more than the kernel takes
    go.resolve()
    await eventually(() => (listener.getConnections()[0] as any).maConn.writableNeedsDrain === true)
    socket.end()

    // js-libp2p lets it live on, for ten seconds and more
    await pWaitFor(async () => await sockets() === 0, { timeout: 6_000 })
    await expectNothingHeld(managerOf(listener))
    expect(listener.getConnections()).to.be.empty()
    expect(failuresOf(managerOf(listener))).to.deep.equal({ 'inbound connection close TimeoutError': 1 })
    socket.destroy()
  })
})
