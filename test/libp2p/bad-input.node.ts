/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { createNode, eventually, expectNothingHeld, failuresOf, managerOf, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import { ECHO, handleHeld, HELD, heldStreams } from '../fixtures/pair.ts'
import type { Failure, ResourceLimitExceededError } from '../../src/index.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const Type = { Data: 0, WindowUpdate: 1, Ping: 2, GoAway: 3 } as const

const SYN = 1
const ACK = 2
const FIN = 4
const RST = 8

interface Frame {
  version?: number
  type?: number
  flag?: number
  stream?: number
  /** What the header says, the length of the data if left out */
  length?: number
  data?: Uint8Array
}

function encode ({ version = 0, type = Type.Data, flag = 0, stream = 1, data = new Uint8Array(), length = data.byteLength }: Frame): Uint8Array {
  const header = Buffer.alloc(12)
  header.writeUInt8(version, 0)
  header.writeUInt8(type, 1)
  header.writeUInt16BE(flag, 2)
  header.writeUInt32BE(stream, 4)
  header.writeUInt32BE(length, 8)

  return Buffer.concat([header, data])
}

/**
 * Frames that no well-behaved remote sends, and whether they cost it its
 * connection. The streams that the remote opens have odd numbers. js-libp2p
 * ignores some, without a failure.
 */
const FRAMES: Record<string, { frames: Frame[], endsConnection: boolean, failure?: string }> = {
  'of an unknown version': { frames: [{ version: 9 }], endsConnection: true, failure: 'inbound connection open InvalidFrameError' },
  'of an unknown type': { frames: [{ type: 77 }], endsConnection: true, failure: 'inbound connection open InvalidFrameError' },
  'with data for no stream': { frames: [{ stream: 0, data: new Uint8Array(10) }], endsConnection: true, failure: 'inbound connection open InvalidFrameError' },
  'with data for a stream that was never opened': { frames: [{ stream: 4001, data: new Uint8Array(1000) }], endsConnection: false },
  'that grant a window to a stream that was never opened': { frames: [{ type: Type.WindowUpdate, stream: 4001, length: 2 ** 32 - 1 }], endsConnection: false },
  'that reset and close streams that were never opened': { frames: [{ type: Type.WindowUpdate, flag: RST, stream: 4001 }, { type: Type.WindowUpdate, flag: FIN, stream: 4003 }], endsConnection: false },
  'that open a stream with a number of ours': { frames: [{ type: Type.WindowUpdate, flag: SYN, stream: 4002 }], endsConnection: true, failure: 'inbound connection open InvalidParametersError' },
  'that open the same stream again and again': { frames: Array.from({ length: 100 }, () => ({ type: Type.WindowUpdate, flag: SYN, stream: 4001 })), endsConnection: false },
  'with more data than the window lets through': { frames: [{ type: Type.WindowUpdate, flag: SYN, stream: 4001 }, { stream: 4001, data: new Uint8Array(300 * 1024) }], endsConnection: true, failure: 'inbound connection open ReceiveWindowExceededError' },
  'that open, acknowledge, close and reset a stream at once': { frames: [{ type: Type.WindowUpdate, flag: SYN | ACK | FIN | RST, stream: 4001 }], endsConnection: false, failure: 'inbound stream negotiation StreamResetError' },
  'that answer a ping that was never sent': { frames: [{ type: Type.Ping, flag: ACK, stream: 0, length: 4711 }], endsConnection: true, failure: 'inbound connection open UnRequestedPingError' },
  'that are pings of no kind': { frames: [{ type: Type.Ping, flag: FIN, stream: 0 }], endsConnection: true, failure: 'inbound connection open InvalidFrameError' },
  'that say goodbye and go on': { frames: [{ type: Type.GoAway, stream: 0, length: 1 }, { type: Type.WindowUpdate, flag: SYN, stream: 4001 }], endsConnection: true, failure: 'inbound connection open Error' }
}

describe('a remote that misbehaves', () => {
  let node: TestNode
  let remote: Libp2p<any>
  let honest: Libp2p<any>
  let connection: Connection
  let refused: ResourceLimitExceededError[]
  let failed: Failure[]

  async function start (init: NodeInit = {}): Promise<void> {
    // js-libp2p finds out that a muxer is gone when it pings the remote
    node = await createNode({ options: { connectionMonitor: { pingInterval: 500 } }, ...init })
    await handleHeld(node)
    remote = await createLibp2p(nodeOptions({}))
    honest = await createLibp2p(nodeOptions({}))
    connection = await remote.dial(node.getMultiaddrs())
    await honest.dial(node.getMultiaddrs())
    await eventually(() => node.getConnections().length === 2)

    refused = []
    managerOf(node).addEventListener('blocked', ({ detail }) => { refused.push(detail) })
    failed = []
    managerOf(node).addEventListener('failed', ({ detail }) => { failed.push(detail) })
  }

  /** Over the encrypted connection, past the muxer */
  function send (...frames: Frame[]): void {
    (connection as any).muxer.maConn.send(Buffer.concat(frames.map(encode)))
  }

  async function open (): Promise<Stream> {
    return (connection as any).muxer.createStream()
  }

  async function expectOthersAreServed (): Promise<void> {
    expect(await honest.services.ping.ping(node.peerId)).to.be.at.least(0)
    expect(node.getConnections(honest.peerId)).to.have.lengthOf(1)
  }

  async function expectNothingLeft (): Promise<void> {
    await Promise.all([remote.stop(), honest.stop()])
    await expectNothingHeld(managerOf(node))
  }

  afterEach(async () => {
    await stopAll(remote, honest, node)
  })

  for (const [name, { frames, endsConnection, failure }] of Object.entries(FRAMES)) {
    it(`by frames ${name} loses ${endsConnection ? 'its connection' : 'at most a stream'}`, async () => {
      await start()
      send(...frames)

      if (endsConnection) {
        await eventually(() => node.getConnections(remote.peerId).length === 0)
      } else {
        // the answer comes after all that was sent before
        expect(await remote.services.ping.ping(node.peerId)).to.be.at.least(0)
        expect(managerOf(node).stat().peers.get(`${remote.peerId}`)?.inboundConnections).to.equal(1)
      }

      expect(failuresOf(managerOf(node))).to.deep.equal(failure == null ? {} : { [failure]: 1 })
      expect(failed.every(({ peer }) => peer?.equals(remote.peerId))).to.be.true()
      expect(failed).to.have.lengthOf(failure == null ? 0 : 1)
      await expectOthersAreServed()
      await expectNothingLeft()
    })
  }

  for (const [name, { line, reason }] of Object.entries<{ line: Uint8Array, reason: string }>({
    'a protocol of 64 kB': { line: Buffer.concat([Uint8Array.of(0x80, 0x80, 0x04), new Uint8Array(64 * 1024).fill(97)]), reason: 'InvalidDataLengthLengthError' },
    'a header without end': { line: Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255), reason: 'TimeoutError' },
    'an empty line': { line: Uint8Array.of(0), reason: 'InvalidMessageError' },
    'a line that does not end': { line: Uint8Array.of(3, 97, 97, 97), reason: 'InvalidMessageError' }
  })) {
    it(`by a stream that negotiates ${name} loses the stream`, async () => {
      await start({ options: { connectionManager: { inboundStreamProtocolNegotiationTimeout: 1000, inboundConnectionThreshold: Infinity } } })
      const stream = await open()
      stream.send(line)

      await eventually(() => stream.status !== 'open')
      await eventually(() => managerOf(node).stat().transient.inboundStreams === 0)
      expect(failuresOf(managerOf(node))).to.deep.equal({ [`inbound stream negotiation ${reason}`]: 1 })
      expect(node.getConnections(remote.peerId)).to.have.lengthOf(1)
      await expectOthersAreServed()
      await expectNothingLeft()
    })
  }

  it('by a thousand protocols tried on one stream gets none, and leaves no scopes of them', async () => {
    await start()
    const protocols = Array.from({ length: 1000 }, (_, i) => `/unknown/${i}/${'x'.repeat(100)}`)

    await expect(connection.newStream(protocols)).to.eventually.be.rejected()
    await eventually(() => managerOf(node).stat().system.inboundStreams === 0)

    expect(managerOf(node).listProtocols().filter(protocol => protocol.startsWith('/unknown'))).to.be.empty()
    // js-libp2p answers each, so it is the remote that gives up
    expect(failuresOf(managerOf(node))).to.deep.equal({ 'inbound stream negotiation StreamResetError': 1 })
    await expectOthersAreServed()
    await expectNothingLeft()
  })

  it('by a thousand protocols tried on one stream, slowly, loses the stream when its time is up', async () => {
    await start({ options: { connectionManager: { inboundStreamProtocolNegotiationTimeout: 500, inboundConnectionThreshold: Infinity } } })
    const stream = await open()
    const timer = setInterval(() => {
      if (stream.status === 'open') {
        stream.send(Buffer.concat([Uint8Array.of(11), Buffer.from('/unknown/1\n')]))
      }
    }, 20)

    await eventually(() => stream.status !== 'open')
    clearInterval(timer)
    await eventually(() => managerOf(node).stat().system.inboundStreams === 0)
    expect(failuresOf(managerOf(node))).to.deep.equal({ 'inbound stream negotiation TimeoutError': 1 })
    await expectOthersAreServed()
    await expectNothingLeft()
  })

  it('by streams that it resets while they are refused gives everything back, and each is seen', async () => {
    await start({ limits: { protocolPeers: { [HELD]: { inboundStreams: 1 } }, transient: { inboundStreams: 4, streams: 4 } } })
    let tried = 0

    for (let i = 0; i < 50; i++) {
      const streams = await Promise.all(Array.from({ length: 8 }, async () => open()))
      streams.forEach(stream => { stream.abort(new Error('Aborted on purpose')) })
      tried += streams.length
    }

    // they are seen in order
    expect((await connection.newStream(ECHO)).status).to.equal('open')
    await eventually(() => managerOf(node).stat().transient.inboundStreams === 0)
    // some were reset before the node has seen them
    expect(refused.length).to.be.within(1, tried)
    expect(new Set(refused.map(({ scope }) => scope))).to.deep.equal(new Set(['transient']))
    expect(managerOf(node).refusals()).to.containSubset([{ kind: 'transient', direction: 'inbound', count: refused.length }])
    // each is the one or the other
    expect(Object.keys(failuresOf(managerOf(node)))).to.deep.equal(['inbound stream negotiation StreamResetError'])
    expect(refused.length + failed.length).to.be.at.most(tried)

    await connection.newStream(HELD)
    await eventually(() => heldStreams(node).length === 1)
    const second = await connection.newStream(HELD)
    second.abort(new Error('Aborted on purpose'))
    await eventually(() => refused.some(({ kind }) => kind === 'protocolPeer') || managerOf(node).stat().system.inboundStreams === 1)

    expect((await connection.newStream(ECHO)).status).to.equal('open')
    await expectOthersAreServed()
    await expectNothingLeft()
  })

  it('by connections that it resets while they are refused gives everything back', async () => {
    await start({ limits: { peerDefault: { connections: 1 } } })

    for (let i = 0; i < 10; i++) {
      const dialing = remote.dial(node.getMultiaddrs(), { force: true }).then(again => { again.abort(new Error('Aborted on purpose')) }, () => {})
      remote.getConnections(node.peerId).slice(1).forEach(again => { again.abort(new Error('Aborted on purpose')) })
      await dialing
    }

    await eventually(() => managerOf(node).stat().system.inboundConnections === 2 && managerOf(node).stat().transient.inboundConnections === 0)
    expect(refused.every(({ kind }) => kind === 'peer')).to.be.true()
    expect(refused).to.not.be.empty()
    expect(managerOf(node).refusals()).to.deep.equal([
      { kind: 'peer', resource: 'connections', direction: 'inbound', enforced: true, count: refused.length, attempted: refused.length }
    ])
    await expectOthersAreServed()
    await expectNothingLeft()
  })
})
