/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { buffered, eventually, expectNothingHeld, managerOf, stopAll } from '../../fixtures/nodes.ts'
import { createFlood, openHeld, pattern, receive, settle, take } from '../../fixtures/transfer.ts'
import type { Flood, Receiver } from '../../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

const SIZE = 10_000

type Iterator = AsyncGenerator<Uint8Array | Uint8ArrayList>

interface Ending {
  end(): Promise<void> | void
  /** Of the error with which the loop ends */
  error?: string
  /** js-libp2p throws away what was not delivered yet */
  drops?: boolean
}

describe('for await over a stream that ends', () => {
  let flood: Flood
  let out: Stream
  let stream: Stream
  let iterator: Iterator
  let sent: number
  let receiver: Receiver

  const ENDINGS: Record<string, Ending> = {
    'is closed by the remote': {
      end: async () => out.close()
    },
    'is closed by both': {
      end: async () => {
        await stream.close()
        await out.close()
      }
    },
    'is reset by the remote': {
      end: () => { out.abort(new Error('Aborted on purpose')) },
      error: 'StreamResetError'
    },
    'is aborted here': {
      end: () => { stream.abort(new TypeError('Aborted on purpose')) },
      error: 'TypeError',
      drops: true
    },
    'loses its raw connection': {
      end: async () => (flood.connection as any).maConn.close()
    },
    'loses its connection by a reset': {
      end: () => { flood.connection.abort(new Error('Aborted on purpose')) },
      error: 'StreamResetError'
    },
    'loses its connection by an abort here': {
      end: () => { flood.node.getConnections()[0].abort(new TypeError('Aborted on purpose')) },
      error: 'TypeError',
      drops: true
    },
    'outlives its node': {
      end: async () => {
        const stopped = flood.node.stop()
        await out.close().catch(() => {})
        await stopped
      }
    }
  }

  async function send (length: number = SIZE): Promise<void> {
    out.send(pattern(length, sent))
    sent += length
    await settle(flood)
  }

  /** @returns whether there was one */
  async function takeOne (): Promise<boolean> {
    const { done, value } = await iterator.next()

    if (done !== true) {
      take(receiver, value)
    }

    return done !== true
  }

  /** Takes all there is, and returns what the loop throws */
  async function takeAll (): Promise<Error | undefined> {
    try {
      while (await takeOne()) {
        // goes on
      }
    } catch (err: any) {
      return err
    }
  }

  function isOver (): boolean {
    return stream.remoteWriteStatus === 'closed'
  }

  async function expectOver (): Promise<void> {
    for (let i = 0; i < 2; i++) {
      expect(await iterator.next()).to.deep.equal({ done: true, value: undefined })
    }

    await eventually(() => buffered(managerOf(flood.node)) === 0)
  }

  beforeEach(async () => {
    flood = await createFlood()
    ;({ out, unread: stream } = await openHeld(flood))
    iterator = stream[Symbol.asyncIterator]() as Iterator
    sent = 0
    receiver = { received: 0, inOrder: true }
  })

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
    await expectNothingHeld(managerOf(flood.node))
  })

  for (const [name, { end, error, drops = false }] of Object.entries(ENDINGS)) {
    describe(`since it ${name}`, () => {
      function expectAll (): void {
        expect(receiver.inOrder).to.be.true()

        if (drops) {
          // what the iterator holds has left js-libp2p's buffer
          expect(receiver.received).to.be.within(SIZE, sent)
        } else {
          expect(receiver.received).to.equal(sent)
        }
      }

      it('while it waits, ends', async () => {
        const first = takeOne()
        await send()
        await first
        const rest = takeAll()

        await end()
        expect((await rest)?.name).to.equal(error)
        expectAll()
        await expectOver()
      })

      it('while it is busy, ends when it asks again', async () => {
        const first = takeOne()
        await send()
        await first

        await end()
        await eventually(isOver)
        expect((await takeAll())?.name).to.equal(error)
        expectAll()
        await expectOver()
      })

      it('while a chunk waits for it, gets the chunk and ends', async () => {
        const first = takeOne()
        await send()
        await first
        await send()

        await end()
        await eventually(isOver)
        expect((await takeAll())?.name).to.equal(error)
        expectAll()
        expect(receiver.received).to.equal(sent)
        await expectOver()
      })

      it('while a chunk waits for it and more is in the buffer, gets all there is and ends', async () => {
        const first = takeOne()
        await send()
        await first
        await send()
        await send()
        await send()

        await end()
        await eventually(isOver)
        expect((await takeAll())?.name).to.equal(error)
        expectAll()
        await expectOver()
      })

      it('before it begins, gets all there is and ends', async () => {
        await send()
        await end()
        await eventually(isOver)
        const err = await takeAll()

        if (drops) {
          expect(err).to.be.undefined()
          expect(receiver.received).to.equal(0)
        } else {
          expect(err?.name).to.equal(error)
          expectAll()
        }

        await expectOver()
      })

      it('after all was read, ends at once', async () => {
        const listener = receive(stream)
        await send()
        await end()
        await eventually(isOver)
        expect(listener.received).to.equal(SIZE)

        expect(await takeAll()).to.be.undefined()
        await expectOver()
      })
    })
  }

  describe('by itself', () => {
    it('can be told to return before it has begun', async () => {
      expect(await iterator.return(undefined)).to.deep.equal({ done: true, value: undefined })
      await expectOver()

      // and has taken nothing
      await send()
      expect(stream.readBufferLength).to.equal(SIZE)
    })

    it('can be told to return while it waits', async () => {
      const next = iterator.next()
      expect(await iterator.return(undefined)).to.deep.equal({ done: true, value: undefined })
      expect(await next).to.deep.equal({ done: true, value: undefined })
      await expectOver()

      await send()
      expect(stream.readBufferLength).to.equal(SIZE)
    })

    it('can be told to throw, and puts back what it has', async () => {
      const first = takeOne()
      await send()
      await first
      await send()

      await expect(iterator.throw(new Error('Thrown on purpose'))).to.eventually.be.rejectedWith('Thrown on purpose')
      expect(await iterator.next()).to.deep.equal({ done: true, value: undefined })
      expect(stream.readBufferLength).to.equal(SIZE)
      expect(stream.readStatus).to.equal('readable')
    })

    it('can be disposed', async () => {
      const next = iterator.next()
      await iterator[Symbol.asyncDispose]()
      expect(await next).to.deep.equal({ done: true, value: undefined })
      await expectOver()
    })

    it('answers those who ask at the same time in order, and tells one of them why it ends', async () => {
      const nexts = Array.from({ length: 4 }, async () => iterator.next())
      await send()
      await send()
      out.abort(new Error('Aborted on purpose'))

      const answers = await Promise.allSettled(nexts)
      expect(answers.map(({ status }) => status)).to.deep.equal(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])

      for (const answer of answers.slice(0, 2)) {
        take(receiver, (answer as PromiseFulfilledResult<IteratorResult<Uint8Array>>).value.value)
      }

      expect(receiver).to.deep.equal({ received: sent, inOrder: true })
      expect(answers[3]).to.deep.equal({ status: 'fulfilled', value: { done: true, value: undefined } })
      await expectOver()
    })

    it('leaves no listener behind', async () => {
      const types = ['message', 'close', 'remoteCloseWrite']
      const count = (): number[] => types.map(type => (stream as any).listenerCount(type))
      const before = count()

      const next = iterator.next()
      expect(count()).to.deep.equal(before.map(n => n + 1))
      await iterator.return(undefined)
      await next

      expect(count()).to.deep.equal(before)
    })
  })
})
