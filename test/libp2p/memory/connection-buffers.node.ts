/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { BASE_MEMORY } from '../../../src/limits/base-memory.ts'
import { usedMemory } from '../../fixtures/memory.ts'
import { buffered, eventually, expectNothingHeld, managerOf, nodeOptions, stopAll } from '../../fixtures/nodes.ts'
import { handleHeld, HELD, heldStreams } from '../../fixtures/pair.ts'
import { createFlood, pattern, receive, settle, WINDOW } from '../../fixtures/transfer.ts'
import { encryptedOf, pings, rawOf, sendAll } from '../../fixtures/yamux-remote.ts'
import type { Limits, ResourceLimitExceededError } from '../../../src/index.ts'
import type { NodeInit } from '../../fixtures/nodes.ts'
import type { Flood } from '../../fixtures/transfer.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const KiB = 1024
const MiB = 1024 * KiB
const LIMIT = 2 * MiB

/** So much may be unsent that could not be reserved, so that streams can be reset */
const CONTROL_FRAMES = 16 * KiB

describe('a remote that makes the node answer and does not read', () => {
  let flood: Flood
  let honest: Libp2p<any>

  /** The node's end of the connection to the attacker */
  let connection: Connection
  let refusals: ResourceLimitExceededError[]

  beforeEach(async () => {
    flood = await createFlood({ limits: { connection: { memory: BASE_MEMORY.connection + LIMIT } } })
    refusals = []
    managerOf(flood.node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })
    honest = await createLibp2p(nodeOptions({}))
    await honest.dial(flood.node.getMultiaddrs())
    await eventually(() => flood.node.getConnections().length === 2)
    ;[connection] = flood.node.getConnections(flood.sender.peerId)
  })

  afterEach(async () => {
    await stopAll(flood.sender, honest, flood.node)
  })

  function unsent (): number {
    return encryptedOf(connection).writeBufferLength + rawOf(connection).writeBufferLength
  }

  it('by pings makes it hold what the connection may hold, then loses the connection', async function () {
    this.timeout(60_000)
    const closed = new Promise<Error | undefined>(resolve => { connection.addEventListener('close', ({ error }) => { resolve(error) }) })
    const attacker = encryptedOf(flood.connection)
    const batch = pings(4_000)
    const before = await usedMemory()
    let most = 0
    let measured: { used: number, accounted: number } | undefined
    rawOf(flood.connection).pause()

    while (await sendAll(attacker, batch)) {
      most = Math.max(most, unsent())
      expect(buffered(managerOf(flood.node))).to.be.at.least(unsent() - CONTROL_FRAMES)
      expect(buffered(managerOf(flood.node))).to.be.at.most(LIMIT)

      if (most > LIMIT / 2 && measured == null) {
        measured = { used: await usedMemory() - before, accounted: buffered(managerOf(flood.node)) }
      }
    }

    const err: any = await closed
    expect(measured?.used).to.be.below(6 * (measured?.accounted ?? 0))
    expect(err).to.include({ name: 'ResourceLimitExceededError', resource: 'memory', limit: BASE_MEMORY.connection + LIMIT })
    expect(err.scope).to.match(/^conn-/)
    expect(refusals).to.include(err)
    expect(most).to.be.within(LIMIT / 2, LIMIT + CONTROL_FRAMES)

    await eventually(() => managerOf(flood.node).stat().system.inboundConnections === 1)
    expect(buffered(managerOf(flood.node))).to.equal(0)
    expect(unsent()).to.equal(0)
    expect(await honest.services.ping.ping(flood.node.peerId)).to.be.at.least(0)
    await stopAll(honest, flood.sender)
    await expectNothingHeld(managerOf(flood.node))
  })
})

describe('many streams of a connection to a remote that does not read', () => {
  const STREAMS = 200
  const EACH = 128 * KiB

  let flood: Flood
  let streams: Stream[]

  /** The node's end */
  let connection: Connection

  function inStreams (): number {
    return streams.reduce((sum, { writeBufferLength }) => sum + writeBufferLength, 0)
  }

  function inConnection (): number {
    return encryptedOf(connection).writeBufferLength + rawOf(connection).writeBufferLength
  }

  function connectionMemory (): number {
    return (managerOf(flood.node).connectionScope(connection)?.stat().memory ?? NaN) - BASE_MEMORY.connection
  }

  async function start (limits: Limits, muxer: NodeInit['muxer'] = 'yamux'): Promise<void> {
    const streamsOnly = { memory: Infinity, streams: STREAMS, outboundStreams: STREAMS }
    flood = await createFlood({ muxer, limits: { protocolPeerDefault: streamsOnly, protocolDefault: streamsOnly, ...limits } })
    await handleHeld(flood.sender as any)
    await eventually(() => flood.node.getConnections().length === 1)
    ;[connection] = flood.node.getConnections()
    streams = []

    for (let i = 0; i < STREAMS; i++) {
      streams.push(await connection.newStream(HELD, { maxOutboundStreams: Infinity }))
    }

    await eventually(() => heldStreams(flood.sender as any).length === STREAMS)
    // nothing is read from the socket any more
    rawOf(flood.connection).pause()
  }

  afterEach(async () => {
    flood.connection.abort(new Error('Aborted on purpose'))
    await stopAll(flood.sender, flood.node)
    await expectNothingHeld(managerOf(flood.node))
  })

  for (const muxer of ['yamux', 'mplex'] as const) {
    it(`wait, what waits is reserved for who holds it, and everything arrives, with ${muxer}`, async () => {
      await start({ connection: { memory: BASE_MEMORY.connection + 2 * MiB } }, muxer)
      streams.forEach(stream => { stream.send(pattern(EACH)) })

      // what the operating system takes is gone
      await eventually(() => inStreams() + inConnection() > 0)
      let before = -1
      await eventually(() => {
        const now = inStreams() + inConnection()
        const still = now === before
        before = now

        return still
      })

      expect(inStreams()).to.be.greaterThan(STREAMS / 10 * EACH)
      expect(connectionMemory()).to.be.within(inConnection(), inConnection() + 2 * 4 * KiB)
      expect(buffered(managerOf(flood.node))).to.be.within(inStreams() + inConnection(), inStreams() + inConnection() + (STREAMS + 2) * 4 * KiB)
      expect(connection.status).to.equal('open')

      const receivers = heldStreams(flood.sender as any).map(stream => receive(stream))
      rawOf(flood.connection).resume()
      await eventually(() => receivers.every(({ received }) => received === EACH))
      expect(receivers.every(({ inOrder }) => inOrder)).to.be.true()
      await eventually(() => buffered(managerOf(flood.node)) === 0)
      expect(inConnection()).to.equal(0)
    })
  }

  it('cannot hold more than the limit, and the connection lives on', async () => {
    const limit = BASE_MEMORY.connection + STREAMS * BASE_MEMORY.stream + 4 * MiB
    await start({ system: { memory: limit } })
    const errors: any[] = []

    for (const stream of streams) {
      stream.addEventListener('close', ({ error }) => { errors.push(error) })
    }

    // in turn, since what is written within the window of a stream is on its way
    for (let i = 0; i < 8; i++) {
      for (const stream of streams.filter(({ status }) => status === 'open')) {
        stream.send(pattern(EACH, i * EACH))
        expect(managerOf(flood.node).stat().system.memory).to.be.at.most(limit)
        expect(inStreams() + inConnection()).to.be.at.most(4 * MiB + STREAMS * BASE_MEMORY.stream)
      }

      await new Promise(resolve => setImmediate(resolve))
    }

    expect(errors.length).to.be.within(1, STREAMS - 1)
    errors.forEach(error => { expect(error).to.include({ name: 'ResourceLimitExceededError', limit }) })
    expect(connection.status).to.equal('open')

    rawOf(flood.connection).resume()
    const receivers = heldStreams(flood.sender as any).map(stream => receive(stream))
    await eventually(() => inConnection() + inStreams() === 0)
    await settle(flood)
    expect(receivers.every(({ inOrder }) => inOrder)).to.be.true()
    expect(receivers.filter(({ received }) => received >= WINDOW)).to.not.be.empty()
  })
})
