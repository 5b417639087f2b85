/* eslint-disable no-loop-func */

/**
 * @file What js-libp2p's own tests say of a connection, on connections of managed
 * nodes. Its compliance suites have none for connections any more; a test here
 * tells when one comes back.
 */

import { readFile } from 'node:fs/promises'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { describeBothWays } from '../fixtures/both-ways.ts'
import { createNode, eventually, expectNothingHeld, managerOf, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import { ECHO } from '../fixtures/pair.ts'
import { pattern } from '../fixtures/transfer.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { Connection, Libp2p, Stream, StreamCloseEvent } from '@libp2p/interface'

const LIMITED = '/limited/1.0.0'
const UNKNOWN = '/unknown/1.0.0'

interface ConnectionSetup {
  create(): Promise<Libp2p<any>>
  teardown(nodes: Array<Libp2p<any>>): Promise<void>
}

async function next<E = Event> (target: { addEventListener(type: any, listener: (event: any) => void, options: object): void }, type: 'close'): Promise<E> {
  return new Promise(resolve => {
    target.addEventListener(type, resolve, { once: true })
  })
}

function suite ({ create, teardown }: ConnectionSetup): void {
  let dialer: Libp2p<any>
  let listener: Libp2p<any>
  let connection: Connection
  let accepted: Connection
  let streams: Stream[]

  beforeEach(async () => {
    streams = []
    dialer = await create()
    listener = await create()
    await listener.handle(LIMITED, stream => { streams.push(stream) }, { maxInboundStreams: 2, maxOutboundStreams: 2 })
    connection = await dialer.dial(listener.getMultiaddrs())
    await eventually(() => listener.getConnections().length === 1)
    accepted = listener.getConnections()[0]
  })

  afterEach(async () => {
    await stopAll(dialer, listener)
    await teardown([dialer, listener])
  })

  it('has its properties', () => {
    expect(connection).to.include({ status: 'open', direction: 'outbound', direct: true, limits: undefined })
    expect(accepted).to.include({ status: 'open', direction: 'inbound', direct: true, limits: undefined })
    expect(connection.id).to.be.a('string')
    expect(connection.remotePeer.equals(listener.peerId)).to.be.true()
    expect(accepted.remotePeer.equals(dialer.peerId)).to.be.true()
    expect(connection.multiplexer).to.equal(accepted.multiplexer)
    expect(connection.encryption).to.equal(accepted.encryption)
    expect(connection.streams).to.deep.equal([])
    expect(Object.keys(connection.timeline)).to.deep.equal(['open'])
  })

  it('has the peer in its remote address, once', () => {
    for (const { remoteAddr, remotePeer } of [connection, accepted]) {
      expect(remoteAddr.getComponents().filter(({ name }) => name === 'p2p').map(({ value }) => value)).to.deep.equal([remotePeer.toString()])
    }
  })

  it('opens streams, and has them in its list until they have closed', async () => {
    const stream = await connection.newStream([ECHO])
    expect(stream).to.include({ protocol: ECHO, direction: 'outbound', status: 'open' })
    expect(connection.streams).to.include(stream)

    const closed = next(stream, 'close')
    await stream.close()
    await closed
    expect(connection.streams).to.not.include(stream)
    await eventually(() => accepted.streams.length === 0)
  })

  it('drops a stream that is aborted, on both sides', async () => {
    const stream = await connection.newStream(LIMITED)
    await eventually(() => streams.length === 1)
    const closed = next<StreamCloseEvent>(streams[0], 'close')
    stream.abort(new Error('Urk!'))

    expect(connection.streams).to.be.empty()
    expect(await closed).to.have.nested.property('error.name', 'StreamResetError')
    expect(streams[0].status).to.equal('reset')
    expect(accepted.streams).to.be.empty()
  })

  it('carries data in both directions', async () => {
    const bytes = pattern(100_000)
    expect((await dialer.services.echo.echo(listener.peerId, bytes)).subarray()).to.equalBytes(bytes)
    expect((await listener.services.echo.echo(dialer.peerId, bytes)).subarray()).to.equalBytes(bytes)
  })

  it('negotiates the first protocol that the remote knows', async () => {
    const stream = await connection.newStream([UNKNOWN, ECHO])
    expect(stream.protocol).to.equal(ECHO)
  })

  it('refuses protocols that the remote does not know', async () => {
    await expect(connection.newStream(UNKNOWN)).to.eventually.be.rejected()
      .with.property('name', 'UnsupportedProtocolError')
    await eventually(() => connection.streams.length === 0 && accepted.streams.length === 0)
  })

  it('closes, with its streams', async () => {
    const stream = await connection.newStream(LIMITED)
    await eventually(() => streams.length === 1)
    const ends = Promise.all([next(connection, 'close'), next(accepted, 'close'), next(stream, 'close'), next(streams[0], 'close')])
    streams[0].addEventListener('remoteCloseWrite', () => { streams[0].close().catch(() => {}) })
    await connection.close()
    await ends

    expect(connection).to.include({ status: 'closed' })
    expect(stream.status).to.equal('closed')
    expect(connection.timeline.close).to.be.a('number')
    expect(connection.streams).to.be.empty()
    expect(dialer.getConnections()).to.be.empty()
    await eventually(() => listener.getConnections().length === 0)
  })

  it('is aborted, with its streams', async () => {
    const error = new Error('Urk!')
    const stream = await connection.newStream(ECHO)
    const closed = next<StreamCloseEvent>(connection, 'close')
    connection.abort(error)

    expect(await closed).to.include({ local: true, error })
    expect(connection.status).to.equal('aborted')
    expect(stream.status).to.equal('aborted')
    await eventually(() => accepted.status !== 'open' && listener.getConnections().length === 0)
  })

  it('opens no stream when it is closed', async () => {
    await connection.close()
    await expect(connection.newStream(ECHO)).to.eventually.be.rejected()
      .with.property('name', 'ConnectionClosedError')
  })

  it('opens no stream while it is closing', async () => {
    const closing = connection.close()
    await expect(connection.newStream(ECHO)).to.eventually.be.rejected()
      .with.property('name', 'ConnectionClosedError')
    await closing
  })

  it('resets inbound streams above the maximum of their protocol', async () => {
    const out = [await connection.newStream(LIMITED), await connection.newStream(LIMITED), await connection.newStream(LIMITED)]
    await eventually(() => out[2].status === 'reset')
    expect(out.map(({ status }) => status)).to.deep.equal(['open', 'open', 'reset'])
    expect(streams).to.have.lengthOf(2)
  })

  it('opens no outbound streams above the maximum of their protocol', async () => {
    await dialer.handle(LIMITED, () => {}, { maxOutboundStreams: 1 })
    await connection.newStream(LIMITED)
    await expect(connection.newStream(LIMITED)).to.eventually.be.rejected()
      .with.property('name', 'TooManyOutboundProtocolStreamsError')
  })

  it('opens no outbound streams above the maximum that is asked for', async () => {
    await connection.newStream(LIMITED, { maxOutboundStreams: 1 })
    await expect(connection.newStream(LIMITED, { maxOutboundStreams: 1 })).to.eventually.be.rejected()
      .with.property('name', 'TooManyOutboundProtocolStreamsError')
  })

  it('gives up a stream when it is told to', async () => {
    await expect(connection.newStream(ECHO, { signal: AbortSignal.abort(new Error('Enough')) })).to.eventually.be.rejected()
      .with.property('message', 'Enough')
    await eventually(() => connection.streams.length === 0)
  })

  for (const side of ['outbound', 'inbound'] as const) {
    it(`runs the middleware of ${side} streams in order`, async () => {
      const calls: string[] = []
      const middleware = (name: string) => (stream: Stream, of: Connection, next: (stream: Stream, connection: Connection) => void): void => {
        calls.push(`${name} ${stream.protocol} ${of === connection || of === accepted}`)
        next(stream, of)
      }

      // js-libp2p adds the handler to the array it is given, which is as long as
      // it was for every stream only if each gets an array of its own
      const node = side === 'outbound' ? dialer : listener
      node.use(LIMITED, [middleware('first'), middleware('second')])
      await connection.newStream(LIMITED)
      await eventually(() => streams.length === 1)

      expect(calls).to.deep.equal([`first ${LIMITED} true`, `second ${LIMITED} true`])
    })

    it(`stops at middleware of ${side} streams that throws`, async () => {
      let later = 0
      const node = side === 'outbound' ? dialer : listener
      node.use(LIMITED, [() => { throw new Error('Urk!') }, () => { later++ }])

      if (side === 'outbound') {
        await expect(connection.newStream(LIMITED)).to.eventually.be.rejectedWith('Urk!')
        await eventually(() => connection.streams.length === 0)
      } else {
        const stream = await connection.newStream(LIMITED)
        await eventually(() => stream.status === 'reset')
        expect(streams).to.be.empty()
      }

      expect(later).to.equal(0)
    })
  }

  it('resets the stream of a handler that throws', async () => {
    await listener.handle(UNKNOWN, () => { throw new Error('Urk!') })
    const stream = await connection.newStream(UNKNOWN)

    await eventually(() => stream.status === 'reset')
    expect(connection.status).to.equal('open')
  })
}

const STACKS: NodeInit[] = [
  { transport: 'tcp', encrypter: 'noise', muxer: 'yamux' },
  { transport: 'tcp', encrypter: 'tls', muxer: 'mplex' },
  { transport: 'memory', encrypter: 'plaintext', muxer: 'yamux' }
]

for (const stack of STACKS) {
  describeBothWays(`compliance of connections over ${Object.values(stack).join(', ')}`, {
    stock: () => {
      suite({
        create: async () => createLibp2p(nodeOptions(stack)),
        teardown: async () => {}
      })
    },

    managed: () => {
      const refusals: string[] = []

      suite({
        create: async () => {
          const node = await createNode({ ...stack, memory: 2 ** 30 / 8, fileDescriptors: 512 })
          managerOf(node).addEventListener('blocked', event => { refusals.push(event.detail.message) })

          return node
        },
        teardown: async nodes => {
          for (const node of nodes) {
            await expectNothingHeld(managerOf(node as TestNode))
          }

          expect(refusals).to.deep.equal([])
        }
      })
    }
  })
}

describe('compliance', () => {
  it('has all suites of js-libp2p that there are for what is hooked', async () => {
    const entry = new URL(import.meta.resolve('@libp2p/interface-compliance-tests'))
    const { exports } = JSON.parse(await readFile(new URL('../../package.json', entry), 'utf8'))

    // peer discovery is not hooked; for connections there is none
    expect(Object.keys(exports)).to.have.members(['.', './connection-encryption', './peer-discovery', './stream-muxer', './transport'])
  })
})
