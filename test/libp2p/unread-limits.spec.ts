/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { BASE_MEMORY } from '../../src/limits/base-memory.ts'
import { buffered, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import { createFlood, openHeld, pattern, receive, roundUp, settle, WINDOW } from '../fixtures/transfer.ts'
import type { Limits, ResourceLimitExceededError } from '../../src/index.ts'
import type { NodeInit } from '../fixtures/nodes.ts'
import type { Flood } from '../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'

const KiB = 1024
const HELD = '/held/1.0.0'

describe('data that nobody reads and that goes over a limit', () => {
  let flood: Flood
  let refusals: ResourceLimitExceededError[]

  async function start (init: NodeInit): Promise<void> {
    flood = await createFlood(init)
    refusals = []
    managerOf(flood.node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })
  }

  async function closing (stream: Stream): Promise<Error | undefined> {
    return new Promise(resolve => { stream.addEventListener('close', ({ error }) => { resolve(error) }) })
  }

  async function expectConnectionWorks (): Promise<void> {
    expect(await flood.sender.services.ping.ping(flood.node.peerId)).to.be.at.least(0)
    expect(flood.node.getConnections()).to.have.lengthOf(1)
  }

  afterEach(async () => {
    await stopAll(flood.sender, flood.node)
  })

  for (const muxer of ['yamux', 'mplex'] as const) {
    for (const [name, limits, scope] of [
      ['limits.stream', { stream: { memory: 64 * KiB } }, /^stream-/],
      ['limits.protocols', { protocols: { [HELD]: { memory: 64 * KiB } } }, /^protocol:\/held\/1.0.0$/],
      ['limits.protocolPeers', { protocolPeers: { [HELD]: { memory: 64 * KiB } } }, /^protocol:\/held\/1.0.0.peer:/],
      ['limits.services', { services: { mine: { memory: 64 * KiB } } }, /^service:mine$/],
      ['limits.servicePeers', { servicePeers: { mine: { memory: 64 * KiB } } }, /^service:mine.peer:/]
    ] as Array<[string, Limits, RegExp]>) {
      it(`of ${name}, aborts the stream with our error and nothing else, with ${muxer}`, async () => {
        await start({ muxer, limits, services: { mine: [HELD] } })
        const { out, unread } = await openHeld(flood)
        const [closed, reset] = [closing(unread), closing(out)]

        out.send(pattern(WINDOW))
        const err: any = await closed

        expect(err).to.include({ name: 'ResourceLimitExceededError', resource: 'memory', limit: 64 * KiB })
        expect(err.scope).to.match(scope)
        expect(refusals).to.include(err)
        expect(unread.status).to.equal('aborted')
        expect(unread.readBufferLength).to.equal(0)
        expect(await reset).to.have.property('name', 'StreamResetError')

        await eventually(() => managerOf(flood.node).stat().system.inboundStreams === 0)
        expect(buffered(managerOf(flood.node))).to.equal(0)
        await expectConnectionWorks()

        // less than the limit is held
        const next = await openHeld(flood)
        next.out.send(pattern(30_000))
        await eventually(() => next.unread.readBufferLength === 30_000)
        expect(next.unread.status).to.equal('open')
      })
    }
  }

  it('of the peer, aborts the stream that grows and not those that are there', async () => {
    await start({ limits: { peerDefault: { memory: BASE_MEMORY.connection + 2 * BASE_MEMORY.stream + 400 * KiB } } })
    const first = await openHeld(flood)
    const second = await openHeld(flood)
    first.out.send(pattern(WINDOW))
    await settle(flood)

    const held = first.unread.readBufferLength
    expect(held).to.be.within(128 * KiB, WINDOW)
    second.out.send(pattern(WINDOW))

    expect(await closing(second.unread)).to.have.property('name', 'ResourceLimitExceededError')
    expect(first.unread.status).to.equal('open')
    expect(first.unread.readBufferLength).to.be.at.least(held)
    await expectConnectionWorks()

    const receiver = receive(first.unread)
    await eventually(() => receiver.received === WINDOW)
    expect(receiver.inOrder).to.be.true()
  })

  it('never lets the system hold more than its limit', async () => {
    const limit = 1024 * KiB
    await start({ limits: { system: { memory: limit } } })
    const outs: Stream[] = []
    let most = 0

    for (let i = 0; i < 10; i++) {
      const { out, unread } = await openHeld(flood)
      const grow = (): void => { most = Math.max(most, buffered(managerOf(flood.node))) }
      unread.addEventListener('close', grow)
      outs.push(out)
      out.send(pattern(WINDOW))
      await settle(flood)
      grow()
    }

    expect(refusals.length).to.be.greaterThan(0)
    expect(refusals.every(({ scope, resource }) => scope === 'system' && resource === 'memory')).to.be.true()
    expect(most).to.be.within(limit / 2, limit)
    expect(outs.some(({ status }) => status === 'open')).to.be.true()
    await expectConnectionWorks()
  })

  it('is no concern of a stream that is read', async () => {
    await start({ limits: { stream: { memory: 64 * KiB } } })
    const { out, unread } = await openHeld(flood)
    const receiver = receive(unread)

    out.send(pattern(4 * 1024 * KiB))
    await eventually(() => receiver.received === 4 * 1024 * KiB)

    expect(receiver.inOrder).to.be.true()
    expect(refusals).to.be.empty()
  })

  it('is held up to the limit with a muxer that cannot pause, and arrives', async () => {
    await start({ muxer: 'mplex', limits: { stream: { memory: 1024 * KiB } } })
    const { out, unread } = await openHeld(flood)
    const before = managerOf(flood.node).streamScope(unread)?.stat().memory ?? NaN

    out.send(pattern(512 * KiB))
    await eventually(() => unread.readBufferLength === 512 * KiB)
    expect((managerOf(flood.node).streamScope(unread)?.stat().memory ?? NaN) - before).to.equal(roundUp(512 * KiB))

    const receiver = receive(unread)
    await eventually(() => receiver.received === 512 * KiB)
    expect(receiver.inOrder).to.be.true()
    await eventually(() => managerOf(flood.node).streamScope(unread)?.stat().memory === before)
  })
})
