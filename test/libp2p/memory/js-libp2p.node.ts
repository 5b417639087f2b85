/* eslint-disable no-loop-func */

/**
 * @file What the accounting of memory relies on in js-libp2p beyond what it
 * documents. The nodes here have no resource manager: when one of these tests
 * fails, js-libp2p has changed, and `src/libp2p/memory` has to.
 */

import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { ENCRYPTERS, eventually, MUXERS, nodeOptions, stopAll } from '../../fixtures/nodes.ts'
import { handleHeld, HELD, heldStreams } from '../../fixtures/pair.ts'
import { pattern, receive, settle, WINDOW } from '../../fixtures/transfer.ts'
import { encryptedOf, Flag, FrameType, header, rawOf, socketOf } from '../../fixtures/yamux-remote.ts'
import type { NodeInit } from '../../fixtures/nodes.ts'
import type { Connection, Libp2p, MessageStream, Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

describe('js-libp2p, as to memory', () => {
  let sender: Libp2p<any>
  let node: any
  let out: Stream

  /** The node's ends */
  let connection: Connection
  let unread: Stream

  async function start (init: NodeInit = {}): Promise<void> {
    sender = await createLibp2p(nodeOptions(init))
    node = await createLibp2p(nodeOptions(init))
    await handleHeld(node)
    out = await sender.dialProtocol(node.getMultiaddrs(), HELD)
    await eventually(() => heldStreams(node).length === 1)
    ;[unread] = heldStreams(node)
    ;[connection] = node.getConnections()
  }

  function outConnection (): Connection {
    return sender.getConnections()[0]
  }

  /** Whether it can be looked at, emptied and filled */
  function expectList (list: Uint8ArrayList, bytes: Uint8Array): void {
    const slices = [...list]
    expect(Buffer.concat(slices)).to.deep.equal(Buffer.from(bytes))
    expect(list.byteLength).to.equal(bytes.byteLength)

    list.consume(bytes.byteLength)
    expect(list.byteLength).to.equal(0)
    list.append(bytes)
    expect([...list]).to.deep.equal([bytes])
  }

  afterEach(async () => {
    await stopAll(sender, node)
  })

  for (const muxer of Object.keys(MUXERS) as Array<keyof typeof MUXERS>) {
    describe(`with ${muxer}`, () => {
      it('keeps unread data in the list readBuffer, and delivers what is in it', async () => {
        await start({ muxer })
        out.send(pattern(1_000))
        out.send(pattern(1_000, 1_000))
        await eventually(() => unread.readBufferLength === 2_000)

        expectList((unread as any).readBuffer, pattern(2_000))
        const receiver = receive(unread)
        await eventually(() => receiver.received === 2_000)
        expect(receiver.inOrder).to.be.true()
      })

      it('keeps unsent data in the list writeBuffer, and sends what is in it', async () => {
        await start({ muxer })
        const receiver = receive(unread)
        out.writableNeedsDrain = true
        out.send(pattern(1_000))
        out.send(pattern(1_000, 1_000))

        expectList((out as any).writeBuffer, pattern(2_000))
        out.dispatchEvent(new Event('drain'))
        await eventually(() => receiver.received === 2_000)
        expect(receiver.inOrder).to.be.true()
      })

      it('keeps what cannot be sent when the stream is reset', async () => {
        await start({ muxer })
        out.writableNeedsDrain = true
        out.send(pattern(1_000))
        unread.abort(new Error('Aborted on purpose'))
        await eventually(() => out.status === 'reset')

        expect(out.writeBufferLength).to.equal(1_000)
        expect(() => { out.send(pattern(1)) }).to.throw()
      })

      it('keeps what it cannot read yet in a list of its decoder, and goes on with what is in it', async () => {
        await start({ muxer })
        const receiver = receive(unread)
        const { decoder } = (connection as any).muxer
        const name = muxer === 'yamux' ? 'buffer' : '_buffer'
        const encrypted = encryptedOf(outConnection())
        const frames: Uint8Array[] = []
        const send = encrypted.send.bind(encrypted)
        encrypted.send = data => {
          frames.push(data.slice())

          return true
        }
        out.send(pattern(1_000))
        encrypted.send = send

        const bytes = Buffer.concat(frames)
        send(bytes.subarray(0, 500))
        await eventually(() => decoder[name].byteLength === 500)
        expectList(decoder[name], bytes.subarray(0, 500))

        send(bytes.subarray(500))
        await eventually(() => receiver.received === 1_000)
        expect(receiver.inOrder).to.be.true()
        expect(decoder[name].byteLength).to.equal(0)
      })

      it('passes what comes through onData of the muxer, and ends the connection with what it throws', async () => {
        await start({ muxer })
        const { muxer: own } = connection as any
        const onData = own.onData.bind(own)
        let seen = 0
        own.onData = (data: Uint8ArrayList) => {
          seen += data.byteLength
          onData(data)
        }

        const receiver = receive(unread)
        out.send(pattern(1_000))
        await eventually(() => receiver.received === 1_000)
        expect(seen).to.be.at.least(1_000)

        const error = new Error('Thrown on purpose')
        const closed = new Promise(resolve => { connection.addEventListener('close', ({ error }) => { resolve(error) }) })
        own.onData = () => { throw error }
        out.send(pattern(1_000))
        expect(await closed).to.equal(error)
      })

      it('passes what comes for a stream through its onData', async () => {
        await start({ muxer })
        const stream = unread as any
        const onData = stream.onData.bind(stream)
        // a copy is as good
        stream.onData = (data: Uint8ArrayList) => { onData(data.slice()) }

        const receiver = receive(unread)
        out.send(pattern(1_000))
        await eventually(() => receiver.received === 1_000)
        expect(receiver.inOrder).to.be.true()
      })

      it('says how many listen to a stream', async () => {
        await start({ muxer })
        const listener = (): void => {}
        const count = (): number => (unread as any).listenerCount('message')

        expect(count()).to.equal(0)
        unread.addEventListener('message', listener)
        expect(count()).to.equal(1)
        unread.removeEventListener('message', listener)
        expect(count()).to.equal(0)
      })

      it('throws unread data away at once when a closed stream is closed for reading', async () => {
        await start({ muxer })
        out.send(pattern(1_000))
        await eventually(() => unread.readBufferLength === 1_000)
        out.abort(new Error('Aborted on purpose'))
        await eventually(() => unread.status === 'reset')
        expect(unread.readBufferLength).to.equal(1_000)

        const closing = unread.closeRead()
        expect(unread.readBufferLength).to.equal(0)
        await closing
      })

      it('delivers what is buffered before it tells the muxer to go on', async () => {
        await start({ muxer })
        const stream = unread as any
        const order: string[] = []
        unread.pause()
        out.send(pattern(1_000))
        await eventually(() => unread.readBufferLength === 1_000)
        unread.addEventListener('message', () => { order.push('message') })
        const { sendResume } = stream
        stream.sendResume = () => {
          order.push('sendResume')
          sendResume.call(stream)
        }

        unread.resume()
        expect(order).to.deep.equal(['message', 'sendResume'])
      })
    })
  }

  it('keeps ciphertext that noise cannot decrypt yet in a list of its decoder, after it has told the encrypter', async () => {
    await start()
    const receiver = receive(unread)
    await settle({ sender, node })
    const socket = socketOf(outConnection())
    const written: Uint8Array[] = []
    const write = socket.write.bind(socket)
    socket.write = (data: any) => {
      written.push(Uint8Array.from(data))

      return true
    }
    out.send(pattern(1_000))
    socket.write = write

    const { decoder } = encryptedOf(connection) as any
    const seen: number[] = []
    // listens later than the encrypter
    rawOf(connection).addEventListener('message', () => { seen.push(decoder.buffer.byteLength) })

    const bytes = Buffer.concat(written)
    socket.write(bytes.subarray(0, 500))
    await eventually(() => seen.length === 1)
    expect(seen).to.deep.equal([500])
    expectList(decoder.buffer, bytes.subarray(0, 500))

    socket.write(bytes.subarray(500))
    await eventually(() => receiver.received === 1_000)
    expect(receiver.inOrder).to.be.true()
    expect(seen[seen.length - 1]).to.equal(0)
  })

  for (const encrypter of Object.keys(ENCRYPTERS) as Array<keyof typeof ENCRYPTERS>) {
    it(`asks the raw connection and that of ${encrypter} for maxWriteBufferLength whenever unsent data has grown`, async () => {
      await start({ encrypter })

      // what is sent over the raw connection is not what the remote's encrypter expects
      for (const form of new Set<MessageStream>([encryptedOf(connection), rawOf(connection)])) {
        const seen: number[] = []

        Object.defineProperty(form, 'maxWriteBufferLength', {
          configurable: true,
          get: () => {
            seen.push(form.writeBufferLength)

            return Infinity
          }
        })

        form.writableNeedsDrain = true
        form.send(header(FrameType.WindowUpdate, Flag.None, 1, 0))
        expect(form.writeBufferLength).to.be.greaterThan(0)
        expect(seen[seen.length - 1]).to.equal(form.writeBufferLength)

        let idle = 0
        form.addEventListener('idle', () => { idle++ })
        form.dispatchEvent(new Event('drain'))
        await eventually(() => form.writeBufferLength === 0)
        expect(idle).to.be.greaterThan(0)
      }
    })
  }

  it('asks a yamux stream for maxStreamWindowSize exactly when its window is to grow', async () => {
    await start({ options: { streamMuxers: [yamux({ enableKeepAlive: false })] } })
    const stream = unread as any
    const receiver = receive(unread)
    let maximum = WINDOW
    let asked = 0
    expect(stream.recvWindow).to.equal(WINDOW)
    expect(stream.maxStreamWindowSize).to.be.a('number')
    Object.defineProperty(stream, 'maxStreamWindowSize', {
      get: () => {
        asked++

        return maximum
      }
    })

    // the round trip is not known
    out.send(pattern(1_000))
    await eventually(() => receiver.received === 1_000)
    expect(asked).to.equal(0)

    ;(connection as any).muxer.rtt = 60_000
    out.send(pattern(1_000))
    await eventually(() => receiver.received === 2_000)
    expect(asked).to.equal(1)
    expect(stream.recvWindow).to.equal(WINDOW)

    maximum = 2 * WINDOW
    out.send(pattern(1_000))
    await eventually(() => receiver.received === 3_000)
    expect(asked).to.equal(2)
    expect(stream.recvWindow).to.equal(2 * WINDOW)
  })
})
