/* eslint-disable no-loop-func */

import { isDeepStrictEqual } from 'node:util'
import { expect } from 'aegir/chai'
import { isResourceLimitExceeded } from '../../../src/index.ts'
import { eventually, expectNothingHeld, managerOf } from '../../fixtures/nodes.ts'
import { ECHO, HELD, heldStreams } from '../../fixtures/pair.ts'
import { connectRelayed, counts, createRelayed, HOP, STOP, stopRelayed, toRelay, untilNoStreams } from '../../fixtures/relay.ts'
import { pattern, receive } from '../../fixtures/transfer.ts'
import type { Limits } from '../../../src/index.ts'
import type { NodeInit, TestNode } from '../../fixtures/nodes.ts'
import type { Pair } from '../../fixtures/pair.ts'
import type { Relayed } from '../../fixtures/relay.ts'

const ERROR = new Error('Aborted on purpose')

function ofPeer (node: TestNode, other: TestNode): ReturnType<typeof counts> {
  return counts(managerOf(node).stat().peers.get(`${other.peerId}`))
}

function ofProtocol (node: TestNode, protocol: string): ReturnType<typeof counts> {
  return counts(managerOf(node).stat().protocols.get(protocol))
}

/**
 * Waits until only the connections to the relay are left
 */
async function expectOnlyRelay ({ relay, dialer, listener }: Relayed): Promise<void> {
  const state = (): unknown => [relay, dialer, listener].map(node => ({
    system: counts(managerOf(node).stat().system),
    transient: counts(managerOf(node).stat().transient),
    connections: node.getConnections().map(({ status }) => status)
  }))
  const end = { system: { outboundConnections: 1, fileDescriptors: 1 }, transient: {}, connections: ['open'] }
  const expected = [{ system: { inboundConnections: 2, fileDescriptors: 2 }, transient: {}, connections: ['open', 'open'] }, end, end]

  await eventually(() => isDeepStrictEqual(state(), expected)).catch(() => {})
  expect(state()).to.deep.equal(expected)
}

/**
 * The ways in which a relayed connection alone ends
 */
const ENDS: Record<string, (relayed: Relayed, pair: Pair) => Promise<unknown> | void> = {
  'the dialer closes it': async (_, { dialer }) => dialer.connection.close(),
  'the listener closes it': async (_, { listener }) => listener.connection.close(),
  'the dialer aborts it': (_, { dialer }) => { dialer.connection.abort(ERROR) },
  'the listener aborts it': (_, { listener }) => { listener.connection.abort(ERROR) },
  'both close it at once': async (_, { dialer, listener }) => Promise.all([dialer.connection.close(), listener.connection.close()]),
  'the dialer hangs up': async (_, { dialer, listener }) => dialer.node.hangUp(listener.node.peerId),
  'the dialer aborts the stream below': ({ dialer, relay }) => { abortStreams(dialer, relay, HOP) },
  'the listener aborts the stream below': ({ listener, relay }) => { abortStreams(listener, relay, STOP) },
  'the relay aborts the stream from the dialer': ({ relay, dialer }) => { abortStreams(relay, dialer, HOP) },
  'the relay aborts the stream to the listener': ({ relay, listener }) => { abortStreams(relay, listener, STOP) }
}

function abortStreams (node: TestNode, other: TestNode, protocol: string): void {
  const streams = node.getConnections(other.peerId).flatMap(({ streams }) => streams).filter(stream => stream.protocol === protocol)
  expect(streams).to.have.lengthOf(1)
  streams[0].abort(ERROR)
}

/**
 * The ways in which one of the connections below ends, and which end keeps its
 * own, if any
 */
const ENDS_BELOW: Record<string, { end(relayed: Relayed): Promise<unknown> | void, left?: 'dialer' | 'listener' }> = {
  'the dialer closes the connection to the relay': { end: async ({ dialer, relay }) => toRelay(dialer, relay).close(), left: 'listener' },
  'the dialer aborts the connection to the relay': { end: ({ dialer, relay }) => { toRelay(dialer, relay).abort(ERROR) }, left: 'listener' },
  'the relay closes the connection from the dialer': { end: async ({ dialer, relay }) => relay.hangUp(dialer.peerId), left: 'listener' },
  'the dialer stops': { end: async ({ dialer }) => dialer.stop(), left: 'listener' },
  'the listener closes the connection to the relay': { end: async ({ listener, relay }) => toRelay(listener, relay).close(), left: 'dialer' },
  'the listener aborts the connection to the relay': { end: ({ listener, relay }) => { toRelay(listener, relay).abort(ERROR) }, left: 'dialer' },
  'the relay closes the connection to the listener': { end: async ({ listener, relay }) => relay.hangUp(listener.peerId), left: 'dialer' },
  'the listener stops': { end: async ({ listener }) => listener.stop(), left: 'dialer' },
  'the relay stops': { end: async ({ relay }) => relay.stop() }
}

/**
 * js-libp2p's relay does not pass everything on: when one end has reset its
 * stream early, the other one waits until it has had enough
 */
const IMPATIENT: NodeInit = {
  options: {
    connectionManager: { reconnectRetries: 0, inboundUpgradeTimeout: 1_000, addressDialTimeout: 1_000 }
  }
}

/**
 * Limits that refuse a relayed connection at one of its stages
 */
const REFUSALS: Record<string, { at: 'dialer' | 'relay' | 'listener', limits(relayed: Relayed): Limits }> = {
  'when it is dialled': { at: 'dialer', limits: () => ({ system: { outboundConnections: 1 } }) },
  'when it is dialled, for it is not negotiated': { at: 'dialer', limits: () => ({ transient: { outboundConnections: 0 } }) },
  'by the limit of the peer that is dialled': { at: 'dialer', limits: ({ listener }) => ({ peers: { [`${listener.peerId}`]: { outboundConnections: 0 } } }) },
  'when it comes in': { at: 'listener', limits: () => ({ system: { inboundConnections: 0 } }) },
  'by the limit of the peer that dials': { at: 'listener', limits: ({ dialer }) => ({ peers: { [`${dialer.peerId}`]: { inboundConnections: 0 } } }) },
  'for its stream to the relay, by the dialer': { at: 'dialer', limits: () => ({ protocols: { [HOP]: { outboundStreams: 0 } } }) },
  'for its stream to the relay, by the relay': { at: 'relay', limits: () => ({ protocols: { [HOP]: { inboundStreams: 0 } } }) },
  'for its stream to the listener, by the relay': { at: 'relay', limits: () => ({ protocols: { [STOP]: { outboundStreams: 0 } } }) },
  'for its stream to the listener, by the listener': { at: 'listener', limits: () => ({ protocols: { [STOP]: { inboundStreams: 0 } } }) }
}

describe('a relayed connection', () => {
  let relayed: Relayed

  afterEach(async () => {
    await stopRelayed(relayed)

    for (const node of [relayed.relay, relayed.dialer, relayed.listener]) {
      await expectNothingHeld(managerOf(node))
    }
  })

  it('counts once at each end, beside the one to the relay, and as two streams at the relay', async () => {
    relayed = await createRelayed()
    const { relay, dialer, listener } = relayed
    await expectOnlyRelay(relayed)
    const pair = await connectRelayed(relayed)

    expect(counts(managerOf(relay).stat().system)).to.deep.equal({ inboundConnections: 2, fileDescriptors: 2, inboundStreams: 1, outboundStreams: 1 })
    expect(counts(managerOf(dialer).stat().system)).to.deep.equal({ outboundConnections: 2, fileDescriptors: 1, outboundStreams: 1 })
    expect(counts(managerOf(listener).stat().system)).to.deep.equal({ outboundConnections: 1, inboundConnections: 1, fileDescriptors: 1, inboundStreams: 1 })

    expect(ofPeer(relay, dialer)).to.deep.equal({ inboundConnections: 1, fileDescriptors: 1, inboundStreams: 1 })
    expect(ofPeer(relay, listener)).to.deep.equal({ inboundConnections: 1, fileDescriptors: 1, outboundStreams: 1 })
    expect(ofPeer(dialer, relay)).to.deep.equal({ outboundConnections: 1, fileDescriptors: 1, outboundStreams: 1 })
    expect(ofPeer(listener, relay)).to.deep.equal({ outboundConnections: 1, fileDescriptors: 1, inboundStreams: 1 })
    expect(ofPeer(dialer, listener)).to.deep.equal({ outboundConnections: 1 })
    expect(ofPeer(listener, dialer)).to.deep.equal({ inboundConnections: 1 })

    expect(ofProtocol(relay, HOP)).to.deep.equal({ inboundStreams: 1 })
    expect(ofProtocol(relay, STOP)).to.deep.equal({ outboundStreams: 1 })
    expect(ofProtocol(dialer, HOP)).to.deep.equal({ outboundStreams: 1 })
    expect(ofProtocol(listener, STOP)).to.deep.equal({ inboundStreams: 1 })

    for (const [end, other] of [[pair.dialer, listener], [pair.listener, dialer]] as const) {
      expect(managerOf(end.node).connectionScope(end.connection)?.peerScope?.peer.equals(other.peerId)).to.be.true()
      expect(counts(managerOf(end.node).stat().transient)).to.deep.equal({})
    }

    // streams over it are those of its ends
    for (const [from, to] of [[pair.dialer, pair.listener], [pair.listener, pair.dialer]]) {
      const stream = await from.connection.newStream(ECHO)
      const echoed = receive(stream)
      stream.send(pattern(200_000))
      await eventually(() => echoed.received === 200_000)
      expect(echoed.inOrder).to.be.true()

      expect(ofPeer(from.node, to.node)).to.include({ outboundStreams: 1 })
      expect(ofPeer(to.node, from.node)).to.include({ inboundStreams: 1 })
      expect(ofProtocol(from.node, ECHO)).to.deep.equal({ outboundStreams: 1 })
      expect(ofProtocol(to.node, ECHO)).to.deep.equal({ inboundStreams: 1 })
      expect(ofProtocol(relay, ECHO)).to.deep.equal({})
      stream.abort(ERROR)
      await eventually(() => from.connection.streams.length + to.connection.streams.length === 0)
    }

    await pair.dialer.connection.close()
    await expectOnlyRelay(relayed)
  })

  it('dials its relay by itself if it has to, which counts once too', async () => {
    relayed = await createRelayed()
    const { relay, dialer } = relayed
    await dialer.hangUp(relay.peerId)
    await eventually(() => relay.getConnections(dialer.peerId).length === 0)

    const opened: string[] = []
    const manager = managerOf(dialer)
    const openConnection = manager.openConnection.bind(manager)
    manager.openConnection = (direction, usesFileDescriptor, endpoint) => {
      opened.push(`${direction} ${usesFileDescriptor} ${`${endpoint}`.includes('p2p-circuit')}`)

      return openConnection(direction, usesFileDescriptor, endpoint)
    }

    const { dialer: { connection } } = await connectRelayed(relayed)

    expect(opened).to.deep.equal(['outbound false true', 'outbound true false'])
    expect(counts(manager.stat().system)).to.include({ outboundConnections: 2, fileDescriptors: 1 })

    await connection.close()
    await expectOnlyRelay(relayed)
  })

  async function streams ({ dialer, listener }: Pair): Promise<void> {
    for (const [from, to] of [[dialer, listener], [listener, dialer]]) {
      const echo = await from.connection.newStream(ECHO)
      echo.send(Uint8Array.of(1, 2, 3))
      const unread = await from.connection.newStream(HELD)
      unread.send(new Uint8Array(10_000))
      await eventually(() => heldStreams(to.node).some(stream => stream.readBufferLength > 0))
    }
  }

  for (const [name, end] of Object.entries(ENDS)) {
    it(`with open streams leaves the connections to the relay alone when ${name}`, async () => {
      relayed = await createRelayed()
      const pair = await connectRelayed(relayed)
      await streams(pair)

      // js-libp2p closes what it can within a time limit and says so
      await Promise.resolve(end(relayed, pair)).catch(() => {})

      await expectOnlyRelay(relayed)
    })
  }

  for (const [name, { end, left }] of Object.entries(ENDS_BELOW)) {
    it(`with open streams ends when ${name}`, async () => {
      relayed = await createRelayed()
      const { relay, dialer, listener } = relayed
      await streams(await connectRelayed(relayed))

      await Promise.resolve(end(relayed)).catch(() => {})

      await eventually(() => dialer.getConnections(listener.peerId).length + listener.getConnections(dialer.peerId).length === 0)
      await untilNoStreams(relay, dialer, listener)
      expect(ofPeer(dialer, listener)).to.deep.equal({})
      expect(ofPeer(listener, dialer)).to.deep.equal({})

      if (left != null) {
        expect(counts(managerOf(relayed[left]).stat().system)).to.deep.equal({ outboundConnections: 1, fileDescriptors: 1 })
        expect(ofPeer(relay, relayed[left])).to.deep.equal({ inboundConnections: 1, fileDescriptors: 1 })
      }
    })
  }

  for (const [name, { at, limits }] of Object.entries(REFUSALS)) {
    it(`is refused ${name}, and gives everything back`, async () => {
      relayed = await createRelayed({ dialer: IMPATIENT, listener: IMPATIENT })
      const { dialer, address } = relayed
      const refusals: Error[] = []
      managerOf(relayed[at]).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })
      managerOf(relayed[at]).setLimits(limits(relayed))

      // the dialer may have finished before the listener turns it away
      const err = await dialer.dial(address).then(() => undefined, err => err)
      await eventually(() => refusals.length > 0)

      if (at === 'dialer') {
        expect(isResourceLimitExceeded(err)).to.be.true()
      } else {
        expect(isResourceLimitExceeded(err)).to.be.false()
      }

      await expectOnlyRelay(relayed)
    })
  }

  it('that is refused before the relay was dialled dials no relay', async () => {
    relayed = await createRelayed()
    const { relay, dialer, address } = relayed
    await dialer.hangUp(relay.peerId)
    await eventually(() => relay.getConnections(dialer.peerId).length === 0)
    managerOf(dialer).setLimits({ system: { outboundConnections: 0 } })

    const err = await dialer.dial(address).catch(err => err)

    expect(isResourceLimitExceeded(err)).to.be.true()
    await expectNothingHeld(managerOf(dialer))
    expect(relay.getConnections(dialer.peerId)).to.be.empty()
  })

  for (const stage of ['circuit-relay:open-hop-stream', 'circuit-relay:write-connect-message', 'circuit-relay:read-connect-response', 'upgrader:encrypt-outbound-connection']) {
    it(`whose dial is aborted at ${stage} gives everything back`, async () => {
      relayed = await createRelayed({ dialer: IMPATIENT, listener: IMPATIENT })
      const controller = new AbortController()
      const stages: string[] = []

      await expect(relayed.dialer.dial(relayed.address, {
        signal: controller.signal,
        onProgress: event => {
          stages.push(event.type)

          if (event.type === stage) {
            queueMicrotask(() => { controller.abort() })
          }
        }
      })).to.eventually.be.rejected()

      expect(stages).to.include(stage)
      await expectOnlyRelay(relayed)
    })
  }

  describe('and the address of its relay', () => {
    // the one connection to the relay takes the place of the address
    const ONE_PER_ADDRESS: Limits = { subnets: { ipv4: { networks: [{ network: '127.0.0.0/8', connections: 1 }] } } }

    it('are not counted together', async () => {
      relayed = await createRelayed({ dialer: { limits: ONE_PER_ADDRESS }, listener: { limits: ONE_PER_ADDRESS } })
      const pair = await connectRelayed(relayed)
      expect((await pair.dialer.connection.newStream(ECHO)).status).to.equal('open')

      // which is limited all the same
      for (const { node } of [pair.dialer, pair.listener]) {
        await expect(node.dial(relayed.relay.getMultiaddrs(), { force: true })).to.eventually.be.rejected()
          .with.property('name', 'ResourceLimitExceededError')
      }
    })

    it('are not allowed together', async () => {
      relayed = await createRelayed({
        dialer: IMPATIENT,
        listener: { allowlist: ['/ip4/127.0.0.1'], limits: { system: { inboundConnections: 0 } } },
        listen: ['/ip4/127.0.0.1/tcp/0']
      })
      const { dialer, listener, address } = relayed
      let refusals = 0
      managerOf(listener).addEventListener('blocked', () => { refusals++ })

      await dialer.dial(address).catch(() => {})
      await eventually(() => refusals === 1)
      await untilNoStreams(dialer, listener)
      await eventually(() => dialer.getConnections(listener.peerId).length === 0)
      expect(counts(managerOf(listener).stat().allowlistedSystem)).to.deep.equal({})

      // who comes from that address without the relay is
      const direct = listener.getMultiaddrs().filter(address => !`${address}`.includes('p2p-circuit'))
      await dialer.dial(direct)
      await eventually(() => managerOf(listener).stat().allowlistedSystem.inboundConnections === 1)
    })
  })
})
