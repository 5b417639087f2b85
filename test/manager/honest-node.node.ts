/* eslint-disable no-loop-func */

/**
 * @file What ordinary nodes do with the stock services of js-libp2p, on the
 * default limits of a machine with 1 GiB: nothing of it may be refused.
 */

import { autoNAT } from '@libp2p/autonat'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { fetch } from '@libp2p/fetch'
import { gossipsub } from '@libp2p/gossipsub'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { expect } from 'aegir/chai'
import { createNode, eventually, expectNothingHeld, managerOf, stopAll } from '../fixtures/nodes.ts'
import type { ResourceLimitExceededError } from '../../src/index.ts'
import type { TestNode } from '../fixtures/nodes.ts'

const GiB = 2 ** 30
const SPOKES = 12
const TOPIC = 'honest'

describe('ordinary nodes on the default limits of a machine with 1 GiB', function () {
  this.timeout(60_000)

  let nodes: TestNode[]
  let refusals: ResourceLimitExceededError[]

  beforeEach(async () => {
    refusals = []
    nodes = []

    for (let i = 0; i <= SPOKES; i++) {
      const node = await createNode({
        // what such a machine gives by default
        memory: GiB / 8,
        fileDescriptors: 512,
        options: {
          addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
          transports: [tcp(), circuitRelayTransport()],
          connectionManager: { maxParallelDials: 100, reconnectRetries: 0, inboundConnectionThreshold: Infinity, maxIncomingPendingConnections: 100 },
          // the stock one pings all connections at the same moment, and aborts those that fail
          connectionMonitor: { pingInterval: 1_000, pingTimeout: { minTimeout: 10_000 } },
          services: {
            identify: identify(),
            identifyPush: identifyPush(),
            // the monitor pings as well, and js-libp2p lets out one at a time
            ping: ping({ maxInboundStreams: 8, maxOutboundStreams: 8 }),
            fetch: fetch(),
            dcutr: dcutr(),
            autoNAT: autoNAT(),
            relay: circuitRelayServer(),
            dht: kadDHT({ protocol: '/ipfs/kad/1.0.0', peerInfoMapper: passthroughMapper, clientMode: false, allowQueryWithZeroPeers: true }),
            pubsub: gossipsub({ allowPublishToZeroTopicPeers: true })
          }
        }
      })
      managerOf(node).addEventListener('blocked', event => { refusals.push(event.detail) })
      nodes.push(node)
    }
  })

  afterEach(async () => {
    await stopAll(...nodes)
  })

  it('connect, identify, ping, find each other and talk without one refusal, and leave nothing behind', async () => {
    const [hub, ...spokes] = nodes
    const services = (node: TestNode): any => node.services
    const received = new Map<TestNode, number>()

    for (const node of nodes) {
      services(node).pubsub.addEventListener('message', () => {
        received.set(node, (received.get(node) ?? 0) + 1)
      })
      services(node).pubsub.subscribe(TOPIC)
    }

    // all at once, as after a restart of the hub
    await Promise.all(spokes.map(async spoke => spoke.dial(hub.getMultiaddrs())))
    await eventually(() => hub.getConnections().length >= SPOKES)

    // and from the hub too
    await Promise.all(spokes.map(async spoke => services(hub).ping.ping(spoke.peerId)))
    await Promise.all(spokes.map(async spoke => services(spoke).ping.ping(hub.peerId)))

    await eventually(() => services(hub).pubsub.getSubscribers(TOPIC).length === SPOKES)
    await eventually(async () => {
      await services(hub).pubsub.publish(TOPIC, Uint8Array.from([received.size]))

      return spokes.every(spoke => received.has(spoke))
    })

    // the table of the hub has them all by now or soon, a walk finds some of them
    const found = new Set<string>()

    for await (const event of services(spokes[0]).dht.getClosestPeers(spokes[1].peerId.toMultihash().bytes, { signal: AbortSignal.timeout(20_000) })) {
      if (event.name === 'PEER_RESPONSE') {
        event.closer.forEach((peer: any) => { found.add(peer.id.toString()) })
      }
    }

    expect(found.size).to.be.above(0)
    // a round of pings to all connections at once, and a node that moves house
    const rtts = (): Array<number | undefined> => hub.getConnections().map(connection => connection.rtt)
    await eventually(() => rtts().every(rtt => rtt != null))
    await services(hub).identifyPush.push()

    expect(refusals.map(({ message }) => message)).to.deep.equal([])
    expect(hub.getConnections().length).to.be.at.least(SPOKES)

    await stopAll(...nodes)
    await Promise.all(nodes.map(async node => expectNothingHeld(managerOf(node))))
    expect(refusals.map(({ message }) => message)).to.deep.equal([])
  })
})
