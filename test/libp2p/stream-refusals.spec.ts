/* eslint-disable max-nested-callbacks, no-loop-func */

import { expect } from 'aegir/chai'
import { isResourceLimitExceeded } from '../../src/index.ts'
import { eventually, managerOf } from '../fixtures/nodes.ts'
import { createPair, ECHO, expectOnlyConnection, expectPairHoldsNothing, HELD, heldStreams, stopPair } from '../fixtures/pair.ts'
import type { Limits, ResourceLimitExceededError } from '../../src/index.ts'
import type { Pair } from '../fixtures/pair.ts'

const MUXERS = ['yamux', 'mplex'] as const

describe('a stream over a limit', () => {
  let pair: Pair

  /** Of the node that has limits */
  let refusals: ResourceLimitExceededError[]

  afterEach(async () => {
    await stopPair(pair)
  })

  async function start (side: 'dialer' | 'listener', limits: Limits, muxer: 'yamux' | 'mplex' = 'yamux'): Promise<void> {
    pair = await createPair({ muxer, limits: side === 'dialer' ? limits : {} }, { muxer, limits: side === 'listener' ? limits : {} })
    refusals = []
    managerOf(pair[side].node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })
  }

  async function expectEcho (): Promise<void> {
    const stream = await pair.dialer.connection.newStream(ECHO)
    let received = 0
    stream.addEventListener('message', ({ data }) => { received += data.byteLength })
    stream.send(Uint8Array.of(1, 2, 3))
    await eventually(() => received === 3)
    stream.abort(new Error('Done'))
  }

  for (const muxer of MUXERS) {
    describe(`that this node opens, with ${muxer}`, () => {
      for (const scope of ['system', 'transient', 'peerDefault'] as const) {
        for (const resource of ['streams', 'outboundStreams'] as const) {
          it(`is refused by limits.${scope}.${resource} before the muxer opens it`, async () => {
            await start('dialer', { [scope]: { [resource]: 0 } }, muxer)
            const { dialer, listener } = pair
            let seen = 0
            ;(listener.connection as any).muxer.addEventListener('stream', () => { seen++ })

            await expect(dialer.connection.newStream(ECHO)).to.eventually.be.rejected().that.include({
              name: 'ResourceLimitExceededError',
              resource,
              direction: 'outbound',
              limit: 0
            })
            expect(dialer.connection.streams).to.be.empty()
            expect(refusals).to.have.lengthOf(1)

            // after a round trip all that went over the wire before has arrived
            await listener.node.services.ping.ping(dialer.node.peerId).catch(() => {})
            expect(seen).to.equal(0)
            await expectOnlyConnection(pair)
          })
        }
      }

      it('leaves the ones that are open alone', async () => {
        await start('dialer', { system: { outboundStreams: 2 } }, muxer)
        const { dialer } = pair

        const first = await dialer.connection.newStream(HELD)
        const second = await dialer.connection.newStream(HELD)
        await expect(dialer.connection.newStream(HELD)).to.eventually.be.rejected()
          .with.property('name', 'ResourceLimitExceededError')

        expect(dialer.connection.streams).to.have.lengthOf(2)
        expect([first.status, second.status, dialer.connection.status]).to.deep.equal(['open', 'open', 'open'])

        second.abort(new Error('Makes room'))
        await expectEcho()
      })

      for (const [name, limits, scope] of [
        ['protocol', { protocols: { [ECHO]: { outboundStreams: 0 } } }, 'protocol:/echo/1.0.0'],
        ['protocol of a peer', { protocolPeers: { [ECHO]: { outboundStreams: 0 } } }, 'protocol:/echo/1.0.0.peer:']
      ] as Array<[string, Limits, string]>) {
        it(`is refused by the limit of its ${name}, and the dial rejects with our error`, async () => {
          await start('dialer', limits, muxer)
          const { dialer, listener } = pair

          const err = await dialer.node.dialProtocol(listener.node.peerId, ECHO).catch(err => err)

          expect(err).to.have.property('name', 'ResourceLimitExceededError')
          expect(err.scope).to.include(scope)
          expect(isResourceLimitExceeded(err)).to.be.true()
          expect(refusals).to.deep.equal([err])

          await expectOnlyConnection(pair)
          expect((await dialer.connection.newStream(HELD)).status).to.equal('open')
        })
      }
    })

    describe(`that comes in, with ${muxer}`, () => {
      for (const [name, limits] of Object.entries<Limits>({
        'limits.system.streams': { system: { streams: 2 } },
        'limits.system.inboundStreams': { system: { inboundStreams: 2 } },
        'limits.peerDefault.inboundStreams': { peerDefault: { inboundStreams: 2 } }
      })) {
        it(`is reset by ${name}, and the others live on`, async () => {
          await start('listener', limits, muxer)
          const { dialer, listener } = pair
          const first = await dialer.connection.newStream(HELD)
          const second = await dialer.connection.newStream(HELD)
          await eventually(() => heldStreams(listener.node).length === 2)

          await expect(dialer.connection.newStream(HELD)).to.eventually.be.rejected()
            .with.property('name').that.does.not.equal('ResourceLimitExceededError')

          expect(refusals).to.have.lengthOf(1)
          expect(refusals[0]).to.include({ direction: 'inbound', current: 2, limit: 2 })
          // no handler has seen it
          expect(heldStreams(listener.node)).to.have.lengthOf(2)
          await eventually(() => listener.connection.streams.length === 2 && dialer.connection.streams.length === 2)

          // data still flows over what is open
          first.send(new Uint8Array(100))
          second.send(new Uint8Array(100))
          await eventually(() => heldStreams(listener.node).every(({ readBufferLength }) => readBufferLength === 100))

          second.abort(new Error('Makes room'))
          await eventually(() => managerOf(listener.node).stat().system.inboundStreams === 1)
          await expectEcho()
        })
      }

      it('is reset by limits.transient.inboundStreams before it negotiates', async () => {
        await start('listener', { transient: { inboundStreams: 0 } }, muxer)

        await expect(pair.dialer.connection.newStream(HELD)).to.eventually.be.rejected()

        expect(refusals.map(({ scope, resource }) => [scope, resource])).to.deep.equal([['transient', 'inboundStreams']])
        expect(heldStreams(pair.listener.node)).to.be.empty()
        await expectOnlyConnection(pair)
      })

      for (const [name, limits, scope] of [
        ['protocol', { protocols: { [HELD]: { inboundStreams: 1 } } }, `protocol:${HELD}`],
        ['protocol of a peer', { protocolPeers: { [HELD]: { inboundStreams: 1 } } }, `protocol:${HELD}.peer:`]
      ] as Array<[string, Limits, string]>) {
        it(`is reset by the limit of its ${name} before the handler sees it`, async () => {
          await start('listener', limits, muxer)
          const { dialer, listener } = pair
          const first = await dialer.connection.newStream(HELD)
          await eventually(() => heldStreams(listener.node).length === 1)

          // the protocol is negotiated by then, so the dialer may have its stream for a moment
          const second = await dialer.connection.newStream(HELD).catch(() => undefined)
          await eventually(() => second?.status !== 'open')

          expect(refusals).to.have.lengthOf(1)
          expect(refusals[0].scope).to.include(scope)
          expect(heldStreams(listener.node)).to.have.lengthOf(1)
          expect(first.status).to.equal('open')
          await eventually(() => managerOf(listener.node).stat().system.inboundStreams === 1)

          // another protocol has its own limit
          await expectEcho()

          first.abort(new Error('Makes room'))
          await eventually(() => managerOf(listener.node).stat().system.inboundStreams === 0)
          expect((await dialer.connection.newStream(HELD)).status).to.equal('open')
        })
      }
    })
  }

  it('is refused many times and leaves nothing', async () => {
    await start('listener', { system: { inboundStreams: 5 } })
    const { dialer } = pair

    const results = await Promise.allSettled(Array.from({ length: 100 }, async () => dialer.connection.newStream(HELD)))

    expect(results.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(5)
    expect(refusals).to.have.lengthOf(95)
    expect(dialer.connection.status).to.equal('open')

    await dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })

  it('is refused once, and shown to nobody, however many listen to the muxer', async () => {
    await start('listener', { transient: { inboundStreams: 0 } })
    let seen = 0

    for (let i = 0; i < 2; i++) {
      (pair.listener.connection as any).muxer.addEventListener('stream', () => { seen++ })
    }

    await expect(pair.dialer.connection.newStream(HELD)).to.eventually.be.rejected()

    expect(refusals).to.have.lengthOf(1)
    expect(seen).to.equal(0)
    await expectOnlyConnection(pair)
  })

  it('is counted over all connections of a peer', async () => {
    await start('listener', { peerDefault: { inboundStreams: 2 } })
    const { dialer, listener } = pair
    const second = await dialer.node.dial(listener.node.getMultiaddrs(), { force: true })
    await eventually(() => listener.node.getConnections().length === 2)

    await dialer.connection.newStream(HELD)
    await second.newStream(HELD)

    await expect(dialer.connection.newStream(HELD)).to.eventually.be.rejected()
    await expect(second.newStream(HELD)).to.eventually.be.rejected()
    expect(refusals).to.have.lengthOf(2)
  })
})
