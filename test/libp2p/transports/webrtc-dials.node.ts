/* eslint-disable no-loop-func */

import dgram from 'node:dgram'
import { once } from 'node:events'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { eventually, expectNothingHeld, managerOf } from '../../fixtures/nodes.ts'
import { ECHO } from '../../fixtures/pair.ts'
import { PEER } from '../../fixtures/peers.ts'
import { connectRelayed, counts, stopRelayed } from '../../fixtures/relay.ts'
import { connectWebRTC, createDirectNode, createWebRTC, describeWebRTC, expectAsBefore, reachableThrough, udpSockets } from '../../fixtures/webrtc.ts'
import type { TestNode } from '../../fixtures/nodes.ts'
import type { Relayed } from '../../fixtures/relay.ts'

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

    const { dialer: { connection } } = await connectWebRTC(reachableThrough(relayed))

    // whatever dials came before the one that succeeded
    expect(new Set(dialled)).to.deep.equal(new Set(['outbound webrtc with a descriptor', 'outbound p2p-circuit without a descriptor']))
    expect(new Set(accepted.slice(before))).to.deep.equal(new Set(['inbound p2p-circuit without a descriptor', 'inbound webrtc with a descriptor']))
    expect(dialled.filter(what => what.includes('p2p-circuit'))).to.have.lengthOf(1)
    expect(accepted.filter(what => what.includes('p2p-circuit'))).to.have.lengthOf(1)

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
      const nodes = reachableThrough(relayed)
      let refusals = 0
      managerOf(relayed[at]).addEventListener('blocked', () => { refusals++ })
      managerOf(relayed[at]).setLimits({ protocols: { [SIGNALLING]: limit } })

      await expect(dialer.dial(nodes.address, { force: true })).to.eventually.be.rejected()

      expect(refusals).to.equal(1)
      await expectAsBefore(nodes)
    })
  }

  for (const stage of ['webrtc:open-signaling-stream', 'webrtc:send-sdp-offer', 'webrtc:read-sdp-answer', 'webrtc:read-ice-candidates']) {
    it(`that is aborted at ${stage} gives everything back`, async () => {
      relayed = await createWebRTC()
      await connectRelayed(relayed)
      const nodes = reachableThrough(relayed)
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
      // a listener that has accepted already is not told
      await expectAsBefore(nodes, { abort: true })
    })
  }

  it('while its node stops gives everything back', async () => {
    relayed = await createWebRTC()
    await connectRelayed(relayed)
    const { dialer, address } = reachableThrough(relayed)
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

/** Of a certificate that nobody has */
const CERTHASH = 'uEiAE-NwsnvnhUkJtlJaOeoGYB5cUnTIuzwiMj4U5hh_dbA'

describeWebRTC('a dial over WebRTC-direct', () => {
  // not the port of a node that has stopped: who dials that in the same process
  // crashes it, with and without a resource manager
  let silent: dgram.Socket

  beforeEach(async () => {
    silent = dgram.createSocket('udp4')
    silent.bind(0, '127.0.0.1')
    await once(silent, 'listening')
  })

  afterEach(() => {
    silent.close()
  })

  for (const how of ['is aborted', 'times out', 'is under way when its node stops'] as const) {
    it(`that nobody answers and that ${how} gives everything back`, async () => {
      const dialer = await createDirectNode({ options: { connectionManager: how === 'times out' ? { addressDialTimeout: 500 } : {} } })
      const udp = udpSockets()
      const controller = new AbortController()
      const dial = dialer.dial(multiaddr(`/ip4/127.0.0.1/udp/${silent.address().port}/webrtc-direct/certhash/${CERTHASH}/p2p/${PEER}`), { signal: controller.signal })
      dial.catch(() => {})
      await once(silent, 'message')
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
