/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { isResourceLimitExceeded } from '../../../src/index.ts'
import { eventually, expectNothingHeld, managerOf } from '../../fixtures/nodes.ts'
import { ECHO, HELD, heldStreams } from '../../fixtures/pair.ts'
import { counts, untilNoStreams } from '../../fixtures/relay.ts'
import { pattern, receive } from '../../fixtures/transfer.ts'
import { connectWebRTC, describeWebRTC, dialUntil, expectAsBefore, KINDS, udpSockets } from '../../fixtures/webrtc.ts'
import type { Limits } from '../../../src/index.ts'
import type { End, Pair } from '../../fixtures/pair.ts'
import type { Reachable, ReachableInit } from '../../fixtures/webrtc.ts'
import type { ConnectionGater } from '@libp2p/interface'

const ERROR = new Error('Aborted on purpose')

/**
 * The ways in which one end can end a connection, and whether others end with it
 */
const ENDS: Record<string, { end(end: End, other: End): Promise<unknown> | void, stops?: true }> = {
  'closes it': { end: async ({ connection }) => connection.close() },
  'aborts it': { end: ({ connection }) => { connection.abort(ERROR) } },
  'closes it and aborts it at once': {
    end: ({ connection }) => {
      connection.close().catch(() => {})
      connection.abort(ERROR)
    }
  },
  'closes the raw connection': { end: async ({ connection }) => (connection as any).maConn.close() },
  'aborts the raw connection': { end: ({ connection }) => { (connection as any).maConn.abort(ERROR) } },
  'closes the peer connection': { end: ({ connection }) => { (connection as any).maConn.peerConnection.close() } },
  'and the other one close it at once': { end: async (end, other) => Promise.all([end.connection.close(), other.connection.close()]) },
  'and the other one abort it at once': {
    end: (end, other) => {
      end.connection.abort(ERROR)
      other.connection.abort(ERROR)
    }
  },
  stops: { end: async ({ node }) => node.stop(), stops: true },
  'and the other one stop at once': { end: async (end, other) => Promise.all([end.node.stop(), other.node.stop()]), stops: true }
}

/**
 * Limits that refuse a connection at one of its stages
 */
const REFUSALS: Record<string, { at: 'dialer' | 'listener', limits(nodes: Reachable): Limits }> = {
  'when it is dialled': { at: 'dialer', limits: () => ({ transient: { outboundConnections: 0 } }) },
  'when it comes in': { at: 'listener', limits: () => ({ transient: { inboundConnections: 0 } }) },
  'by the limit of the peer that is dialled': { at: 'dialer', limits: ({ dialer, listener }) => ({ peers: { [`${listener.peerId}`]: { outboundConnections: dialer.getConnections(listener.peerId).length } } }) },
  'by the limit of the peer that dials': { at: 'listener', limits: ({ dialer, listener }) => ({ peers: { [`${dialer.peerId}`]: { inboundConnections: listener.getConnections(dialer.peerId).length } } }) }
}

const GATER_METHODS = [
  'denyInboundConnection',
  'denyOutboundConnection',
  'denyInboundEncryptedConnection',
  'denyOutboundEncryptedConnection',
  'denyInboundUpgradedConnection',
  'denyOutboundUpgradedConnection'
] as const

for (const [kind, { create, sockets }] of Object.entries(KINDS)) {
  describeWebRTC(`over ${kind}`, function () {
    this.timeout(60_000)

    let nodes: Reachable

    async function start (init?: ReachableInit): Promise<void> {
      nodes = await create(init)
    }

    afterEach(async () => {
      await nodes.stop()
      await expectNothingHeld(managerOf(nodes.dialer))
      await expectNothingHeld(managerOf(nodes.listener))
    })

    it('a connection counts once at each end, and so do its streams', async () => {
      await start()
      const { dialer, listener } = await connectWebRTC(nodes)

      for (const [end, other, direction, before, own] of [
        [dialer, listener, 'outboundConnections', nodes.before.dialer, sockets.dialer],
        [listener, dialer, 'inboundConnections', nodes.before.listener, sockets.listener]
      ] as const) {
        const manager = managerOf(end.node)

        expect(end.connection.multiplexer).to.equal('/webrtc')
        expect(counts(manager.stat().system)).to.deep.equal(counts({
          ...manager.stat().system,
          ...before,
          [direction]: (before[direction] ?? 0) + 1,
          fileDescriptors: (before.fileDescriptors ?? 0) + own
        }))
        expect(counts(manager.stat().transient)).to.deep.equal({})

        const scope = manager.connectionScope(end.connection)
        expect(counts(scope?.stat())).to.deep.equal(own === 1 ? { [direction]: 1, fileDescriptors: 1 } : { [direction]: 1 })
        expect(scope?.peerScope?.peer.equals(other.node.peerId)).to.be.true()

        const stream = await other.connection.newStream(ECHO)
        const echoed = receive(stream)
        stream.send(pattern(200_000))
        await eventually(() => echoed.received === 200_000)
        expect(echoed.inOrder).to.be.true()

        expect(manager.stat().protocols.get(ECHO)).to.include({ inboundStreams: 1, outboundStreams: 0 })
        expect(managerOf(other.node).stat().protocols.get(ECHO)).to.include({ inboundStreams: 0, outboundStreams: 1 })
        expect(managerOf(other.node).streamScope(stream)?.protocolScope?.protocol).to.equal(ECHO)
        await stream.close()
        await eventually(() => end.connection.streams.length + other.connection.streams.length === 0)
      }

      await dialer.connection.close()
      await expectAsBefore(nodes)
    })

    it('each connection takes the UDP sockets that it is said to', async function () {
      if (process.platform !== 'linux') {
        this.skip()
      }

      await start()
      await connectWebRTC(nodes)
      await connectWebRTC(nodes)

      expect(udpSockets() - nodes.udp).to.equal(2 * (sockets.dialer + sockets.listener))
      expect(managerOf(nodes.dialer).stat().system.fileDescriptors - (nodes.before.dialer.fileDescriptors ?? 0)).to.equal(2 * sockets.dialer)
      expect(managerOf(nodes.listener).stat().system.fileDescriptors - (nodes.before.listener.fileDescriptors ?? 0)).to.equal(2 * sockets.listener)
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

    for (const side of ['dialer', 'listener'] as const) {
      for (const [name, { end, stops }] of Object.entries(ENDS)) {
        it(`a connection with open streams gives everything back when the ${side} ${name}`, async () => {
          await start()
          const pair = await connectWebRTC(nodes)
          await streams(pair)

          const [one, other] = side === 'dialer' ? [pair.dialer, pair.listener] : [pair.listener, pair.dialer]

          // js-libp2p closes what it can within a time limit and says so
          await Promise.resolve(end(one, other)).catch(() => {})

          if (stops == null) {
            await expectAsBefore(nodes)
          } else {
            await expectNothingHeld(managerOf(one.node))
            await eventually(() => other.node.getConnections(one.node.peerId).length === 0)
            await untilNoStreams(other.node)
          }
        })
      }
    }

    for (const [name, { at, limits }] of Object.entries(REFUSALS)) {
      it(`a connection is refused ${name}, and gives everything back`, async () => {
        await start()
        const refusals: Error[] = []
        const manager = managerOf(nodes[at])
        manager.addEventListener('blocked', ({ detail }) => { refusals.push(detail) })
        manager.setLimits(limits(nodes))

        // the dialer may have finished before the listener turns it away
        const outcome: any = await dialUntil(nodes, () => refusals.length > 0)

        expect(isResourceLimitExceeded(outcome)).to.equal(at === 'dialer')
        expect(refusals).to.have.lengthOf(1)
        await expectAsBefore(nodes, { abort: true })
      })
    }

    for (const method of GATER_METHODS) {
      it(`a connection that ${method} denies gives everything back`, async () => {
        let asked = 0
        let deny = false
        const connectionGater: ConnectionGater = {
          [method]: async () => {
            asked += deny ? 1 : 0

            return deny
          }
        }
        await start({ [method.includes('Inbound') ? 'listener' : 'dialer']: { options: { connectionGater } } })
        deny = true

        await dialUntil(nodes, () => asked === 1)
        await expectAsBefore(nodes, { abort: true })
      })
    }

    for (const [name, limits] of Object.entries({
      outboundStreams: { at: 'dialer', protocols: { [ECHO]: { outboundStreams: 0 } } },
      inboundStreams: { at: 'listener', protocols: { [ECHO]: { inboundStreams: 0 } } }
    } as Record<string, { at: 'dialer' | 'listener' } & Limits>)) {
      it(`a stream is refused by ${name}, and leaves the connection alone`, async () => {
        await start()
        const { dialer, listener } = await connectWebRTC(nodes)
        const { at, ...rest } = limits
        let refusals = 0
        managerOf(nodes[at]).addEventListener('blocked', () => { refusals++ })
        managerOf(nodes[at]).setLimits(rest)

        await dialer.connection.newStream(ECHO).then(async stream => {
          await eventually(() => stream.status !== 'open')
        }, () => {})
        await eventually(() => refusals === 1)
        await eventually(() => dialer.connection.streams.length + listener.connection.streams.length === 0)

        expect((await dialer.connection.newStream(HELD)).status).to.equal('open')
        await dialer.connection.close()
        await expectAsBefore(nodes)
      })
    }
  })
}
