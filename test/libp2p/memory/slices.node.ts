/* eslint-disable no-loop-func */

import { byteStream } from '@libp2p/utils'
import { expect } from 'aegir/chai'
import { usedMemory } from '../../fixtures/memory.ts'
import { buffered, eventually, managerOf, stopAll } from '../../fixtures/nodes.ts'
import { createFlood, openHeld, pattern, receive, roundUp, settle, STEP, take } from '../../fixtures/transfer.ts'
import { dataFrame, encryptedOf, idOf, sendAll } from '../../fixtures/yamux-remote.ts'
import type { Flood, Receiver } from '../../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'

/** Frames of one byte each */
const FRAMES = 200_000

/** Slices are joined when there are so many, and for each so many bytes */
const SLICES = 64
const SMALL = 1024

describe('data that comes in small pieces and is not read', () => {
  let flood: Flood

  /** Sends frames as they are, many in a packet */
  async function send (frames: Uint8Array[], perPacket: number): Promise<void> {
    for (let i = 0; i < frames.length; i += perPacket) {
      await sendAll(encryptedOf(flood.connection), Buffer.concat(frames.slice(i, i + perPacket)))
    }

    await settle(flood)
  }

  /** A frame for each byte */
  function frames (stream: Stream, count: number, from: number = 0): Uint8Array[] {
    return [...pattern(count, from)].map(byte => dataFrame(idOf(stream), Uint8Array.of(byte)))
  }

  function slicesOf (...streams: Stream[]): Uint8Array[] {
    return streams.flatMap(stream => [...(stream as any).readBuffer])
  }

  /** What the slices keep in memory, each buffer counted once */
  function keptBy (slices: Uint8Array[]): number {
    return [...new Set(slices.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  beforeEach(async () => {
    flood = await createFlood()
  })

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
  })

  it('byte by byte costs a small multiple of what is reserved for it, and arrives in order', async function () {
    this.timeout(60_000)
    const { out, unread } = await openHeld(flood)
    // what is made once is there before
    await send(frames(out, 1_000), 100)

    const before = { used: await usedMemory(), reserved: buffered(managerOf(flood.node)) }
    await send(frames(out, FRAMES, 1_000), 1_000)
    expect(unread.readBufferLength).to.equal(1_000 + FRAMES)

    const used = await usedMemory() - before.used
    const reserved = buffered(managerOf(flood.node)) - before.reserved
    expect(reserved).to.equal(roundUp(1_000 + FRAMES) - before.reserved)
    // without being joined it is more than two hundred times as much
    expect(used).to.be.below(10 * reserved)
    expect(slicesOf(unread).length).to.be.at.most((1_000 + FRAMES) / SMALL + SLICES)

    const receiver = receive(unread)
    await eventually(() => receiver.received === 1_000 + FRAMES)
    expect(receiver.inOrder).to.be.true()
  })

  for (const [name, prepare] of Object.entries<(stream: Stream) => void>({
    'that nobody listens to': () => {},
    'that is paused': stream => {
      stream.addEventListener('message', () => {})
      stream.pause()
    },
    'with a busy iterator': stream => {
      const iterator = stream[Symbol.asyncIterator]()
      // has one and does not ask for more
      void iterator.next()
    }
  })) {
    it(`keeps nothing of what it came with, on a stream ${name}`, async () => {
      const { out, unread } = await openHeld(flood)
      const other = await openHeld(flood)
      const receiver = receive(other.unread)
      const COUNT = 1_000
      const SIZE = 20_000
      prepare(unread)

      const mixed = frames(out, COUNT).flatMap((frame, i) => [dataFrame(idOf(other.out), pattern(SIZE, i * SIZE)), frame])
      await send(mixed, 2)
      expect(receiver).to.deep.equal({ received: COUNT * SIZE, inOrder: true })

      const slices = slicesOf(unread)
      expect(unread.readBufferLength).to.be.within(COUNT - 2, COUNT)
      expect(slices.length).to.be.at.most(SLICES)
      expect(keptBy(slices)).to.equal(unread.readBufferLength)
      expect(buffered(managerOf(flood.node))).to.equal(STEP)
    })
  }

  it('keeps nothing of what it came with, on many streams that get a few bytes each', async () => {
    const other = await openHeld(flood)
    receive(other.unread)
    const ends: Array<{ out: Stream, unread: Stream }> = []
    const FEW = 10

    for (let i = 0; i < 50; i++) {
      ends.push(await openHeld(flood))
    }

    // no two of them in a packet
    await send(Array.from({ length: FEW }, (_, i) => ends.flatMap(({ out }) => [dataFrame(idOf(other.out), new Uint8Array(20_000)), ...frames(out, 1, i)])).flat(), 2)

    const streams = ends.map(({ unread }) => unread)
    expect(streams.map(({ readBufferLength }) => readBufferLength)).to.deep.equal(streams.map(() => FEW))
    expect(keptBy(slicesOf(...streams))).to.equal(streams.length * FEW)

    for (const stream of streams) {
      const receiver: Receiver = { received: 0, inOrder: true }
      stream.addEventListener('message', ({ data }) => { take(receiver, data) })
      await eventually(() => receiver.received === FEW)
      expect(receiver.inOrder).to.be.true()
    }
  })

  describe('but is taken by a byte stream', () => {
    it('byte by byte costs a small multiple of what is reserved for it, and arrives in order', async function () {
      this.timeout(60_000)
      const { out, unread } = await openHeld(flood)
      const bytes = byteStream(unread)
      await send(frames(out, 1_000), 100)

      const before = { used: await usedMemory(), reserved: buffered(managerOf(flood.node)) }
      await send(frames(out, FRAMES / 4, 1_000), 1_000)
      const used = await usedMemory() - before.used
      const reserved = buffered(managerOf(flood.node)) - before.reserved
      expect(used).to.be.below(3 * reserved)

      const receiver: Receiver = { received: 0, inOrder: true }
      take(receiver, await bytes.read({ bytes: 1_000 + FRAMES / 4 }))
      expect(receiver).to.deep.equal({ received: 1_000 + FRAMES / 4, inOrder: true })
    })

    it('keeps nothing of what it came with, also while more is waited for', async () => {
      const { out, unread } = await openHeld(flood)
      const other = await openHeld(flood)
      receive(other.unread)
      const COUNT = 1_000
      const SIZE = 60_000
      const read = byteStream(unread).read({ bytes: COUNT })
      await send([dataFrame(idOf(other.out), pattern(SIZE)), ...frames(out, 1)], 2)

      const before = await usedMemory()

      // no two bytes in a packet
      for (const [i, frame] of frames(out, COUNT - 2, 1).entries()) {
        await sendAll(encryptedOf(flood.connection), Buffer.concat([dataFrame(idOf(other.out), pattern(SIZE, (i + 1) * SIZE)), frame]))
      }

      await settle(flood)
      // fifty times as much came
      expect(await usedMemory() - before).to.be.below(COUNT * SIZE / 50)

      out.send(pattern(1, COUNT - 1))
      const receiver: Receiver = { received: 0, inOrder: true }
      take(receiver, await read)
      expect(receiver).to.deep.equal({ received: COUNT, inOrder: true })
    })
  })

  it('is not copied when it comes in large pieces', async () => {
    const { out, unread } = await openHeld(flood)
    out.send(pattern(250_000))
    await settle(flood)

    const slices = slicesOf(unread)
    expect(unread.readBufferLength).to.equal(250_000)
    expect(slices.length).to.be.greaterThan(1)
    // what each is a part of is as large as the packets were
    expect(keptBy(slices)).to.be.within(250_001, 2 * 250_000)
  })
})
