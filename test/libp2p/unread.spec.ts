/* eslint-disable no-loop-func */

import { byteStream } from '@libp2p/utils'
import { expect } from 'aegir/chai'
import { BASE_MEMORY } from '../../src/limits/base-memory.ts'
import { buffered, dropUnread, eventually, managerOf, stopAll, TRANSPORTS } from '../fixtures/nodes.ts'
import { createFlood, openHeld, pattern, receive, roundUp, settle, STEP, take, WINDOW } from '../fixtures/transfer.ts'
import type { NodeInit } from '../fixtures/nodes.ts'
import type { Flood, Receiver } from '../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'

const MUCH = 4 * 1024 * 1024

describe('data that nobody reads', () => {
  let flood: Flood

  async function start (init?: NodeInit): Promise<void> {
    flood = await createFlood(init)
  }

  function memory (): number {
    return buffered(managerOf(flood.node))
  }

  /** What is reserved for the stream beyond what it has without any data */
  function memoryOf (stream: Stream): number {
    return managerOf(flood.node).streamScope(stream)?.stat().memory ?? NaN
  }

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
  })

  for (const transport of Object.keys(TRANSPORTS) as Array<keyof typeof TRANSPORTS>) {
    it(`is held and reserved up to one window, and arrives when it is read, over ${transport}`, async () => {
      await start({ transport })
      const { out, unread } = await openHeld(flood)
      const before = memoryOf(unread)

      out.send(pattern(MUCH))
      await settle(flood)

      expect(unread.readBufferLength).to.be.within(1, WINDOW)
      expect(memoryOf(unread) - before).to.equal(roundUp(unread.readBufferLength))
      expect(out.writeBufferLength).to.equal(MUCH - unread.readBufferLength)
      expect(unread.status).to.equal('open')

      const receiver = receive(unread)
      await eventually(() => receiver.received === MUCH)

      expect(receiver.inOrder).to.be.true()
      expect(unread.readBufferLength).to.equal(0)
      await eventually(() => memoryOf(unread) === before)

      await Promise.all([out.close(), unread.close()])
      await eventually(() => memory() === 0)
    })
  }

  it('is counted in every scope above the stream', async () => {
    await start()
    const { out, unread } = await openHeld(flood)
    const before = memoryOf(unread)

    out.send(pattern(10_000))
    await eventually(() => unread.readBufferLength === 10_000)

    const { system, peers, protocols, protocolPeers } = managerOf(flood.node).stat()
    const expected = before + 3 * STEP
    expect(memoryOf(unread)).to.equal(expected)

    for (const stat of [
      system,
      peers.get(`${flood.sender.peerId}`),
      protocols.get('/held/1.0.0'),
      protocolPeers.get('/held/1.0.0')?.get(`${flood.sender.peerId}`)
    ]) {
      expect(stat?.memory).to.be.at.least(expected)
    }
  })

  it('is held up to one window for each of many streams, while others go on', async () => {
    await start()
    const before = memory()
    const streams: Array<{ out: Stream, unread: Stream }> = []

    for (let i = 0; i < 20; i++) {
      streams.push(await openHeld(flood))
    }

    streams.forEach(({ out }) => { out.send(pattern(MUCH / 4)) })
    await settle(flood)

    for (const { unread } of streams) {
      expect(unread.readBufferLength).to.be.within(1, WINDOW)
    }

    expect(memory() - before).to.be.within(streams.length, streams.length * (WINDOW + STEP))

    // every other one is read
    const receivers = streams.filter((_, i) => i % 2 === 0).map(({ unread }) => receive(unread))
    await eventually(() => receivers.every(({ received }) => received === MUCH / 4))
    expect(receivers.every(({ inOrder }) => inOrder)).to.be.true()
    expect(streams.every(({ unread }) => unread.status === 'open')).to.be.true()

    await flood.connection.close().catch(() => { flood.connection.abort(new Error('Not all was sent')) })
    await eventually(() => {
      dropUnread(...streams.map(({ unread }) => unread))

      return memory() === 0
    })
  })

  for (const [name, read] of Object.entries<(stream: Stream, receiver: Receiver) => Promise<void>>({
    'the iterator of the stream': async (stream, receiver) => {
      for await (const data of stream) {
        take(receiver, data)

        if (receiver.received === MUCH) {
          break
        }
      }
    },

    'a byte stream': async (stream, receiver) => {
      const bytes = byteStream(stream)

      while (receiver.received < MUCH) {
        take(receiver, await bytes.read({ bytes: 64 * 1024 }) ?? new Uint8Array())
      }

      // who waits for more has read all there is
      bytes.read({ bytes: 1 }).catch(() => {})
    }
  })) {
    it(`arrives when it is read by ${name}`, async () => {
      await start()
      const { out, unread } = await openHeld(flood)
      const before = memoryOf(unread)
      out.send(pattern(MUCH))
      await settle(flood)

      const receiver: Receiver = { received: 0, inOrder: true }
      await read(unread, receiver)

      expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
      await eventually(() => memoryOf(unread) === before)
    })
  }

  it('is handed over in small pieces to who begins late, for the application keeps the last one', async () => {
    await start()
    const { out, unread } = await openHeld(flood)
    const before = memoryOf(unread)
    out.send(pattern(MUCH))
    await settle(flood)

    const held = unread.readBufferLength
    const receiver: Receiver = { received: 0, inOrder: true }
    let largest = 0

    for await (const data of unread) {
      take(receiver, data)

      if (receiver.received <= held) {
        largest = Math.max(largest, data.byteLength)
      }

      // what was not handed over is still reserved
      expect(memoryOf(unread) - before).to.be.at.least(held - receiver.received)

      if (receiver.received === MUCH) {
        break
      }
    }

    expect(receiver.inOrder).to.be.true()
    expect(largest).to.equal(64 * 1024)
  })

  it('is no more for a reader who is late again and again', async () => {
    await start()
    const { out, unread } = await openHeld(flood)
    const before = memoryOf(unread)
    await settle(flood)
    // as with a remote that is far away: yamux takes a reader for one who keeps up
    // who reads within four times that
    ;(flood.node.getConnections()[0] as any).muxer.rtt = 1_000
    out.send(pattern(MUCH))

    const receiver: Receiver = { received: 0, inOrder: true }
    let most = 0

    for await (const data of unread) {
      take(receiver, data)
      most = Math.max(most, memoryOf(unread) - before)

      if (receiver.received === MUCH) {
        break
      }

      await settle(flood)
    }

    expect(receiver.inOrder).to.be.true()
    // half of what js-libp2p lets a stream have unread
    expect(most).to.be.within(1, MUCH / 2 + STEP)
  })

  it('arrives when its reader comes and goes', async () => {
    await start()
    const { out, unread } = await openHeld(flood)
    const receiver: Receiver = { received: 0, inOrder: true }
    let most = 0
    let turns = 0
    out.send(pattern(MUCH))

    while (receiver.received < MUCH) {
      turns++
      await eventually(() => unread.readBufferLength > 0)
      await settle(flood)
      most = Math.max(most, unread.readBufferLength)

      // one message, then nobody listens again
      await new Promise<void>(resolve => {
        unread.addEventListener('message', ({ data }) => {
          take(receiver, data)
          resolve()
        }, { once: true })
      })
    }

    expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
    expect(turns).to.be.greaterThan(1)
    // js-libp2p lets the window of a stream grow while it is read
    expect(most).to.be.at.most(8 * WINDOW)
  })

  for (const [name, drop] of Object.entries<(stream: Stream) => void | Promise<void>>({
    'it is read': stream => { receive(stream) },
    'it is thrown away': async stream => stream.closeRead(),
    'the node stops': async () => flood.node.stop()
  })) {
    it(`is held by a stream that the remote has reset until ${name}`, async () => {
      await start()
      const { out, unread } = await openHeld(flood)
      out.send(pattern(10_000))
      await eventually(() => unread.readBufferLength === 10_000)

      out.abort(new Error('Aborted on purpose'))
      await eventually(() => unread.status === 'reset')

      const { system, peers } = managerOf(flood.node).stat()
      expect(system).to.include({ inboundStreams: 0, memory: BASE_MEMORY.connection + roundUp(10_000) })
      expect(peers.get(`${flood.sender.peerId}`)).to.include({ inboundStreams: 0, memory: BASE_MEMORY.connection + roundUp(10_000) })

      await drop(unread)
      await eventually(() => memory() === 0)
    })
  }

  it('is given back when the stream is closed for reading', async () => {
    await start()
    const { out, unread } = await openHeld(flood)
    const before = memoryOf(unread)
    out.send(pattern(10_000))
    await eventually(() => unread.readBufferLength === 10_000)

    await (unread as any).closeRead()

    expect(memoryOf(unread)).to.equal(before)
    expect(unread.status).to.equal('open')
  })

  for (const [name, close] of Object.entries<(connection: any) => Promise<void> | void>({
    'the raw connection closes': async connection => connection.maConn.close(),
    'the connection closes': async connection => connection.close(),
    'the raw connection is aborted': connection => { connection.maConn.abort(new Error('Aborted on purpose')) }
  })) {
    it(`can be read in the moment in which ${name}`, async () => {
      await start()
      const { out, unread } = await openHeld(flood)
      out.send(pattern(10_000))
      await eventually(() => unread.readBufferLength === 10_000)
      const [connection] = flood.node.getConnections()

      // the listener makes room for more, which can no more be said to the remote
      const closing = Promise.resolve(close(connection)).catch(() => {})
      const receiver = receive(unread)
      await closing

      expect(receiver.inOrder).to.be.true()
      await eventually(() => memory() === 0)
      await eventually(() => managerOf(flood.node).stat().system.inboundConnections === 0)
    })
  }

  it('is accounted when it is put back by who has read too much', async () => {
    await start()
    const { unread } = await openHeld(flood)
    const before = memoryOf(unread)

    unread.unshift(pattern(5_000))
    expect(memoryOf(unread) - before).to.equal(2 * STEP)

    unread.push(pattern(5_000))
    expect(memoryOf(unread) - before).to.equal(3 * STEP)

    receive(unread)
    await eventually(() => memoryOf(unread) === before)
  })

  it('is still limited by a maximum that the application sets', async () => {
    await start()
    const { out, unread } = await openHeld(flood)
    const closed = new Promise<Error | undefined>(resolve => { unread.addEventListener('close', ({ error }) => { resolve(error) }) })

    unread.maxReadBufferLength = 9_999
    expect(unread.maxReadBufferLength).to.equal(9_999)
    out.send(pattern(10_000))

    expect(await closed).to.have.property('name', 'StreamBufferError')
    await eventually(() => memory() === 0)
  })
})
