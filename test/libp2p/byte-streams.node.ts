/* eslint-disable no-loop-func */

import { setTimeout as delay } from 'node:timers/promises'
import { byteStream, lpStream } from '@libp2p/utils'
import { expect } from 'aegir/chai'
import pWaitFor from 'p-wait-for'
import { collectGarbage } from '../fixtures/memory.ts'
import { buffered, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import { heldStreams } from '../fixtures/pair.ts'
import { createFlood, openHeld, pattern, receive, settle, STEP, take, WINDOW } from '../fixtures/transfer.ts'
import type { ResourceLimitExceededError } from '../../src/index.ts'
import type { Flood, Receiver } from '../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'
import type { ByteStream } from '@libp2p/utils'

const MUCH = 12 * 1024 * 1024

describe('data that a byte stream has taken', () => {
  let flood: Flood
  let out: Stream
  let unread: Stream

  function memory (): number {
    return managerOf(flood.node).streamScope(unread)?.stat().memory ?? NaN
  }

  beforeEach(async () => {
    flood = await createFlood()
    ;({ out, unread } = await openHeld(flood))
  })

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
  })

  it('is reserved while nobody reads it, and the remote is granted no more', async () => {
    const before = memory()
    const bytes = byteStream(unread)
    out.send(pattern(MUCH))
    await settle(flood)

    expect(memory() - before).to.be.within(1, WINDOW + STEP)
    expect(out.writeBufferLength).to.be.at.least(MUCH - WINDOW)
    expect(unread.readBufferLength).to.equal(0)

    const receiver: Receiver = { received: 0, inOrder: true }

    while (receiver.received < MUCH) {
      take(receiver, await bytes.read() ?? new Uint8Array())
    }

    expect(receiver.inOrder).to.be.true()
    await bytes.read({ signal: AbortSignal.timeout(50) }).catch(() => {})
    expect(memory()).to.equal(before)
  })

  // js-libp2p itself would end the stream with 4 MiB that are not read
  it('is lost to no slow reader', async () => {
    const bytes = byteStream(unread)
    const receiver: Receiver = { received: 0, inOrder: true }
    let most = 0
    out.send(pattern(MUCH))

    while (receiver.received < MUCH) {
      take(receiver, await bytes.read() ?? new Uint8Array())
      await settle(flood)
      most = Math.max(most, memory())
    }

    expect(receiver.inOrder).to.be.true()
    expect(unread.status).to.equal('open')
    // a window that is read in time grows
    expect(most).to.be.at.most(MUCH / 2)
  })

  // the remote sends faster than messages are read, by one or a few bytes first
  it('is lost to no slow reader of messages', async () => {
    const before = memory()
    const length = 64 * 1024
    const sending = lpStream(out)
    const receiving = lpStream(unread)
    const receiver: Receiver = { received: 0, inOrder: true }
    let most = 0

    for (let sent = 0; sent < MUCH; sent += length) {
      sending.write(pattern(length, sent)).catch(() => {})
    }

    while (receiver.received < MUCH) {
      take(receiver, await receiving.read())
      await settle(flood)
      most = Math.max(most, memory() - before)
    }

    expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
    expect(unread.status).to.equal('open')
    expect(most).to.be.within(1, 2 * 1024 * 1024 + STEP)

    receiving.read({ signal: AbortSignal.timeout(10_000) }).catch(() => {})
    await eventually(() => memory() === before)
  })

  it('is reserved while a reader waits for the rest of something large', async () => {
    const before = memory()
    const length = 3 * 1024 * 1024
    const message = pattern(length)
    const read = byteStream(unread).read({ bytes: length })
    let most = 0

    // one by one, as from far away
    for (let sent = 0; sent < length - 1; sent += WINDOW / 4) {
      out.send(message.subarray(sent, Math.min(sent + WINDOW / 4, length - 1)))
      await settle(flood)
      most = Math.max(most, memory() - before)
    }

    expect(most).to.be.within(length - WINDOW, length + WINDOW)
    out.send(message.subarray(length - 1))
    const receiver: Receiver = { received: 0, inOrder: true }
    take(receiver, await read)
    expect(receiver).to.deep.equal({ received: length, inOrder: true })
  })

  it('ends its stream if it cannot be reserved while a reader waits for the rest', async () => {
    managerOf(flood.node).setLimits({ stream: { memory: 1024 * 1024 } })
    ;({ out, unread } = await openHeld(flood))
    const refusals: ResourceLimitExceededError[] = []
    managerOf(flood.node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })

    const read = byteStream(unread).read({ bytes: 3 * 1024 * 1024 })
    out.send(pattern(3 * 1024 * 1024 - 1))
    await expect(read).to.eventually.be.rejected()
    expect(unread.status).to.equal('aborted')
    expect(refusals).to.have.lengthOf(1)
    expect(refusals[0]).to.include({ kind: 'stream', resource: 'memory' })
    await eventually(() => buffered(managerOf(flood.node)) === 0)
  })

  it('can be a message that is larger than a window', async () => {
    const length = 3 * 1024 * 1024
    const sending = lpStream(out)
    const receiving = lpStream(unread)
    sending.write(pattern(length)).catch(() => {})
    await settle(flood)

    const receiver: Receiver = { received: 0, inOrder: true }
    take(receiver, await receiving.read())
    expect(receiver).to.deep.equal({ received: length, inOrder: true })
  })

  describe('of a remote that has closed its end', () => {
    const SIZE = 200_000

    /** Longer than a reader is waited for that had looked before */
    const LONG = 1_500

    let before: number
    let bytes: ByteStream<Stream>

    /** The scope of the stream may be gone */
    function held (): number {
      return buffered(managerOf(flood.node))
    }

    beforeEach(async () => {
      before = held()
      bytes = byteStream(unread)
      out.send(pattern(SIZE))
    })

    for (const [name, end] of Object.entries<() => Promise<void>>({
      'for writing': async () => out.close(),
      'as the application has closed the other': async () => Promise.all([out.close(), unread.close()]).then(() => {}),
      'by a reset': async () => { out.abort(new Error('Aborted on purpose')) }
    })) {
      it(`${name} is reserved however late a reader comes, and given back when it has read`, async () => {
        await settle(flood)
        await end()
        await eventually(() => unread.remoteWriteStatus === 'closed')
        await delay(LONG)
        expect(held() - before).to.be.within(SIZE, SIZE + 2 * STEP)

        const receiver: Receiver = { received: 0, inOrder: true }
        take(receiver, await bytes.read({ bytes: SIZE }))
        expect(receiver).to.deep.equal({ received: SIZE, inOrder: true })
        await eventually(() => held() === before)
      })
    }

    it('is reserved while a reader reads as slowly as before, and given back some time after', async () => {
      await settle(flood)
      await out.close()
      const receiver: Receiver = { received: 0, inOrder: true }

      while (receiver.received < SIZE) {
        await delay(LONG)
        expect(held() - before).to.be.within(SIZE, SIZE + 2 * STEP)
        take(receiver, await bytes.read({ bytes: SIZE / 2 }))
      }

      expect(receiver).to.deep.equal({ received: SIZE, inOrder: true })
      await pWaitFor(() => held() === before, { timeout: 20_000 })
    })

    it('is reserved while a reader is at work with a part of it', async () => {
      await settle(flood)
      const receiver: Receiver = { received: 0, inOrder: true }
      take(receiver, await bytes.read({ bytes: SIZE / 2 }))
      await delay(LONG)
      out.abort(new Error('Aborted on purpose'))
      await eventually(() => unread.status === 'reset')
      await delay(LONG)
      expect(held() - before).to.be.within(SIZE / 2, SIZE + 2 * STEP)

      take(receiver, await bytes.read({ bytes: SIZE / 2 }))
      expect(receiver).to.deep.equal({ received: SIZE, inOrder: true })
      await pWaitFor(() => held() === before, { timeout: 20_000 })
    })

    it('is given back when nobody refers to the stream any more', async () => {
      await settle(flood)
      out.abort(new Error('Aborted on purpose'))
      await eventually(() => unread.status === 'reset')
      heldStreams(flood.node).splice(0)
      // @ts-expect-error nothing else refers to it
      unread = bytes = undefined

      await eventually(async () => {
        await collectGarbage()

        return held() === before
      })
    })
  })

  it('goes on with whoever reads the stream next', async () => {
    const before = memory()
    const bytes = byteStream(unread)
    out.send(pattern(WINDOW))
    await settle(flood)
    bytes.unwrap()
    expect(memory() - before).to.be.within(1, WINDOW + STEP)

    const receiver = receive(unread)
    out.send(pattern(MUCH, WINDOW))
    await eventually(() => receiver.received === WINDOW + MUCH)
    expect(receiver.inOrder).to.be.true()
    await eventually(() => memory() === before)
  })

  it('is many small messages', async () => {
    const before = memory()
    const sending = lpStream(out)
    const receiving = lpStream(unread)

    for (let i = 0; i < 1000; i++) {
      await sending.write(pattern(100, i))
    }

    for (let i = 0; i < 1000; i++) {
      const receiver: Receiver = { received: i, inOrder: true }
      take(receiver, await receiving.read())
      expect(receiver).to.deep.equal({ received: i + 100, inOrder: true })
    }

    receiving.read({ signal: AbortSignal.timeout(10_000) }).catch(() => {})
    await eventually(() => memory() === before)
  })
})
