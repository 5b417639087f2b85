/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import pWaitFor from 'p-wait-for'
import { buffered, createNode, eventually, managerOf, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import { handleHeld, HELD, heldStreams } from '../fixtures/pair.ts'
import { pattern, receive, roundUp, settle, WINDOW } from '../fixtures/transfer.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

const CHUNK = 64 * 1024
const CHUNKS = 400
const TOTAL = CHUNK * CHUNKS

interface Writing {
  sent: number
  mostBuffered: number
  mostReserved: number
  done: Promise<void>
}

describe('a writer', () => {
  /** The node that is tested */
  let node: TestNode
  let remote: Libp2p<any>
  let stream: Stream
  /** The remote's end, which is not read unless a test does */
  let other: Stream

  async function start (init: NodeInit = {}, protectedRemote: boolean = true): Promise<void> {
    node = await createNode(init)
    const { muxer } = init

    if (protectedRemote) {
      remote = await createNode({ muxer })
      await handleHeld(remote as TestNode)
    } else {
      remote = await createLibp2p(nodeOptions({ muxer }))
      // js-libp2p drops a stream that nobody reads unless it is paused
      await handleHeld(remote as TestNode, stream => { stream.pause() })
    }

    stream = await node.dialProtocol(remote.getMultiaddrs(), HELD)
    await eventually(() => heldStreams(remote as TestNode).length === 1)
    other = heldStreams(remote as TestNode)[0]
  }

  /** Sends all chunks and waits whenever the stream wants it to */
  function writePolitely (): Writing {
    const writing: Writing = { sent: 0, mostBuffered: 0, mostReserved: 0, done: Promise.resolve() }

    writing.done = (async () => {
      for (let i = 0; i < CHUNKS; i++) {
        const goOn = stream.send(pattern(CHUNK, i * CHUNK))
        writing.sent += CHUNK
        writing.mostBuffered = Math.max(writing.mostBuffered, stream.writeBufferLength)
        writing.mostReserved = Math.max(writing.mostReserved, buffered(managerOf(node)))

        if (!goOn) {
          await stream.onDrain()
        }
      }
    })()

    return writing
  }

  afterEach(async () => {
    await stopAll(node, remote)
  })

  for (const muxer of ['yamux', 'mplex'] as const) {
    it(`is not left waiting by a reader that has read enough and says so, with ${muxer}`, async () => {
      await start({ muxer })
      const writing = writePolitely()

      const reader = other[Symbol.asyncIterator]()
      await reader.next()
      await reader.return?.()
      await other.closeRead()
      await other.close()
      await writing.done
      await stream.close()

      await eventually(() => node.getConnections()[0].streams.length + remote.getConnections()[0].streams.length === 0)
      expect(writing.sent).to.equal(TOTAL)
    })
  }

  it('may send all it has at once on the default limits of a small machine, in one stream or in several', async function () {
    this.timeout(60_000)
    const MiB = 2 ** 20
    // what a machine with 1 GiB gives
    await start({ memory: 128 * MiB })
    const streams = [stream, ...await Promise.all(Array.from({ length: 3 }, async () => node.getConnections()[0].newStream(HELD)))]
    await eventually(() => heldStreams(remote as TestNode).length === streams.length)
    const sizes = [20 * MiB, 8 * MiB, 8 * MiB, 8 * MiB]

    streams.forEach((stream, i) => { stream.send(new Uint8Array(sizes[i])) })
    const receivers = heldStreams(remote as TestNode).map(stream => receive(stream))
    await Promise.all(streams.map(async stream => stream.close()))
    await pWaitFor(() => receivers.reduce((sum, { received }) => sum + received, 0) === 44 * MiB, { timeout: 50_000 })

    expect(managerOf(node).refusals()).to.be.empty()
  })

  for (const protectedRemote of [true, false]) {
    it(`that waits for the drain buffers little while a ${protectedRemote ? 'protected' : 'stock'} remote does not read, and gets everything through`, async () => {
      await start({}, protectedRemote)
      const writing = writePolitely()
      writing.done.catch(() => {})

      await settle({ sender: node, node: remote as TestNode })
      const { sent } = writing
      await settle({ sender: node, node: remote as TestNode })

      // it stands still, with about one window at the remote and little here
      expect(writing.sent).to.equal(sent)
      expect(sent).to.be.below(8 * WINDOW)
      expect(stream.writeBufferLength).to.be.below(4 * WINDOW)
      expect(managerOf(node).streamScope(stream)?.stat().memory).to.be.at.least(roundUp(stream.writeBufferLength))

      const receiver = receive(other)

      if (!protectedRemote) {
        other.resume()
      }

      await writing.done
      await eventually(() => receiver.received === TOTAL)

      expect(receiver.inOrder).to.be.true()
      expect(writing.mostBuffered).to.be.below(4 * 1024 * 1024)
      await eventually(() => stream.writeBufferLength === 0)
    })
  }

  it('that waits for the drain buffers little while the remote reads slowly', async () => {
    await start()
    const receiver = receive(other)
    other.addEventListener('message', () => {
      // nothing is left to do when the test ends
      if (receiver.received < TOTAL) {
        other.pause()
        setTimeout(() => { other.resume() }, 1)
      }
    })

    const writing = writePolitely()
    await writing.done
    await eventually(() => receiver.received === TOTAL)

    expect(receiver.inOrder).to.be.true()
    expect(writing.mostBuffered).to.be.below(4 * 1024 * 1024)
  })

  it('that waits for the drain gets everything through with mplex', async () => {
    await start({ muxer: 'mplex' })
    const receiver = receive(other)
    const writing = writePolitely()
    await writing.done
    await eventually(() => receiver.received === TOTAL)

    expect(receiver.inOrder).to.be.true()
    expect(writing.mostBuffered).to.be.below(4 * 1024 * 1024)
  })

  it('gives back what its buffer held', async () => {
    await start()
    const before = managerOf(node).streamScope(stream)?.stat().memory ?? NaN
    const writing = writePolitely()
    await settle({ sender: node, node: remote as TestNode })
    const receiver = receive(other)
    await writing.done
    await eventually(() => receiver.received === TOTAL)

    expect(writing.mostReserved).to.be.greaterThan(before)
    await eventually(() => managerOf(node).streamScope(stream)?.stat().memory === before)

    await stream.close()
    await other.close()
    await eventually(() => buffered(managerOf(node)) === 0)
  })

  it('gives back what its buffer held as soon as it is empty', async () => {
    await start()
    const before = managerOf(node).streamScope(stream)?.stat().memory ?? NaN

    // as if nothing more could be sent now
    stream.writableNeedsDrain = true
    stream.send(pattern(10_000))
    expect(managerOf(node).streamScope(stream)?.stat().memory).to.equal(before + roundUp(10_000))

    stream.dispatchEvent(new Event('drain'))
    await eventually(() => stream.writeBufferLength === 0)
    expect(managerOf(node).streamScope(stream)?.stat().memory).to.equal(before)
  })

  it('is still limited by a maximum that the application sets', async () => {
    await start()
    stream.maxWriteBufferLength = 9_999
    expect(stream.maxWriteBufferLength).to.equal(9_999)

    stream.writableNeedsDrain = true
    const closed = new Promise<Error | undefined>(resolve => { stream.addEventListener('close', ({ error }) => { resolve(error) }) })
    stream.send(pattern(10_000))

    expect(await closed).to.have.property('name', 'StreamBufferError')
    await eventually(() => buffered(managerOf(node)) === 0)
  })

  it('that does not wait is aborted with our error, and the connection lives on', async () => {
    const limit = 1024 * 1024
    await start({ limits: { stream: { memory: limit } } })
    const closed = new Promise<Error | undefined>(resolve => { stream.addEventListener('close', ({ error }) => { resolve(error) }) })
    let most = 0

    for (let i = 0; i < CHUNKS && stream.status === 'open'; i++) {
      stream.send(pattern(CHUNK))
      most = Math.max(most, buffered(managerOf(node)))
    }

    expect(await closed).to.include({ name: 'ResourceLimitExceededError', resource: 'memory', limit })
    expect(most).to.be.within(limit / 2, limit)
    expect(stream.writeBufferLength).to.equal(0)
    await eventually(() => other.status === 'reset')
    expect(await node.services.ping.ping(remote.peerId)).to.be.at.least(0)
    await eventually(() => buffered(managerOf(node)) === 0)
  })

  it('that waits is told when the stream is gone', async () => {
    await start()
    const writing = writePolitely()
    await settle({ sender: node, node: remote as TestNode })

    other.abort(new Error('Aborted on purpose'))
    await expect(writing.done).to.eventually.be.rejected()
    expect(writing.sent).to.be.below(TOTAL)
    await eventually(() => buffered(managerOf(node)) === 0)

    // at any later time, too
    await expect(stream.onDrain().then(() => { stream.send(new Uint8Array(1)) })).to.eventually.be.rejected()
  })

  it('that waits is not told to go on by a drain that does not help', async () => {
    await start()
    stream.send(pattern(4 * WINDOW))
    expect(stream.writableNeedsDrain).to.be.true()
    let drained = false
    const waiting = stream.onDrain().then(() => { drained = true })

    // the connection could take more, but the remote has not granted more
    for (let i = 0; i < 3; i++) {
      stream.dispatchEvent(new Event('drain'))
      await settle({ sender: node, node: remote as TestNode })
    }

    expect(stream.writableNeedsDrain).to.be.true()
    expect(drained).to.be.false()

    const receiver = receive(other)
    await waiting
    await eventually(() => receiver.received === 4 * WINDOW)
  })

  it('that waits can give up', async () => {
    await start()
    writePolitely().done.catch(() => {})
    await settle({ sender: node, node: remote as TestNode })
    const controller = new AbortController()

    const waiting = stream.onDrain({ signal: controller.signal })
    controller.abort(new Error('No patience'))
    await expect(waiting).to.eventually.be.rejectedWith('No patience')
    await expect(stream.onDrain({ signal: controller.signal })).to.eventually.be.rejectedWith('No patience')
  })

  it('does not wait when there is no need', async () => {
    await start()
    await stream.onDrain()
    expect(stream.send(Uint8Array.of(1))).to.be.true()
    await stream.onDrain()
  })

  it('is not the only one who may wait', async () => {
    await start()
    const writing = writePolitely()
    await settle({ sender: node, node: remote as TestNode })

    const waiting = Promise.all([stream.onDrain(), stream.onDrain(), stream.onDrain()])
    const receiver = receive(other)
    await waiting
    await writing.done
    await eventually(() => receiver.received === TOTAL)
  })

  it('that closes its end gets everything through before', async () => {
    await start()
    stream.send(pattern(8 * WINDOW))
    const closing = stream.close()
    await settle({ sender: node, node: remote as TestNode })

    const receiver = receive(other)
    await closing
    await eventually(() => receiver.received === 8 * WINDOW)
    await eventually(() => other.readableEnded)

    expect(receiver.inOrder).to.be.true()
    await other.close()
    await eventually(() => managerOf(node).stat().system.outboundStreams === 0)
  })
})
