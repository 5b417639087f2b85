/**
 * @file What counts as a failure of a connection or stream, and what does not.
 */

import { TimeoutError } from '@libp2p/interface'
import { mplex } from '@libp2p/mplex'
import { expect } from 'aegir/chai'
import { createLibp2p, createResourceManager, resourceManager } from '../../src/index.ts'
import { keepLog } from '../fixtures/log.ts'
import { connect, createNode, eventually, expectNothingHeld, failuresOf, managerOf, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import { connectPair, createPair, ECHO, expectPairHoldsNothing, HELD, heldStreams, stopPair, unnegotiated } from '../fixtures/pair.ts'
import { rawServer } from '../fixtures/sockets.ts'
import type { Failure } from '../../src/index.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { End, Pair } from '../fixtures/pair.ts'
import type { Connection } from '@libp2p/interface'

const PLAIN = new Error('Aborted on purpose')

class RottenError extends Error {
  name = 'RottenError'
}

/** yamux knows no such version */
const BAD_FRAME = Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)

function sendRaw (connection: Connection, data: Uint8Array): void {
  (connection as any).muxer.maConn.send(data)
}

describe('what counts as a failure', () => {
  let pair: Pair
  let dialer: End
  let listener: End
  let failed: Failure[]

  async function hold (count: number = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      await dialer.connection.newStream(HELD)
    }

    await eventually(() => heldStreams(listener.node).length === count)
  }

  async function untilClosed (): Promise<void> {
    await eventually(() => dialer.connection.status !== 'open' && listener.connection.status !== 'open')
    await expectPairHoldsNothing(pair)
  }

  async function expectFailures (failures: Record<string, number>, { node }: End = listener): Promise<void> {
    const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0)

    await eventually(() => sum(failuresOf(managerOf(node))) >= sum(failures))
    expect(failuresOf(managerOf(node))).to.deep.equal(failures)
  }

  beforeEach(async () => {
    pair = await createPair()
    ;({ dialer, listener } = pair)
    failed = []
    managerOf(listener.node).addEventListener('failed', ({ detail }) => { failed.push(detail) })
  })

  afterEach(async () => {
    await stopPair(pair)
  })

  it('not what closes as it should', async () => {
    const stream = await dialer.connection.newStream(ECHO)
    await stream.close()
    await eventually(() => stream.status === 'closed')
    await hold(3)
    await dialer.connection.close()
    await untilClosed()

    await expectFailures({})
    await expectFailures({}, dialer)
    expect(failed).to.be.empty()
  })

  it('not what the application has aborted, but at the other end', async () => {
    await hold(2)
    heldStreams(listener.node)[0].abort(PLAIN)
    await expectFailures({ 'outbound stream open StreamResetError': 1 }, dialer)
    // yamux resets the stream that is left, and says goodbye
    listener.connection.abort(PLAIN)
    await untilClosed()

    await expectFailures({ 'outbound stream open StreamResetError': 2, 'outbound connection open ECONNRESET': 1 }, dialer)
    await expectFailures({})
  })

  it('not what the application has aborted at once when it got a message', async () => {
    await hold()
    const [stream] = heldStreams(listener.node)
    stream.addEventListener('message', () => { listener.connection.abort(PLAIN) })
    dialer.connection.streams.find(({ protocol }) => protocol === HELD)?.send(Uint8Array.of(1))
    await untilClosed()

    await expectFailures({})
  })

  it('what was aborted with an error that says what went wrong', async () => {
    await hold()
    heldStreams(listener.node)[0].abort(new RottenError('What the remote has sent is rotten'))
    await expectFailures({ 'inbound stream open RottenError': 1 })

    // as js-libp2p does when a ping takes too long
    listener.connection.abort(new TimeoutError())
    await expectFailures({ 'inbound stream open RottenError': 1, 'inbound connection open TimeoutError': 1 })
  })

  it('a stream that grows beyond what it may hold', async () => {
    await hold()
    const [stream] = heldStreams(listener.node)
    stream.maxReadBufferLength = 1024
    dialer.connection.streams.find(({ protocol }) => protocol === HELD)?.send(new Uint8Array(4096))

    await expectFailures({ 'inbound stream open StreamBufferError': 1 })
  })

  it('a stream with whose number of others js-libp2p itself is not content', async () => {
    const own = '/own/1.0.0'
    await listener.node.handle(own, () => {}, { maxInboundStreams: 1 })
    await dialer.connection.newStream(own)
    await dialer.connection.newStream(own)

    await expectFailures({ 'inbound stream negotiation TooManyInboundProtocolStreamsError': 1 })
  })

  it('a protocol that the remote does not have', async () => {
    await expect(dialer.connection.newStream('/nobody/has/this')).to.eventually.be.rejected()

    await expectFailures({ 'outbound stream negotiation UnsupportedProtocolError': 1 }, dialer)
  })

  it('not a stream that the application does not want any more', async () => {
    const controller = new AbortController()
    const opening = dialer.connection.newStream(ECHO, { signal: controller.signal })
    controller.abort()
    await expect(opening).to.eventually.be.rejected()
    await eventually(() => managerOf(dialer.node).stat().system.outboundStreams === 0)

    await expectFailures({}, dialer)
  })

  it('a stream that the remote resets before it is negotiated', async () => {
    const stream = await unnegotiated(dialer)
    await eventually(() => managerOf(listener.node).stat().transient.inboundStreams === 1)
    stream.abort(PLAIN)

    await expectFailures({ 'inbound stream negotiation StreamResetError': 1 })
  })

  it('a connection once, whatever streams it has', async () => {
    await hold(20)
    sendRaw(dialer.connection, BAD_FRAME)
    await untilClosed()

    await expectFailures({ 'inbound connection open InvalidFrameError': 1 })
  })

  it('a connection whose encryption breaks', async () => {
    await hold()
    ;(dialer.connection as any).maConn.send(Uint8Array.of(0, 32, ...new Uint8Array(32)))
    await eventually(() => listener.connection.status !== 'open')
    await expectNothingHeld(managerOf(listener.node))

    expect(failed).to.have.lengthOf(1)
    expect(failed[0]).to.include({ kind: 'connection', direction: 'inbound', stage: 'open' })
  })

  it('not what is refused', async () => {
    const { node } = listener
    managerOf(node).setLimits({ protocols: { [HELD]: { inboundStreams: 0 } } })
    const stream = await dialer.connection.newStream(HELD)
    await eventually(() => stream.status !== 'open')
    managerOf(node).setLimits({ peerDefault: { connections: 1 } })
    await dialer.node.dial(node.getMultiaddrs(), { force: true }).catch(() => {})
    await eventually(() => managerOf(node).refusals().length === 2)
    // memory ends the connection, as its upgrade fails or later
    managerOf(node).setLimits({ peerDefault: { connections: 2 }, connection: { memory: 1 } })
    await dialer.node.dial(node.getMultiaddrs(), { force: true }).catch(() => {})
    await eventually(() => managerOf(node).refusals().length === 3)
    await eventually(() => managerOf(node).stat().system.inboundConnections === 1)

    await expectFailures({})
    expect(failed).to.be.empty()
  })

  it('tells whom it concerns', async () => {
    await hold()
    heldStreams(listener.node)[0].abort(new RottenError())
    sendRaw(dialer.connection, BAD_FRAME)
    await untilClosed()

    expect(failed.map(({ kind, reason }) => `${kind} ${reason}`)).to.deep.equal(['stream RottenError', 'connection InvalidFrameError'])

    for (const { scope, kind, peer, endpoint, error, reason } of failed) {
      expect(scope).to.match(new RegExp(`^${kind === 'stream' ? 'stream' : 'conn'}-\\d+$`))
      expect(peer?.equals(dialer.node.peerId)).to.be.true()
      expect(endpoint?.equals(listener.connection.remoteAddr.decapsulate('/p2p'))).to.be.true()
      expect(error).to.have.property('name', reason)
    }
  })
})

describe('failures', () => {
  const nodes: TestNode[] = []

  afterEach(async () => {
    await stopAll(...nodes.splice(0))
  })

  it('are in the log of those who want to see everything', async () => {
    const { logger, lines, errors } = keepLog()
    const traced: string[] = []
    logger.forComponent('libp2p:resource-manager').trace = (format: string, ...args: unknown[]) => {
      traced.push(format.replace(/%[a-z]/g, () => String(args.shift())))
    }
    const listener = await createNode({ options: { logger } })
    nodes.push(await createNode(), listener)
    const { dialer } = await connectPair(nodes[0], listener)
    sendRaw(dialer.connection, BAD_FRAME)
    await eventually(() => managerOf(listener).failures().length === 1)

    expect(traced).to.have.lengthOf(1)
    expect(traced[0]).to.include(`inbound connection of ${dialer.node.peerId}`).and.to.include('InvalidFrameError')
    expect(lines).to.be.empty()
    expect(errors).to.be.empty()
  })

  it('of a remote that answers no ping are its connection and the ping', async () => {
    const listener = await createNode({ options: { connectionMonitor: { pingInterval: 300, pingTimeout: { minTimeout: 300, maxTimeout: 300 } } } })
    nodes.push(await createNode(), listener)
    const { dialer } = await connectPair(nodes[0], listener)
    const { socket } = (dialer.connection as any).maConn
    socket.pause()
    await eventually(() => listener.getConnections().length === 0)
    socket.destroy()

    expect(failuresOf(managerOf(listener))).to.have.property('inbound connection open TimeoutError', 1)
    expect(Object.keys(failuresOf(managerOf(listener))).filter(name => name.includes(' connection '))).to.have.lengthOf(1)
  })

  it('are those of mplex too, whose errors have no names', async () => {
    const options = { streamMuxers: [mplex({ disconnectThreshold: 5 })] }
    nodes.push(await createNode({ options }), await createNode({ options }))
    const { dialer, listener } = await connectPair(nodes[0], nodes[1])
    // messages for a stream that was never opened
    sendRaw(dialer.connection, new Uint8Array(200).map((_, i) => i % 2 === 0 ? 15 << 3 | 2 : 0))
    await eventually(() => managerOf(listener.node).failures().length > 0)

    expect(failuresOf(managerOf(listener.node))).to.deep.equal({ 'inbound connection open Error': 1 })
  })

  it('of a dial whose time is up say so, whatever js-libp2p makes of it', async () => {
    const dialer = await createNode({ options: { connectionManager: { reconnectRetries: 0, addressDialTimeout: 200 } } })
    nodes.push(dialer)
    const server = await rawServer()

    try {
      await expect(dialer.dial(server.address)).to.eventually.be.rejected()
      await eventually(() => managerOf(dialer).failures().length > 0)
      expect(failuresOf(managerOf(dialer))).to.deep.equal({ 'outbound connection upgrade TimeoutError': 1 })
    } finally {
      await server.close()
    }
  })

  it('are of no interest to a manager of your own', async () => {
    const manager = createResourceManager()
    const listener = await createNode()
    const dialer: any = await createLibp2p<any, any>({ ...nodeOptions({}), resourceManager: resourceManager({ manager }) })
    nodes.push(listener, dialer)

    const connection = await connect(dialer, listener)
    await connection.newStream(ECHO)
    await eventually(() => listener.getConnections().length === 1)
    sendRaw(listener.getConnections()[0], BAD_FRAME)
    await eventually(() => connection.status !== 'open')
    await expectNothingHeld(manager)
    expect(manager.failures()).to.be.empty()
    manager.close()
  })
})
