/* eslint-disable no-loop-func */

import { byteStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { BASE_MEMORY } from '../../../src/limits/base-memory.ts'
import { createNode, eventually, managerOf, nodeOptions, stopAll } from '../../fixtures/nodes.ts'
import { handleHeld } from '../../fixtures/pair.ts'
import { openHeld, pattern, receive, settle, take, WINDOW } from '../../fixtures/transfer.ts'
import type { Limits } from '../../../src/index.ts'
import type { NodeInit } from '../../fixtures/nodes.ts'
import type { Flood, Receiver } from '../../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'

const CHUNK = 64 * 1024
const MUCH = 16 * WINDOW

/** js-libp2p lets so much be unread */
const MAXIMUM = 4 * 1024 * 1024

describe('the window of a stream', () => {
  let flood: Flood
  let out: Stream
  let stream: Stream

  /** What the node has granted the remote, in bytes, one for each time */
  let granted: number[]

  /** The most that the remote could have sent at once */
  let most: number

  async function start (init: NodeInit = {}, stock: boolean = false): Promise<void> {
    const sender: Libp2p<any> = await createLibp2p(nodeOptions(init))
    const node: any = stock ? await createLibp2p(nodeOptions(init)) : await createNode(init)
    await handleHeld(node)
    flood = { sender, node, connection: await sender.dial(node.getMultiaddrs()) }
    ;({ out, unread: stream } = await openHeld(flood))

    granted = []
    most = 0
    const yamuxStream = out as any
    const handleWindowUpdate = yamuxStream.handleWindowUpdate.bind(yamuxStream)

    yamuxStream.handleWindowUpdate = (frame: any) => {
      granted.push(frame.header.length)
      most = Math.max(most, yamuxStream.sendWindowCapacity + frame.header.length)
      handleWindowUpdate(frame)
    }
  }

  /** yamux takes a reader to be prompt that is faster than four round trips */
  function setRoundTrip (milliseconds: number): void {
    (flood.node.getConnections(flood.sender.peerId)[0] as any).muxer.rtt = milliseconds
  }

  function windowOf (stream: Stream): number {
    return (stream as any).recvWindow
  }

  function send (length: number): void {
    for (let i = 0; i < length; i += CHUNK) {
      out.send(pattern(CHUNK, i))
    }
  }

  function sum (numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0)
  }

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
  })

  describe('that does not grow', () => {
    const FIXED: NodeInit = { options: { streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: WINDOW } })] } }

    it('is granted again for each frame that a prompt reader gets, as by a stock node', async () => {
      const byStock: Record<string, number[]> = {}

      for (const stock of [true, false]) {
        await start(FIXED, stock)
        const receiver = receive(stream)

        for (let i = 0; i < 10; i++) {
          out.send(pattern(CHUNK, i * CHUNK))
          await eventually(() => receiver.received === (i + 1) * CHUNK)
          await settle(flood)
        }

        expect(receiver.inOrder).to.be.true()
        byStock[`${stock}`] = granted
        await stopAll(flood.sender, flood.node)
      }

      expect(byStock.false).to.deep.equal(byStock.true)
      expect(byStock.false).to.deep.equal(Array.from({ length: 10 }, () => CHUNK))
    })

    for (const [name, read] of Object.entries<(stream: Stream, receiver: Receiver) => Promise<void>>({
      'a listener': async (stream, receiver) => {
        stream.addEventListener('message', ({ data }) => { take(receiver, data) })
      },

      'for await': async (stream, receiver) => {
        for await (const data of stream) {
          take(receiver, data)
        }
      },

      'for await, slowly': async (stream, receiver) => {
        for await (const data of stream) {
          take(receiver, data)
          await new Promise(resolve => setTimeout(resolve, 1))
        }
      },

      'a byte stream': async (stream, receiver) => {
        const bytes = byteStream(stream)

        while (receiver.received < MUCH) {
          take(receiver, await bytes.read({ bytes: CHUNK / 4 }))
        }

        // who waits for more has read all there is
        await bytes.read()
      },

      'a listener that comes late': async (stream, receiver) => {
        await settle(flood)
        stream.addEventListener('message', ({ data }) => { take(receiver, data) })
      },

      'a listener that comes and goes': async (stream, receiver) => {
        while (receiver.received < MUCH) {
          await settle(flood)
          await new Promise<void>(resolve => {
            stream.addEventListener('message', ({ data }) => {
              take(receiver, data)
              resolve()
            }, { once: true })
          })
        }
      },

      'a listener that pauses': async (stream, receiver) => {
        stream.addEventListener('message', ({ data }) => {
          take(receiver, data)

          if (receiver.received < MUCH) {
            stream.pause()
            setTimeout(() => { stream.resume() }, 1)
          }
        })
      },

      'a listener that pauses and resumes more often than it must': async (stream, receiver) => {
        stream.addEventListener('message', ({ data }) => {
          take(receiver, data)
          stream.pause()
          stream.pause()
          stream.resume()
          stream.resume()
        })
      }
    })) {
      it(`is granted again exactly once to a stream that is read by ${name}`, async () => {
        await start(FIXED)
        const receiver: Receiver = { received: 0, inOrder: true }
        const reading = read(stream, receiver)
        send(MUCH)

        await eventually(() => receiver.received === MUCH)
        await settle(flood)
        expect(receiver.inOrder).to.be.true()
        await eventually(() => sum(granted) === MUCH).catch(() => {})
        expect(sum(granted)).to.equal(MUCH)
        expect(most).to.be.at.most(WINDOW)
        expect(Math.min(...granted)).to.be.greaterThan(0)

        await out.close()
        await reading
      })
    }

    it('is not granted again while a listener has paused the stream, also not while it is resumed', async () => {
      await start(FIXED)
      const receiver: Receiver = { received: 0, inOrder: true }

      // gets all that was buffered, and is busy again
      stream.addEventListener('message', ({ data }) => {
        take(receiver, data)
        stream.pause()
      })
      send(MUCH)

      while (receiver.received < MUCH) {
        await settle(flood)
        expect(stream.readBufferLength).to.be.at.most(WINDOW)
        stream.resume()
      }

      expect(receiver).to.deep.equal({ received: MUCH, inOrder: true })
      expect(most).to.be.at.most(WINDOW)
    })

    it('is granted again only when all that was unread is read', async () => {
      await start(FIXED)
      send(MUCH)
      await settle(flood)
      expect(stream.readBufferLength).to.equal(WINDOW)
      expect(granted).to.be.empty()

      stream.addEventListener('message', () => {}, { once: true })
      await eventually(() => granted.length > 0)
      await settle(flood)
      expect(granted).to.deep.equal([WINDOW])
      expect(stream.readBufferLength).to.equal(WINDOW)
    })
  })

  describe('that may grow', () => {
    it('grows while the stream is read, as far as all of it could be held twice', async () => {
      await start()
      setRoundTrip(60_000)
      const receiver = receive(stream)
      send(MUCH)
      await eventually(() => receiver.received === MUCH)

      expect(windowOf(stream)).to.equal(MAXIMUM / 2)
      await settle(flood)
      expect(sum(granted)).to.equal(MUCH + MAXIMUM / 2 - WINDOW)
    })

    for (const [name, read] of Object.entries<(stream: Stream) => void>({
      'a listener that comes late': stream => { stream.addEventListener('message', () => {}) },
      'an iterator that asks again': stream => {
        const iterator = stream[Symbol.asyncIterator]()
        // two pieces, and more
        void iterator.next().then(async () => iterator.next()).then(async () => iterator.next())
      },
      'who has paused it': stream => {
        stream.pause()
        stream.addEventListener('message', () => {})
        stream.resume()
      }
    })) {
      it(`grows once for ${name}`, async () => {
        await start()
        out.send(pattern(CHUNK))
        await settle(flood)
        setRoundTrip(60_000)

        read(stream)
        await settle(flood)
        expect(stream.readBufferLength).to.equal(0)
        expect(windowOf(stream)).to.equal(2 * WINDOW)
        expect(granted).to.deep.equal([WINDOW + CHUNK])
      })
    }

    it('does not grow further than the application lets the buffer grow', async () => {
      await start()
      setRoundTrip(60_000)
      stream.maxReadBufferLength = 4 * WINDOW
      const receiver = receive(stream)
      send(MUCH)
      await eventually(() => receiver.received === MUCH)

      expect(windowOf(stream)).to.equal(2 * WINDOW)
    })

    it('does not grow further than the muxer lets it', async () => {
      await start({ options: { streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 3 * WINDOW } })] } })
      setRoundTrip(60_000)
      const receiver = receive(stream)
      send(MUCH)
      await eventually(() => receiver.received === MUCH)

      expect(windowOf(stream)).to.equal(3 * WINDOW)
    })

    // room for one window with nothing to spare, and 40% of it is plenty of room
    for (const [name, limits] of Object.entries<Limits>({
      stream: { stream: { memory: 4 * WINDOW } },
      protocols: { protocols: { '/held/1.0.0': { memory: 4 * WINDOW } } },
      services: { services: { mine: { memory: 4 * WINDOW } } },
      peerDefault: { peerDefault: { memory: BASE_MEMORY.connection + 4 * WINDOW } },
      system: { system: { memory: BASE_MEMORY.connection + 4 * WINDOW } }
    })) {
      it(`does not grow when limits.${name} has no room for it, and nobody is told of a refusal`, async () => {
        await start({ limits, services: { mine: ['/held/1.0.0'] } })
        setRoundTrip(60_000)
        let refusals = 0
        managerOf(flood.node).addEventListener('blocked', () => { refusals++ })
        const receiver = receive(stream)
        send(MUCH)
        await eventually(() => receiver.received === MUCH)

        expect(receiver.inOrder).to.be.true()
        expect(windowOf(stream)).to.equal(WINDOW)
        expect(refusals).to.equal(0)
      })
    }

    it('can be held when a prompt reader with for await becomes slow', async () => {
      await start()
      setRoundTrip(60_000)
      const receiver: Receiver = { received: 0, inOrder: true }
      const TOTAL = 2 * MUCH
      const memory = (): number => managerOf(flood.node).streamScope(stream)?.stat().memory ?? NaN
      const before = memory()
      let slow = false
      let held = 0
      send(TOTAL)

      for await (const data of stream) {
        take(receiver, data)

        if (receiver.received === TOTAL) {
          break
        }

        slow ||= windowOf(stream) === MAXIMUM / 2

        if (slow) {
          await settle(flood)
          held = Math.max(held, memory() - before)
        }
      }

      expect(receiver).to.deep.equal({ received: TOTAL, inOrder: true })
      expect(stream.status).to.equal('open')
      expect(held).to.be.within(2 * WINDOW, MAXIMUM / 2)
    })
  })
})
