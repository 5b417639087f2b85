/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { fromString as uint8ArrayFromString } from 'uint8arrays/from-string'
import { dropUnread, eventually, managerOf } from '../fixtures/nodes.ts'
import { createPair, ECHO, expectOnlyConnection, expectPairHoldsNothing, HELD, heldStreams, stopPair, unnegotiated } from '../fixtures/pair.ts'
import type { Pair } from '../fixtures/pair.ts'
import type { Stream } from '@libp2p/interface'

const ERROR = new Error('Aborted on purpose')

/**
 * The ways in which the two ends of a stream can end it
 */
const ENDS: Record<string, (stream: Stream, other: Stream) => Promise<unknown>> = {
  'one end closes it, then the other': async (stream, other) => {
    await stream.close()
    await eventually(() => other.remoteWriteStatus === 'closed')
    await other.close()
  },

  'both ends close it at once': async (stream, other) => Promise.all([stream.close(), other.close()]),

  'one end aborts it': async stream => { stream.abort(ERROR) },

  'both ends abort it at once': async (stream, other) => {
    stream.abort(ERROR)
    other.abort(ERROR)
  },

  'one end closes it and aborts it': async stream => {
    await stream.close()
    stream.abort(ERROR)
  },

  'one end closes it, the other aborts it': async (stream, other) => {
    await stream.close()
    other.abort(ERROR)
  },

  'one end closes it for reading and writing, the other for writing': async (stream, other) => {
    await (stream as any).closeRead()
    await stream.close()
    await other.close()
  },

  'one end closes it for reading and aborts it': async stream => {
    await (stream as any).closeRead()
    stream.abort(ERROR)
  },

  'one end aborts it with data that the other has not read': async stream => {
    stream.send(new Uint8Array(10_000))
    stream.abort(ERROR)
  },

  'one end aborts it with data that it has not read': async (stream, other) => {
    other.send(new Uint8Array(10_000))
    await eventually(() => stream.readBufferLength === 10_000)
    stream.abort(ERROR)
  },

  'one end aborts it with data that it could not send': async stream => {
    stream.send(new Uint8Array(1024 * 1024))
    stream.abort(ERROR)
  },

  'one end aborts it, paused': async (stream, other) => {
    other.send(new Uint8Array(10_000))
    stream.pause()
    await eventually(() => stream.readBufferLength === 10_000)
    stream.abort(ERROR)
  },

  'one end aborts it twice': async stream => {
    stream.abort(ERROR)
    stream.abort(ERROR)
  }
}

describe('the end of a stream', () => {
  let pair: Pair

  afterEach(async () => {
    await stopPair(pair)
  })

  for (const muxer of ['yamux', 'mplex'] as const) {
    for (const first of ['opener', 'handler'] as const) {
      for (const [name, finish] of Object.entries(ENDS)) {
        it(`gives everything back when ${name}, first the ${first}, with ${muxer}`, async () => {
          pair = await createPair({ transport: 'memory', muxer })

          // one of each direction
          for (const [from, to] of [[pair.dialer, pair.listener], [pair.listener, pair.dialer]]) {
            const opener = await from.connection.newStream(HELD)
            await eventually(() => heldStreams(to.node).length === 1)
            const handler = heldStreams(to.node)[0]

            expect(managerOf(from.node).stat().protocols.get(HELD)?.outboundStreams).to.equal(1)
            expect(managerOf(to.node).stat().protocols.get(HELD)?.inboundStreams).to.equal(1)

            await (first === 'opener' ? finish(opener, handler) : finish(handler, opener))
            await eventually(() => opener.status !== 'open' && handler.status !== 'open')
            dropUnread(opener)
            await expectOnlyConnection(pair)
          }

          await pair.dialer.connection.close()
          await expectPairHoldsNothing(pair)
        })
      }
    }
  }

  it('is not reached when one end has closed its half', async () => {
    pair = await createPair()
    const stream = await pair.dialer.connection.newStream(HELD)
    await stream.close()
    await eventually(() => heldStreams(pair.listener.node)[0]?.remoteWriteStatus === 'closed')

    expect(managerOf(pair.dialer.node).stat().protocols.get(HELD)?.outboundStreams).to.equal(1)
    expect(managerOf(pair.listener.node).stat().protocols.get(HELD)?.inboundStreams).to.equal(1)

    await heldStreams(pair.listener.node)[0].close()
    await expectOnlyConnection(pair)
  })

  it('gives back one stream of many', async () => {
    pair = await createPair()
    const streams = await Promise.all(Array.from({ length: 20 }, async () => pair.dialer.connection.newStream(HELD)))
    await eventually(() => managerOf(pair.listener.node).stat().system.inboundStreams === 20)

    for (let left = 19; left >= 0; left--) {
      streams[left].abort(ERROR)

      expect(managerOf(pair.dialer.node).stat().system.outboundStreams).to.equal(left)
      await eventually(() => managerOf(pair.listener.node).stat().system.inboundStreams === left)
    }

    await expectOnlyConnection(pair)
  })
})

describe('the end of a stream before its protocol is known', () => {
  let pair: Pair

  beforeEach(async () => {
    pair = await createPair({
      options: { connectionManager: { inboundStreamProtocolNegotiationTimeout: 500, outboundStreamProtocolNegotiationTimeout: 500 } }
    })
  })

  afterEach(async () => {
    await stopPair(pair)
  })

  for (const [name, finish] of Object.entries<(stream: Stream, pair: Pair) => void | Promise<void>>({
    'closes it': async stream => { await stream.close() },

    'aborts it': stream => { stream.abort(ERROR) },

    'closes it in the middle of a line': async stream => {
      stream.send(Uint8Array.of(19, 47, 109))
      await stream.close()
    },

    'sends garbage': stream => { stream.send(new Uint8Array(100).fill(200)) },

    'never says anything': () => {},

    'sends its header and nothing more': stream => {
      stream.send(Uint8Array.from([19, ...uint8ArrayFromString('/multistream/1.0.0\n')]))
    }
  })) {
    it(`gives everything back when the opener ${name}`, async () => {
      const { dialer, listener } = pair
      const stream = await unnegotiated(dialer)

      await eventually(() => managerOf(listener.node).stat().transient.inboundStreams === 1)
      expect(managerOf(dialer.node).stat().transient.outboundStreams).to.equal(1)

      await finish(stream, pair)

      await eventually(() => managerOf(listener.node).stat().transient.inboundStreams === 0)
      stream.abort(ERROR)
      dropUnread(stream)
      await expectOnlyConnection(pair)
    })
  }

  it('gives everything back when the opener aborts it before it is known to the other side', async () => {
    for (let i = 0; i < 20; i++) {
      const stream = await unnegotiated(pair.dialer)
      stream.abort(ERROR)
    }

    // all of them have come when a later one is answered
    await pair.dialer.node.services.ping.ping(pair.listener.node.peerId)
    await expectOnlyConnection(pair)
  })

  it('gives everything back when the other side aborts it as soon as it comes', async () => {
    (pair.listener.connection as any).muxer.addEventListener('stream', ({ detail }: CustomEvent<Stream>) => { detail.abort(ERROR) })

    await expect(pair.dialer.connection.newStream(ECHO)).to.eventually.be.rejected()
    await expectOnlyConnection(pair)
  })

  it('gives everything back when the protocol is not supported', async () => {
    for (let i = 0; i < 5; i++) {
      await expect(pair.dialer.connection.newStream(['/not/supported', '/not/supported/either'])).to.eventually.be.rejected()
        .with.property('name', 'UnsupportedProtocolError')
    }

    await expectOnlyConnection(pair)
  })

  it('gives everything back when the opener gives up before it begins', async () => {
    await expect(pair.dialer.connection.newStream(ECHO, { signal: AbortSignal.abort() })).to.eventually.be.rejected()
    await expectOnlyConnection(pair)
  })

  it('gives everything back when the opener gives up while it negotiates', async () => {
    const controller = new AbortController()
    const opening = pair.dialer.connection.newStream(ECHO, { signal: controller.signal })

    await eventually(() => managerOf(pair.dialer.node).stat().transient.outboundStreams === 1)
    controller.abort()

    await expect(opening).to.eventually.be.rejected()
    await expectOnlyConnection(pair)
  })

  it('gives everything back when js-libp2p refuses the stream by its own limit', async () => {
    const { dialer, listener } = pair
    await listener.node.handle('/one/1.0.0', () => {}, { maxInboundStreams: 1 })

    const first = await dialer.connection.newStream('/one/1.0.0')
    const second = await dialer.connection.newStream('/one/1.0.0')
    await eventually(() => second.status !== 'open')

    await expect(dialer.connection.newStream('/one/1.0.0', { maxOutboundStreams: 0 })).to.eventually.be.rejected()
      .with.property('name', 'TooManyOutboundProtocolStreamsError')

    expect(managerOf(dialer.node).stat().system.outboundStreams).to.equal(1)
    first.abort(ERROR)
    await expectOnlyConnection(pair)
  })
})
