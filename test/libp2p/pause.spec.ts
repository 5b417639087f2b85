/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { buffered, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import { createFlood, openHeld, pattern, receive, roundUp, settle, WINDOW } from '../fixtures/transfer.ts'
import type { Flood } from '../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'

const MUCH = 4 * 1024 * 1024

describe('a stream that the application pauses', () => {
  let flood: Flood
  let out: Stream
  let stream: Stream
  let before: number

  function memory (): number {
    return managerOf(flood.node).streamScope(stream)?.stat().memory ?? NaN
  }

  beforeEach(async () => {
    flood = await createFlood()
    ;({ out, unread: stream } = await openHeld(flood))
    before = memory()
  })

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
  })

  it('holds one window, and gets the rest when it is resumed', async () => {
    stream.pause()
    const receiver = receive(stream)
    out.send(pattern(MUCH))
    await settle(flood)

    expect(receiver.received).to.equal(0)
    expect(stream.readBufferLength).to.be.within(1, WINDOW)
    expect(memory() - before).to.equal(roundUp(stream.readBufferLength))

    stream.resume()
    await eventually(() => receiver.received === MUCH)
    expect(receiver.inOrder).to.be.true()
    await eventually(() => memory() === before)
  })

  it('after data has come that nobody reads gets everything', async () => {
    out.send(pattern(MUCH))
    await settle(flood)
    stream.pause()
    const receiver = receive(stream)
    await settle(flood)

    expect(receiver.received).to.equal(0)
    expect(stream.readBufferLength).to.be.within(1, WINDOW)

    stream.resume()
    await eventually(() => receiver.received === MUCH)
    expect(receiver.inOrder).to.be.true()
    await eventually(() => memory() === before)
  })

  it('again and again gets everything', async () => {
    const receiver = receive(stream)
    let pauses = 0
    let most = 0
    stream.addEventListener('message', () => {
      // nothing is left to do when the test ends
      if (receiver.received === MUCH) {
        return
      }

      pauses++
      stream.pause()
      setTimeout(() => {
        most = Math.max(most, stream.readBufferLength)
        stream.resume()
      }, 1)
    })

    out.send(pattern(MUCH))
    await eventually(() => receiver.received === MUCH)

    expect(receiver.inOrder).to.be.true()
    expect(pauses).to.be.greaterThan(1)
    // js-libp2p lets the window grow while the stream is read
    expect(most).to.be.below(MUCH)
    await eventually(() => memory() === before)
  })

  for (const [name, prepare] of Object.entries<() => Promise<void>>({
    'before data comes': async () => {
      stream.pause()
      out.send(pattern(MUCH))
      await settle(flood)
    },

    'after data has come': async () => {
      out.send(pattern(MUCH))
      await settle(flood)
      stream.pause()
    }
  })) {
    it(`${name} and resumes without a reader still holds one window`, async () => {
      await prepare()
      stream.resume()
      await settle(flood)

      expect(stream.status).to.equal('open')
      // the window that resuming grants is the last one
      expect(stream.readBufferLength).to.be.within(1, 3 * WINDOW)
      expect(memory() - before).to.equal(roundUp(stream.readBufferLength))

      const receiver = receive(stream)
      await eventually(() => receiver.received === MUCH)
      expect(receiver.inOrder).to.be.true()
    })
  }

  it('and resumes many times without a reader is throttled each time', async () => {
    out.send(pattern(4 * MUCH))

    for (let i = 0; i < 3; i++) {
      stream.pause()
      await settle(flood)
      stream.resume()
      await settle(flood)
    }

    expect(stream.status).to.equal('open')
    expect(stream.readBufferLength).to.be.below(MUCH)

    const receiver = receive(stream)
    await eventually(() => receiver.received === 4 * MUCH)
    expect(receiver.inOrder).to.be.true()
  })

  it('can be aborted while it is paused', async () => {
    stream.pause()
    out.send(pattern(MUCH))
    await settle(flood)

    stream.abort(new Error('Aborted on purpose'))

    expect(buffered(managerOf(flood.node))).to.equal(0)
    expect(managerOf(flood.node).stat().system.inboundStreams).to.equal(0)
  })
})
