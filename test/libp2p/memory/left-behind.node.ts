/* eslint-disable no-loop-func */

import { byteStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { BASE_MEMORY } from '../../../src/limits/base-memory.ts'
import { collectGarbage } from '../../fixtures/memory.ts'
import { buffered, eventually, expectNothingHeld, held, managerOf, stopAll } from '../../fixtures/nodes.ts'
import { heldStreams } from '../../fixtures/pair.ts'
import { createFlood, openHeld, pattern, receive, roundUp, settle, take, WINDOW } from '../../fixtures/transfer.ts'
import type { ResourceLimitExceededError } from '../../../src/index.ts'
import type { NodeInit } from '../../fixtures/nodes.ts'
import type { Flood, Receiver } from '../../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'

const SIZE = 100_000

describe('unread data of a stream that has closed', () => {
  let flood: Flood
  let refusals: ResourceLimitExceededError[]

  async function start (init?: NodeInit): Promise<void> {
    flood = await createFlood(init)
    refusals = []
    managerOf(flood.node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })
  }

  function memory (): number {
    return buffered(managerOf(flood.node))
  }

  async function resetWithData (size: number = SIZE): Promise<Stream> {
    const { out, unread } = await openHeld(flood)
    out.send(pattern(size))
    await eventually(() => unread.readBufferLength === size)
    out.abort(new Error('Aborted on purpose'))
    await eventually(() => unread.status === 'reset')

    return unread
  }

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
    await expectNothingHeld(managerOf(flood.node))
  })

  for (const [name, close] of Object.entries<(out: Stream, unread: Stream) => Promise<void>>({
    'was reset': async out => { out.abort(new Error('Aborted on purpose')) },
    'was closed by both': async (out, unread) => {
      await unread.close()
      await out.close()
    },
    'lost its connection': async () => (flood.connection as any).maConn.close()
  })) {
    describe(`which ${name}`, () => {
      let stream: Stream

      beforeEach(async () => {
        await start()
        const { out, unread } = await openHeld(flood)
        stream = unread
        out.send(pattern(SIZE))
        await eventually(() => stream.readBufferLength === SIZE)
        await close(out, stream)
        await eventually(() => managerOf(flood.node).stat().system.inboundStreams === 0)
      })

      it('counts for the peer, and in no scope of the stream', async () => {
        await eventually(() => memory() === roundUp(SIZE))
        const connected = flood.node.getConnections().length
        const base = { memory: roundUp(SIZE), ...(connected === 1 ? { inboundConnections: 1, fileDescriptors: 1 } : {}) }

        expect(held(managerOf(flood.node))).to.deep.equal({
          system: base,
          [`peer:${flood.sender.peerId}`]: base
        })
        managerOf(flood.node).removeUnusedScopes()
        expect(memory()).to.equal(roundUp(SIZE))
      })

      for (const [reader, read] of Object.entries<(receiver: Receiver) => Promise<void>>({
        'a listener': async receiver => {
          stream.addEventListener('message', ({ data }) => { take(receiver, data) })
          await eventually(() => receiver.received === SIZE)
        },

        'for await': async receiver => {
          try {
            for await (const data of stream) {
              take(receiver, data)
            }
          } catch (err: any) {
            expect(err).to.have.property('name', 'StreamResetError')
            expect(stream.status).to.equal('reset')
          }
        },

        'a byte stream': async receiver => {
          take(receiver, await byteStream(stream).read({ bytes: SIZE }))
        }
      })) {
        it(`can be read by ${reader}, and is given back then`, async () => {
          const receiver: Receiver = { received: 0, inOrder: true }
          await read(receiver)

          expect(receiver).to.deep.equal({ received: SIZE, inOrder: true })
          await eventually(() => memory() === 0)
        })
      }

      it('is given back when it is thrown away', async () => {
        await stream.closeRead()
        expect(memory()).to.equal(0)
      })
    })
  }

  it('counts too when it was in a loop that is left', async () => {
    await start()
    const { out, unread } = await openHeld(flood)
    const reader = unread[Symbol.asyncIterator]()
    out.send(pattern(2 * SIZE))
    await reader.next()
    await eventually(() => memory() >= roundUp(SIZE))
    await (flood.connection as any).maConn.close()
    await eventually(() => managerOf(flood.node).stat().system.inboundStreams === 0)

    await reader.return?.()

    expect(unread.readBufferLength).to.be.above(SIZE)
    expect(memory()).to.equal(roundUp(unread.readBufferLength))

    const left = unread.readBufferLength
    const receiver = receive(unread)
    await eventually(() => receiver.received === left)
    expect(memory()).to.equal(0)
  })

  it('is not asked for again when a loop is left while others use up the memory', async () => {
    await start()
    const manager = managerOf(flood.node)
    const { out, unread } = await openHeld(flood)
    const reader = unread[Symbol.asyncIterator]()

    for (let i = 0; i < 10; i++) {
      out.send(pattern(SIZE / 5, i * SIZE / 5))
    }

    await reader.next()
    await settle(flood)
    const left = memory()
    const span = manager.viewPeer(flood.sender.peerId, scope => scope.beginSpan())
    span.reserveMemory(2 * 2 ** 20)
    manager.setLimits({ system: { memory: Math.floor(manager.stat().system.memory / 0.7) } })

    await reader.return?.()

    expect(refusals).to.be.empty()
    expect(unread.status).to.equal('open')
    expect(memory() - 2 * 2 ** 20).to.equal(left)
    expect(roundUp(unread.readBufferLength)).to.equal(left)
    span.done()
  })

  it('is given back when nobody refers to the stream any more', async () => {
    await start()
    await resetWithData()
    const stream = await resetWithData()
    expect(memory()).to.equal(2 * roundUp(SIZE))

    await collectGarbage()
    expect(memory()).to.equal(2 * roundUp(SIZE))

    heldStreams(flood.node).splice(0)
    await eventually(async () => {
      await collectGarbage()

      return memory() === roundUp(SIZE)
    })

    // the one that is still referred to can be read
    const receiver = receive(stream)
    await eventually(() => receiver.received === SIZE)
    expect(memory()).to.equal(0)
  })

  it('is given back when the node stops, and can still be read then', async () => {
    await start()
    const stream = await resetWithData()
    await flood.node.stop()
    expect(memory()).to.equal(0)

    const receiver: Receiver = { received: 0, inOrder: true }
    await expect((async () => {
      for await (const data of stream) {
        take(receiver, data)
      }
    })()).to.eventually.be.rejected.with.property('name', 'StreamResetError')
    expect(receiver).to.deep.equal({ received: SIZE, inOrder: true })
    expect(memory()).to.equal(0)
  })

  it('that waits in an iterator is given back as it is taken', async () => {
    await start()
    const { out, unread } = await openHeld(flood)
    const iterator = unread[Symbol.asyncIterator]()
    const receiver: Receiver = { received: 0, inOrder: true }
    const expected: number[] = []

    for (let i = 0; i < 4; i++) {
      const first = i === 0 ? iterator.next() : undefined
      out.send(pattern(SIZE / 4, i * SIZE / 4))
      await settle(flood)

      if (first != null) {
        take(receiver, (await first).value as Uint8Array)
      }
    }

    out.abort(new Error('Aborted on purpose'))
    await eventually(() => unread.status === 'reset')

    while (receiver.received < SIZE) {
      expected.push(roundUp(SIZE - receiver.received))
      expect(memory()).to.equal(expected[expected.length - 1])
      take(receiver, (await iterator.next()).value as Uint8Array)
    }

    expect(receiver.inOrder).to.be.true()
    // the last 4 KiB are a piece of their own
    expect(expected).to.have.lengthOf(3)
    expect(memory()).to.equal(0)
  })

  it('is held again if it is put back', async () => {
    await start()
    const stream = await resetWithData()
    stream.unshift(pattern(SIZE))
    expect(memory()).to.equal(roundUp(2 * SIZE))

    await stream.closeRead()
    expect(memory()).to.equal(0)
  })

  describe('that goes over the limit', () => {
    const COUNT = 10
    const KEPT = 5
    // three fifths of it are for five
    const LIMIT = BASE_MEMORY.connection + COUNT * BASE_MEMORY.stream + COUNT * roundUp(SIZE)

    for (const [scope, limits] of Object.entries({
      system: { system: { memory: LIMIT } },
      peer: { peerDefault: { memory: LIMIT } }
    })) {
      it(`of the ${scope} is thrown away, with a refusal, while live streams may use all of it`, async () => {
        await start({ limits })
        const streams: Stream[] = []

        for (let i = 0; i < COUNT; i++) {
          streams.push(await resetWithData())
        }

        const kept = streams.filter(({ readBufferLength }) => readBufferLength > 0)
        expect(kept.length).to.be.within(KEPT, COUNT - 1)
        expect(memory()).to.equal(kept.length * roundUp(SIZE))
        expect(refusals).to.have.lengthOf(COUNT - kept.length)
        expect(refusals[0]).to.include({ resource: 'memory', priority: 152 })
        expect(refusals[0].scope).to.match(new RegExp(`^${scope}`))

        // the loop over what was thrown away does not look as if it had been all
        const lost = streams.find(({ readBufferLength }) => readBufferLength === 0) as Stream
        const iterate = async (): Promise<unknown> => lost[Symbol.asyncIterator]().next()
        await expect(iterate()).to.eventually.be.rejected.with.property('name', 'ResourceLimitExceededError')
        await expect(iterate()).to.eventually.be.rejected.with.property('name', 'ResourceLimitExceededError')

        // unread data that is alive may use what is left
        const { out, unread } = await openHeld(flood)
        out.send(pattern(WINDOW))
        await eventually(() => unread.readBufferLength === WINDOW)
        await settle(flood)
        expect(unread.status).to.equal('open')
        expect(refusals).to.have.lengthOf(COUNT - kept.length)
        expect(memory()).to.be.greaterThan(0.6 * LIMIT - BASE_MEMORY.connection - BASE_MEMORY.stream)

        // and what was kept can be read
        for (const stream of kept) {
          const receiver = receive(stream)
          await eventually(() => receiver.received === SIZE)
          expect(receiver.inOrder).to.be.true()
        }

        expect(memory()).to.equal(roundUp(WINDOW))
      })
    }

    for (const [name, close] of [
      ['is reset', async (out: Stream) => { out.abort(new Error('Aborted on purpose')) }],
      ['closes', async (out: Stream, unread: Stream) => {
        await unread.close()
        await out.close()
      }]
    ] as Array<[string, (out: Stream, unread: Stream) => Promise<void>]>) {
      it(`is thrown away when the stream ${name} while an iterator is busy, which is told`, async () => {
        await start({ limits: { system: { memory: LIMIT } } })

        while (refusals.length === 0) {
          await resetWithData()
        }

        refusals.splice(0)
        const before = memory()
        const { out, unread } = await openHeld(flood)
        const iterator = unread[Symbol.asyncIterator]()
        const first = iterator.next()
        out.send(pattern(10_000))
        await first

        // a chunk waits in the iterator, another one in the stream
        for (let i = 0; i < 2; i++) {
          out.send(pattern(SIZE / 2))
          await settle(flood)
        }

        expect(unread.readBufferLength).to.equal(SIZE / 2)
        expect(memory()).to.equal(before + roundUp(SIZE))

        await close(out, unread)
        await eventually(() => refusals.length === 1)
        expect(memory()).to.equal(before)

        await expect(iterator.next()).to.eventually.be.rejected.with.property('name', 'ResourceLimitExceededError')
        expect(await iterator.next()).to.deep.equal({ done: true, value: undefined })
        await flood.node.stop()
      })
    }
  })
})

describe('unsent data of a stream that has closed', () => {
  let flood: Flood

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
    await expectNothingHeld(managerOf(flood.node))
  })

  for (const [name, close] of Object.entries<(out: Stream) => Promise<void>>({
    'was reset': async out => { out.abort(new Error('Aborted on purpose')) },
    'lost its connection': async () => (flood.connection as any).maConn.close()
  })) {
    it(`which ${name} is not kept, though the application refers to the stream`, async () => {
      // on loopback, how far a window grows is a matter of milliseconds
      flood = await createFlood({ options: { streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: WINDOW } })] } })
      const { out, unread: stream } = await openHeld(flood)
      out.pause()

      // more than the remote takes, and nobody waits
      stream.send(pattern(8 * WINDOW))
      await settle(flood)
      expect(stream.writeBufferLength).to.be.greaterThan(4 * WINDOW)
      expect(buffered(managerOf(flood.node))).to.equal(roundUp(stream.writeBufferLength))

      await close(out)
      await eventually(() => stream.writeStatus === 'closed')
      expect(stream.writeBufferLength).to.equal(0)
      expect(buffered(managerOf(flood.node))).to.equal(0)
    })
  }
})
