/* eslint-disable no-loop-func */

import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { buffered, eventually, managerOf, stopAll } from '../../fixtures/nodes.ts'
import { createFlood, openHeld, pattern, receive, roundUp, settle, take, WINDOW } from '../../fixtures/transfer.ts'
import type { Flood, Receiver } from '../../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

const MUCH = 4 * 1024 * 1024
const CHUNK = 64 * 1024

/** No more than this is handed over in one piece */
const ONE_PIECE = 16 * 1024

describe('a slow reader with for await', () => {
  let flood: Flood
  let out: Stream
  let stream: Stream
  let receiver: Receiver

  /** What is reserved for the stream beyond what it has without any data */
  function memory (): number {
    return buffered(managerOf(flood.node))
  }

  /** Takes one chunk, as a loop does that then does something else */
  async function takeOne (iterator: AsyncIterator<Uint8Array | Uint8ArrayList>): Promise<boolean> {
    const { done, value } = await iterator.next()

    if (done !== true) {
      take(receiver, value)
    }

    return done !== true
  }

  /** In chunks, since a frame is delivered in one piece */
  function send (length: number, from: number = 0): void {
    for (let i = from; i < from + length; i += CHUNK) {
      out.send(pattern(Math.min(CHUNK, from + length - i), i))
    }
  }

  beforeEach(async () => {
    // on loopback, how far a window grows is a matter of milliseconds
    flood = await createFlood({ options: { streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: WINDOW } })] } })
    receiver = { received: 0, inOrder: true }
    ;({ out, unread: stream } = await openHeld(flood))
  })

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
  })

  it('holds a window and a chunk, which is reserved, while the remote is held back', async () => {
    send(MUCH)

    for await (const data of stream) {
      take(receiver, data)

      if (receiver.received === MUCH) {
        break
      }

      // all comes that the remote may send
      await settle(flood)
      const sent = MUCH - out.writeBufferLength
      const held = sent - receiver.received

      expect(held).to.be.at.most(2 * WINDOW)
      expect(memory()).to.equal(roundUp(held))
    }

    expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
    expect(memory()).to.equal(0)
    expect(stream.status).to.equal('open')
  })

  it('that stands still holds a window and a chunk', async () => {
    const iterator = stream[Symbol.asyncIterator]()
    send(MUCH)
    await takeOne(iterator)
    await settle(flood)

    const held = MUCH - out.writeBufferLength - receiver.received
    expect(held).to.be.within(1, 2 * WINDOW)
    expect(memory()).to.equal(roundUp(held))

    // and nothing more comes
    await settle(flood)
    expect(MUCH - out.writeBufferLength - receiver.received).to.equal(held)
  })

  it('that is prompt gets a chunk for each frame, and pauses nothing', async () => {
    let pauses = 0
    const pause = stream.pause.bind(stream)
    stream.pause = () => {
      pauses++
      pause()
    }
    const chunks: number[] = []
    const reading = (async () => {
      for await (const data of stream) {
        take(receiver, data)
        chunks.push(data.byteLength)
      }
    })()

    for (let i = 0; i < 20; i++) {
      send(1_000 + i, receiver.received)
      await settle(flood)
    }

    await out.close()
    await reading
    expect(chunks).to.deep.equal(Array.from({ length: 20 }, (_, i) => 1_000 + i))
    expect(receiver.inOrder).to.be.true()
    expect(pauses).to.equal(0)
    expect(memory()).to.equal(0)
  })

  it('gets what had come before it began', async () => {
    send(WINDOW)
    await eventually(() => stream.readBufferLength === WINDOW)
    await out.close()
    await eventually(() => stream.remoteWriteStatus === 'closed')

    for await (const data of stream) {
      take(receiver, data)
    }

    expect(receiver).to.deep.equal({ received: WINDOW, inOrder: true })
    expect(memory()).to.equal(0)
  })

  it('leaves what it did not take to the next one', async () => {
    send(MUCH)

    while (receiver.received < MUCH) {
      // eslint-disable-next-line no-unreachable-loop
      for await (const data of stream) {
        take(receiver, data)
        await settle(flood)
        break
      }

      expect(stream.readStatus).to.equal('readable')
      expect(memory()).to.equal(roundUp(stream.readBufferLength))
    }

    expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
    expect(memory()).to.equal(0)
  })

  it('leaves what it did not take to a listener', async () => {
    const iterator = stream[Symbol.asyncIterator]()
    send(MUCH)
    await takeOne(iterator)
    await settle(flood)
    await takeOne(iterator)
    await settle(flood)

    expect(receiver.received).to.be.below(MUCH)
    await iterator.return?.()

    stream.addEventListener('message', ({ data }) => { take(receiver, data) })
    await eventually(() => receiver.received === MUCH)
    expect(receiver.inOrder).to.be.true()
    await eventually(() => memory() === 0)
  })

  it('that leaves while it does not wait leaves the stream as it was: bounded and open', async () => {
    const iterator = stream[Symbol.asyncIterator]()
    send(MUCH)
    await takeOne(iterator)
    await settle(flood)
    await iterator.return?.()
    await settle(flood)

    // what was granted by resuming is the last
    const held = stream.readBufferLength
    expect(held).to.be.within(1, 2 * WINDOW)
    expect(memory()).to.equal(roundUp(held))
    await settle(flood)
    expect(stream.readBufferLength).to.equal(held)
    expect(stream.status).to.equal('open')
  })

  it('keeps no more than the bytes of a chunk that it was not asked for', async () => {
    const iterator = stream[Symbol.asyncIterator]()
    const other = await openHeld(flood)
    receive(other.unread)
    const first = iterator.next()

    // in one packet, large enough for all of it
    for (let i = 0; i < 3; i++) {
      other.out.send(pattern(20_000))
      out.send(Uint8Array.of(i))
    }

    expect((await first).value?.subarray()).to.deep.equal(Uint8Array.of(0))
    await settle(flood)

    const { value } = await iterator.next()
    let kept = 0

    for (const slice of value instanceof Uint8Array ? [value] : value ?? []) {
      kept += slice.buffer.byteLength
    }

    expect(value?.byteLength).to.be.within(1, 2)
    expect(kept).to.be.at.most(2)
  })

  describe('that the application pauses', () => {
    it('waits until it is resumed', async () => {
      const iterator = stream[Symbol.asyncIterator]()
      let taken = false
      stream.pause()
      const next = takeOne(iterator).then(() => { taken = true })
      send(ONE_PIECE)
      await eventually(() => stream.readBufferLength === ONE_PIECE)
      expect(taken).to.be.false()

      stream.resume()
      await next
      expect(receiver).to.deep.equal({ received: ONE_PIECE, inOrder: true })
    })

    it('at any time gets everything', async () => {
      let turns = 0
      send(MUCH)

      for await (const data of stream) {
        take(receiver, data)

        if (receiver.received === MUCH) {
          break
        }

        stream.pause()
        await settle(flood)
        expect(memory()).to.be.at.most(2 * WINDOW)

        // asking for more says that there is room, too
        if (++turns % 2 === 0) {
          stream.resume()
        } else {
          setTimeout(() => {
            // the last piece may have been taken, and the stream closed
            if (stream.readStatus === 'paused') {
              stream.resume()
            }
          }, 1)
        }
      }

      expect(turns).to.be.greaterThan(2)
      expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
      await eventually(() => memory() === 0)
    })

    it('and resumes before it asks gets everything', async () => {
      const iterator = stream[Symbol.asyncIterator]()
      send(MUCH)
      await takeOne(iterator)

      while (receiver.received < MUCH) {
        await settle(flood)

        if (stream.readStatus === 'paused') {
          stream.resume()
          await settle(flood)
        }

        expect(memory()).to.be.at.most(3 * WINDOW)
        await takeOne(iterator)
      }

      expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
    })
  })

  describe('beside another reader', () => {
    it('with for await, both get everything at the pace of the slower one', async () => {
      const second: Receiver = { received: 0, inOrder: true }
      send(MUCH)

      const reading = (async () => {
        for await (const data of stream) {
          take(second, data)

          if (second.received === MUCH) {
            break
          }
        }
      })()

      for await (const data of stream) {
        take(receiver, data)

        if (receiver.received === MUCH) {
          break
        }

        await settle(flood)
        expect(memory()).to.be.at.most(2 * WINDOW)
      }

      await reading
      expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
      expect(second).to.deep.equal({ received: MUCH, inOrder: true })
      await eventually(() => memory() === 0)
    })

    it('that asks no more, the other one gets everything when that one is told to return', async () => {
      const forgotten = stream[Symbol.asyncIterator]()
      void forgotten.next()
      send(MUCH)
      const listener = receive(stream)
      await settle(flood)
      await settle(flood)

      // nobody can know that it will not ask again
      expect(listener.received).to.be.below(MUCH)
      expect(memory()).to.be.within(1, 2 * WINDOW)

      await forgotten.return?.()
      await eventually(() => listener.received >= MUCH)
      await settle(flood)
      // nothing comes a second time
      expect(listener).to.deep.equal({ received: MUCH, inOrder: true })
      expect(memory()).to.equal(0)
    })

    it('that listens, both get everything', async () => {
      const listener = receive(stream)
      send(MUCH)

      for await (const data of stream) {
        take(receiver, data)

        if (receiver.received === MUCH) {
          break
        }

        await settle(flood)
        expect(memory()).to.be.at.most(2 * WINDOW)
      }

      expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
      expect(listener).to.deep.equal({ received: MUCH, inOrder: true })
    })
  })
})
