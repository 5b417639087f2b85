/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { BASE_MEMORY } from '../../../src/limits/base-memory.ts'
import { usedMemory } from '../../fixtures/memory.ts'
import { buffered, eventually, expectNothingHeld, managerOf, nodeOptions, stopAll } from '../../fixtures/nodes.ts'
import { createFlood, openHeld, pattern, receive, roundUp, settle, STEP, WINDOW } from '../../fixtures/transfer.ts'
import { dataFrame, encryptedOf, Flag, FrameType, HEADER, header, idOf, rawOf, sendAll, socketOf } from '../../fixtures/yamux-remote.ts'
import type { ResourceLimitExceededError } from '../../../src/index.ts'
import type { NodeInit } from '../../fixtures/nodes.ts'
import type { Flood } from '../../fixtures/transfer.ts'
import type { Connection, Libp2p, MessageStream } from '@libp2p/interface'

const KiB = 1024
const MiB = 1024 * KiB
const LIMIT = 4 * MiB

/** The start of a message of 1 MiB on a stream that does not exist, as large as mplex takes it */
const MPLEX_MESSAGE = Uint8Array.of(2, 0x80, 0x80, 0x40)

describe('a frame', () => {
  let flood: Flood
  let honest: Libp2p<any>

  /** The node's end of the connection to the attacker, and the attacker's */
  let connection: Connection
  let attacker: MessageStream
  let refusals: ResourceLimitExceededError[]
  let closed: Promise<Error | undefined>

  async function start (init: NodeInit = {}): Promise<void> {
    flood = await createFlood({ limits: { connection: { memory: BASE_MEMORY.connection + LIMIT } }, ...init })
    refusals = []
    managerOf(flood.node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })
    honest = await createLibp2p(nodeOptions({ muxer: init.muxer }))
    await honest.dial(flood.node.getMultiaddrs())
    await eventually(() => flood.node.getConnections().length === 2)
    ;[connection] = flood.node.getConnections(flood.sender.peerId)
    attacker = encryptedOf(flood.connection)
    closed = new Promise(resolve => { connection.addEventListener('close', ({ error }) => { resolve(error) }) })
  }

  /** What the muxer cannot read yet, in bytes */
  function incomplete (): number {
    const { decoder } = (connection as any).muxer

    return (decoder.buffer ?? decoder._buffer).byteLength
  }

  async function expectRefused (limit: number): Promise<void> {
    const err: any = await closed
    expect(err).to.include({ name: 'ResourceLimitExceededError', resource: 'memory', limit })
    expect(refusals).to.include(err)
  }

  /** As when others have used it up, but for what is spared */
  function fillSystem (spare: number = 0): void {
    managerOf(flood.node).viewSystem(scope => {
      scope.reserveMemory(Number(scope.limit.memory) - scope.stat().memory - spare)
    })
  }

  afterEach(async () => {
    // others are as they were
    expect(await honest.services.ping.ping(flood.node.peerId)).to.be.at.least(0)
    await stopAll(flood.sender, honest, flood.node)
    managerOf(flood.node).viewSystem(scope => { scope.releaseMemory(Number.MAX_SAFE_INTEGER) })
    await expectNothingHeld(managerOf(flood.node))
  })

  it('that is announced as 200 MiB and sent ends the connection at its limit', async () => {
    await start()
    const chunk = new Uint8Array(64 * KiB)
    let most = 0
    attacker.send(header(FrameType.Data, Flag.None, 1, 200 * MiB))

    while (await sendAll(attacker, chunk)) {
      most = Math.max(most, incomplete())
      expect(buffered(managerOf(flood.node))).to.be.at.most(LIMIT)
    }

    await expectRefused(BASE_MEMORY.connection + LIMIT)
    expect(most).to.be.within(LIMIT / 2, LIMIT)
    await eventually(() => managerOf(flood.node).stat().system.inboundConnections === 1)
    expect(buffered(managerOf(flood.node))).to.equal(0)
    expect(incomplete()).to.equal(0)
  })

  it('that is announced as 4 GiB and not sent costs little, and nothing ends', async () => {
    await start()
    attacker.send(header(FrameType.Data, Flag.None, 1, 2 ** 32 - 1))
    attacker.send(pattern(1_000))
    await eventually(() => incomplete() === HEADER + 1_000)

    expect(buffered(managerOf(flood.node))).to.equal(STEP)
    expect(managerOf(flood.node).connectionScope(connection)?.stat().memory).to.equal(BASE_MEMORY.connection + STEP)
    expect(connection.status).to.equal('open')
    expect(refusals).to.be.empty()

    attacker.abort(new Error('Aborted on purpose'))
    await eventually(() => buffered(managerOf(flood.node)) === 0)
  })

  for (const muxer of ['yamux', 'mplex'] as const) {
    it(`that comes byte by byte costs little more than its bytes, with ${muxer}`, async function () {
      this.timeout(60_000)
      await start({ muxer })
      const BYTES = 100_000
      const before = await usedMemory()
      attacker.send(muxer === 'yamux' ? header(FrameType.Data, Flag.None, 1, MiB) : MPLEX_MESSAGE)

      // each byte is encrypted by itself
      for (let i = 0; i < BYTES; i++) {
        attacker.send(Uint8Array.of(i))

        if (i % 500 === 0) {
          await new Promise(resolve => setImmediate(resolve))
        }
      }

      await eventually(() => incomplete() >= BYTES)
      const used = await usedMemory() - before
      expect(buffered(managerOf(flood.node))).to.equal(roundUp(incomplete()))
      expect(connection.status).to.equal('open')
      // without being joined it would be 13 MB
      expect(used).to.be.below(4 * MiB)
    })
  }

  it('of ciphertext that comes byte by byte costs little, and is read when it is complete', async function () {
    this.timeout(60_000)
    await start()
    const { out, unread } = await openHeld(flood)
    const receiver = receive(unread)
    await settle(flood)

    // what the attacker's encrypter would write is held back
    const written: Uint8Array[] = []
    const socket = socketOf(flood.connection)
    const write = socket.write.bind(socket)
    socket.write = (data: any) => {
      written.push(Uint8Array.from(data))

      return true
    }
    out.send(pattern(60_000))
    socket.write = write
    socket.setNoDelay(true)
    const packets = Buffer.concat(written)
    expect(packets.byteLength).to.be.greaterThan(60_000)

    const { decoder } = encryptedOf(connection) as any
    const before = await usedMemory()

    for (let i = 0; i < packets.byteLength - 1; i++) {
      socket.write(packets.subarray(i, i + 1))
      await new Promise(resolve => setImmediate(resolve))
    }

    await eventually(() => decoder.buffer.byteLength === packets.byteLength - 1)
    const used = await usedMemory() - before
    // without being joined it would be 13 MB
    expect(used).to.be.below(4 * MiB)

    socket.write(packets.subarray(packets.byteLength - 1))
    await eventually(() => receiver.received === 60_000)
    expect(receiver.inOrder).to.be.true()
  })

  it('of mplex that is announced larger than mplex allows ends the connection', async () => {
    await start({ muxer: 'mplex' })
    attacker.send(Uint8Array.of(2, 0x81, 0x80, 0x40))

    expect(await closed).to.have.property('name', 'InvalidMessageError')
    expect(refusals).to.be.empty()
  })

  it('of mplex that is never complete is reserved, and ends the connection at its limit', async () => {
    await start({ muxer: 'mplex', limits: { connection: { memory: BASE_MEMORY.connection + 512 * KiB } } })
    attacker.send(MPLEX_MESSAGE)
    attacker.send(new Uint8Array(500 * KiB))
    await eventually(() => incomplete() === MPLEX_MESSAGE.byteLength + 500 * KiB)
    expect(buffered(managerOf(flood.node))).to.equal(roundUp(incomplete()))

    attacker.send(new Uint8Array(20 * KiB))
    await expectRefused(BASE_MEMORY.connection + 512 * KiB)
  })

  describe('of a whole window', () => {
    /** All but the last byte of a frame, which is returned */
    async function sendUnfinished (): Promise<{ last: Uint8Array, receiver: ReturnType<typeof receive> }> {
      const { out, unread } = await openHeld(flood)
      const receiver = receive(unread)
      const frame = dataFrame(idOf(out), pattern(WINDOW))
      await settle(flood)
      attacker.send(frame.subarray(0, -1))
      await eventually(() => incomplete() === frame.byteLength - 1)

      return { last: frame.subarray(-1), receiver }
    }

    it('is reserved until it is complete, and arrives', async () => {
      await start()
      const { last, receiver } = await sendUnfinished()
      expect(buffered(managerOf(flood.node))).to.equal(roundUp(HEADER + WINDOW - 1))

      attacker.send(last)
      await eventually(() => receiver.received === WINDOW)
      expect(receiver.inOrder).to.be.true()
      expect(buffered(managerOf(flood.node))).to.equal(0)
    })

    it('arrives when others have used up the memory', async () => {
      await start({ limits: { system: { memory: 16 * MiB } } })
      fillSystem(2 * BASE_MEMORY.stream)
      const { last, receiver } = await sendUnfinished()
      expect(refusals).to.not.be.empty()
      expect(buffered(managerOf(flood.node))).to.be.at.most(16 * MiB)

      attacker.send(last)
      await eventually(() => receiver.received === WINDOW)
      expect(receiver.inOrder).to.be.true()
      expect(connection.status).to.equal('open')
    })

    it('ends the connection of a peer that has more than its share of a memory that is used up', async () => {
      await start({ limits: { system: { memory: 16 * MiB } } })
      const streams = []

      for (let i = 0; i < 4; i++) {
        const { out, unread } = await openHeld(flood)
        out.send(pattern(WINDOW))
        await eventually(() => unread.readBufferLength === WINDOW)
        streams.push(unread)
      }

      const { out } = await openHeld(flood)
      fillSystem()
      attacker.send(dataFrame(idOf(out), pattern(WINDOW)).subarray(0, -1))

      await expectRefused(16 * MiB)
      await Promise.all(streams.map(async stream => stream.closeRead()))
    })

    it('is all that a peer may send when others have used up the memory', async () => {
      await start({ limits: { system: { memory: 16 * MiB } } })
      fillSystem()
      attacker.send(header(FrameType.Data, Flag.None, 1, 2 * WINDOW))
      attacker.send(new Uint8Array(WINDOW + 1))

      await expectRefused(16 * MiB)
    })
  })

  it('that is announced makes no difference to a connection that was aborted', async () => {
    await start()
    attacker.send(header(FrameType.Data, Flag.None, 1, MiB))
    attacker.send(pattern(10_000))
    await eventually(() => incomplete() === HEADER + 10_000)

    connection.abort(new Error('Aborted on purpose'))
    expect(buffered(managerOf(flood.node))).to.equal(0)
    expect(rawOf(connection).status).to.equal('aborted')
  })
})
