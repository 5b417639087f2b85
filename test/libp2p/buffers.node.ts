/* eslint-disable no-loop-func */

/**
 * @file What streams hold that nobody reads, or that could not be sent: reserved,
 * throttled before it grows, delivered when somebody reads after all.
 */

import { expect } from 'aegir/chai'
import { connect, createNode, eventually, expectNothingHeld, managerOf, stopAll } from '../fixtures/nodes.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { Stream } from '@libp2p/interface'

const SINK = '/sink/1.0.0'
const KiB = 1024
const MiB = KiB * KiB
const STEP = 4 * KiB
const WINDOW = 256 * KiB

describe('the buffers of streams', () => {
  let dialer: TestNode
  let listener: TestNode
  let accepted: Stream[]

  afterEach(async () => {
    await stopAll(dialer, listener)
  })

  async function setUp (init: NodeInit = {}): Promise<Stream> {
    accepted = []
    dialer = await createNode({ muxer: init.muxer, limits: { stream: { memory: 64 * MiB } } })
    listener = await createNode(init)
    // a handler that does not read
    await listener.handle(SINK, stream => { accepted.push(stream) }, { maxInboundStreams: 100 })

    const connection = await connect(dialer, listener)
    const stream = await connection.newStream(SINK, { maxOutboundStreams: 100 })
    await eventually(() => accepted.length === 1)

    return stream
  }

  function memory (node: TestNode): number {
    return managerOf(node).stat().system.memory
  }

  /**
   * Bytes that tell where they belong
   */
  function chunk (size: number, from: number): Uint8Array {
    return Uint8Array.from({ length: size }, (_, i) => (from + i) % 251)
  }

  function collect (stream: Stream): { bytes: number, inOrder: boolean } {
    const result = { bytes: 0, inOrder: true }

    stream.addEventListener('message', event => {
      for (const byte of event.data.subarray()) {
        result.inOrder &&= byte === result.bytes % 251
        result.bytes++
      }
    })

    return result
  }

  it('hold one window at most while nobody reads, all of it reserved, and lose nothing', async () => {
    const stream = await setUp()
    const total = 3 * MiB

    stream.send(chunk(total, 0))
    await eventually(() => accepted[0].readBufferLength === WINDOW)
    await new Promise(resolve => setTimeout(resolve, 100))

    expect(accepted[0].status).to.equal('open')
    expect(accepted[0].readBufferLength).to.equal(WINDOW)
    expect(memory(listener)).to.equal(WINDOW)
    expect(managerOf(listener).streamScope(accepted[0])?.stat().memory).to.equal(WINDOW)
    // what is left waits at the sender, and is reserved there
    expect(memory(dialer)).to.equal(Math.ceil(stream.writeBufferLength / STEP) * STEP)
    expect(stream.writeBufferLength).to.equal(total - WINDOW)

    const received = collect(accepted[0])
    await eventually(() => received.bytes === total)

    expect(received.inOrder).to.be.true()
    await eventually(() => memory(listener) === 0 && memory(dialer) === 0)
    stream.abort(new Error('enough'))
    await eventually(() => managerOf(listener).stat().system.inboundStreams === 0)
  })

  it('cost nothing while somebody reads', async () => {
    const stream = await setUp()
    const received = collect(accepted[0])
    let most = 0
    accepted[0].addEventListener('message', () => { most = Math.max(most, memory(listener)) })

    stream.send(chunk(2 * MiB, 0))
    await eventually(() => received.bytes === 2 * MiB)

    expect(received.inOrder).to.be.true()
    expect(most).to.be.at.most(STEP)
  })

  it('follow an application that pauses and resumes', async () => {
    const stream = await setUp()
    const received = collect(accepted[0])
    accepted[0].pause()
    stream.send(chunk(2 * MiB, 0))

    await eventually(() => accepted[0].readBufferLength === WINDOW)
    await eventually(() => memory(listener) === WINDOW)
    expect(received.bytes).to.equal(0)

    accepted[0].resume()
    await eventually(() => received.bytes === 2 * MiB)
    expect(received.inOrder).to.be.true()
    await eventually(() => memory(listener) === 0)
  })

  it('are given back when the stream ends unread', async () => {
    for (const end of [async (s: Stream) => { s.abort(new Error('enough')) }, async (s: Stream) => s.close()]) {
      const stream = await setUp()

      stream.send(chunk(100 * KiB, 0))
      await eventually(() => memory(listener) === 100 * KiB)
      await end(stream)

      if (accepted[0].status === 'open') {
        await accepted[0].closeRead()
        await accepted[0].close()
      }

      await eventually(() => memory(listener) === 0)
      await stopAll(dialer, listener)
      await expectNothingHeld(managerOf(listener))
      await expectNothingHeld(managerOf(dialer))
    }
  })

  for (const muxer of ['yamux', 'mplex'] as const) {
    it(`abort a ${muxer} stream for which there is no memory, with our error, and only that one`, async () => {
      const stream = await setUp({ muxer, limits: { stream: { memory: 64 * KiB } } })
      let reason: Error | undefined
      accepted[0].addEventListener('close', event => { reason = event.error })

      stream.send(chunk(200 * KiB, 0))
      await eventually(() => accepted[0].status === 'aborted')

      expect(reason).to.have.property('name', 'ResourceLimitExceededError')
      expect(reason).to.have.property('option', 'limits.stream.memory')
      await eventually(() => stream.status === 'reset')
      expect(memory(listener)).to.equal(0)

      // the connection and its other streams live on
      const [connection] = dialer.getConnections()
      expect(connection.status).to.equal('open')
      await dialer.services.ping.ping(listener.peerId)
    })
  }

  it('hold a polite writer back until its data has really gone', async () => {
    const stream = await setUp()
    const total = 8 * MiB
    const size = 64 * KiB
    let most = 0
    let written = 0

    const writing = (async () => {
      while (written < total) {
        const more = stream.send(chunk(size, written))
        written += size
        most = Math.max(most, stream.writeBufferLength)

        if (!more) {
          await stream.onDrain()
        }
      }
    })()

    // nobody reads for a while
    await eventually(() => accepted[0].readBufferLength === WINDOW)
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(written).to.be.below(2 * MiB)
    expect(stream.status).to.equal('open')

    const received = collect(accepted[0])
    await writing
    await eventually(() => received.bytes === total)

    expect(received.inOrder).to.be.true()
    expect(most).to.be.below(2 * MiB)
  })

  it('fail a writer that waits for a stream that closes', async () => {
    const stream = await setUp()

    stream.send(chunk(MiB, 0))
    const waiting = stream.onDrain()
    accepted[0].abort(new Error('enough'))
    await expect(waiting).to.eventually.be.rejected()
    await expect(stream.onDrain()).to.eventually.be.rejected()

    const aborted = await (dialer.getConnections()[0]).newStream(SINK)
    aborted.send(chunk(MiB, 0))
    await expect(aborted.onDrain({ signal: AbortSignal.abort(new Error('too long')) })).to.eventually.be.rejectedWith('too long')
  })
})
