/* eslint-disable no-loop-func */

import { isDeepStrictEqual } from 'node:util'
import { expect } from 'aegir/chai'
import { eventually, expectNothingHeld, managerOf } from '../../fixtures/nodes.ts'
import { ECHO } from '../../fixtures/pair.ts'
import { connectRelayed, counts, stopRelayed } from '../../fixtures/relay.ts'
import { cleanUpWebRTC, createDirectNode, createWebRTC, describeWebRTC, dialUntil, udpSockets, webRTCAddress } from '../../fixtures/webrtc.ts'
import type { TestNode } from '../../fixtures/nodes.ts'
import type { Relayed } from '../../fixtures/relay.ts'
import type { Reachable } from '../../fixtures/webrtc.ts'

const SIGNALLING = '/webrtc-signaling/0.0.1'

/**
 * What a node asks for from now on: direction, whether with a descriptor, and
 * the kind of address
 */
function watchConnections (node: TestNode): string[] {
  const manager = managerOf(node)
  const openConnection = manager.openConnection.bind(manager)
  const opened: string[] = []

  manager.openConnection = (direction, usesFileDescriptor, endpoint) => {
    const names = endpoint?.getComponents().map(({ name }) => name) ?? []
    const kind = ['webrtc', 'p2p-circuit', 'tcp'].find(name => names.includes(name))
    opened.push(`${direction} ${kind} ${usesFileDescriptor ? 'with' : 'without'} a descriptor`)

    return openConnection(direction, usesFileDescriptor, endpoint)
  }

  return opened
}

describeWebRTC('a dial over WebRTC', () => {
  let relayed: Relayed

  /** What it is dialled with, and what was there before */
  function reachable (): Reachable {
    const { dialer, listener } = relayed

    return {
      dialer,
      listener,
      address: webRTCAddress(relayed),
      before: { dialer: counts(managerOf(dialer).stat().system), listener: counts(managerOf(listener).stat().system) },
      stop: async () => {}
    }
  }

  async function expectAsBefore ({ dialer, listener, before }: Reachable): Promise<void> {
    const state = (): unknown => [dialer, listener].map(node => [counts(managerOf(node).stat().system), counts(managerOf(node).stat().transient)])
    const expected = [[before.dialer, {}], [before.listener, {}]]

    await eventually(() => isDeepStrictEqual(state(), expected)).catch(() => {})
    expect(state()).to.deep.equal(expected)
  }

  after(cleanUpWebRTC)

  afterEach(async () => {
    await stopRelayed(relayed)

    for (const node of [relayed.relay, relayed.dialer, relayed.listener]) {
      await expectNothingHeld(managerOf(node))
    }
  })

  it('and the relayed connection that it is signalled over count once each, at both ends', async () => {
    relayed = await createWebRTC()
    const { dialer, listener } = relayed
    const [dialled, accepted] = [watchConnections(dialer), watchConnections(listener)]
    const before = accepted.length

    const connection: any = await dialUntil(reachable(), async connection => {
      await eventually(() => accepted.includes('inbound webrtc with a descriptor')).catch(() => {})

      return connection != null
    })

    // whatever dials came before the one that succeeded
    expect(new Set(dialled)).to.deep.equal(new Set(['outbound webrtc with a descriptor', 'outbound p2p-circuit without a descriptor']))
    expect(new Set(accepted.slice(before))).to.deep.equal(new Set(['inbound p2p-circuit without a descriptor', 'inbound webrtc with a descriptor']))
    expect(dialled.filter(what => what.includes('p2p-circuit'))).to.have.lengthOf(1)
    expect(accepted.filter(what => what.includes('p2p-circuit'))).to.have.lengthOf(1)

    await eventually(() => connection.streams.length === 0)
    expect(managerOf(dialer).stat().peers.get(`${listener.peerId}`)).to.include({ outboundConnections: 2, fileDescriptors: 1 })
    expect((await connection.newStream(ECHO)).status).to.equal('open')
  })

  for (const [name, at, limit] of [
    ['inbound', 'listener', { inboundStreams: 0 }],
    ['outbound', 'dialer', { outboundStreams: 0 }]
  ] as const) {
    it(`whose ${name} signalling stream is refused gives everything back`, async () => {
      relayed = await createWebRTC()
      const { dialer } = relayed
      await connectRelayed(relayed)
      const nodes = reachable()
      const udp = udpSockets()
      let refusals = 0
      managerOf(relayed[at]).addEventListener('blocked', () => { refusals++ })
      managerOf(relayed[at]).setLimits({ protocols: { [SIGNALLING]: limit } })

      await expect(dialer.dial(nodes.address, { force: true })).to.eventually.be.rejected()

      expect(refusals).to.equal(1)
      await expectAsBefore(nodes)
      await eventually(() => udpSockets() === udp)
    })
  }

  for (const stage of ['webrtc:open-signaling-stream', 'webrtc:send-sdp-offer', 'webrtc:read-sdp-answer', 'webrtc:read-ice-candidates']) {
    it(`that is aborted at ${stage} gives everything back`, async () => {
      relayed = await createWebRTC()
      await connectRelayed(relayed)
      const nodes = reachable()
      const controller = new AbortController()
      const stages: string[] = []

      await expect(nodes.dialer.dial(nodes.address, {
        force: true,
        signal: controller.signal,
        onProgress: event => {
          stages.push(event.type)

          if (event.type === stage) {
            queueMicrotask(() => { controller.abort() })
          }
        }
      })).to.eventually.be.rejected()

      expect(stages).to.include(stage)
      await expectAsBefore(nodes)
    })
  }

  it('while its node stops gives everything back', async () => {
    relayed = await createWebRTC()
    await connectRelayed(relayed)
    const { dialer, address } = reachable()
    const begun = Promise.withResolvers<void>()

    const dial = dialer.dial(address, {
      force: true,
      onProgress: event => {
        if (String(event.type) === 'webrtc:read-sdp-answer') {
          begun.resolve()
        }
      }
    })
    dial.catch(() => {})
    await begun.promise
    await dialer.stop()
    await dial.catch(() => {})

    await expectNothingHeld(managerOf(dialer))
  })
})

describeWebRTC('a dial over WebRTC-direct', () => {
  after(cleanUpWebRTC)

  for (const how of ['is aborted', 'times out', 'is under way when its node stops'] as const) {
    it(`that nobody answers and that ${how} gives everything back`, async () => {
      const listener = await createDirectNode({}, ['/ip4/127.0.0.1/udp/0/webrtc-direct'])
      const address = listener.getMultiaddrs()[0]
      await listener.stop()

      const dialer = await createDirectNode({ options: { connectionManager: how === 'times out' ? { addressDialTimeout: 300 } : {} } })
      const udp = udpSockets()
      const controller = new AbortController()
      const dial = dialer.dial(address, { signal: controller.signal })
      dial.catch(() => {})
      await eventually(() => udpSockets() === udp + 1)
      expect(counts(managerOf(dialer).stat().transient)).to.deep.equal({ outboundConnections: 1, fileDescriptors: 1 })

      if (how === 'is aborted') {
        controller.abort()
      } else if (how === 'is under way when its node stops') {
        await dialer.stop()
      }

      await expect(dial).to.eventually.be.rejected()
      await expectNothingHeld(managerOf(dialer))
      await eventually(() => udpSockets() === udp)
      await dialer.stop()
    })
  }
})
