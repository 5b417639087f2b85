/**
 * @file The streams of every stock service of js-libp2p are in the scope of that
 * service by themselves, both ways, with stock and other protocols; and what of
 * it holds with libp2p's own createLibp2p.
 */

import { autoNAT } from '@libp2p/autonat'
import { autoNATv2 } from '@libp2p/autonat-v2'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { echo } from '@libp2p/echo'
import { fetch } from '@libp2p/fetch'
import { gossipsub } from '@libp2p/gossipsub'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webRTC } from '@libp2p/webrtc'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { eventually, expectNothingHeld, managerOf, stopAll } from '../fixtures/nodes.ts'
import { perf } from '../fixtures/own-services.ts'
import { connectBoth, WAYS, watchStreams } from '../fixtures/services.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { Connection, Stream } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'

interface Case {
  /** What it adds to a node */
  options: Libp2pOptions<any>
  /** Which service each protocol is in, under createLibp2p */
  services: Record<string, string>
  /** Which, with libp2p's own; the same if left out */
  plain?: Record<string, string | undefined>
  /** What the service itself does */
  work?(a: any, b: any): Promise<void>
  /** The protocols that this opens from a to b */
  worksWith?: string[]
}

const CUSTOM = { protocolPrefix: 'custom' }

/** With the options of a DHT that likes loopback */
const DHT = { peerInfoMapper: passthroughMapper, clientMode: false, allowQueryWithZeroPeers: true }

const walk = async (a: any, b: any): Promise<void> => {
  await eventually(() => a.services.dht.routingTable.size > 0)

  for await (const event of a.services.dht.getClosestPeers(b.peerId.toMultihash().bytes, { signal: AbortSignal.timeout(10_000) })) {
    if (event.name === 'PEER_RESPONSE') {
      break
    }
  }
}

const lookUp = async (a: any, b: any): Promise<void> => {
  b.services.fetch.registerLookupFunction('/key', async () => Uint8Array.from([1]))
  expect(await a.services.fetch.fetch(b.peerId, '/key')).to.deep.equal(Uint8Array.from([1]))
}

const push = async (a: any, b: any, protocol: string): Promise<void> => {
  await eventually(async () => (await a.peerStore.get(b.peerId)).protocols.includes(protocol))
  await a.services.push.push()
}

const CASES: Record<string, Case> = {
  identify: {
    options: { services: { identify: identify() } },
    services: { '/ipfs/id/1.0.0': 'libp2p.identify' },
    work: async () => {},
    worksWith: ['/ipfs/id/1.0.0']
  },
  'identify of another prefix': {
    options: { services: { who: identify(CUSTOM) } },
    services: { '/custom/id/1.0.0': 'libp2p.identify' },
    plain: { '/custom/id/1.0.0': undefined },
    work: async () => {},
    worksWith: ['/custom/id/1.0.0']
  },
  'identify push': {
    options: { services: { identify: identify(), push: identifyPush() } },
    services: { '/ipfs/id/push/1.0.0': 'libp2p.identify' },
    work: async (a, b) => { await push(a, b, '/ipfs/id/push/1.0.0') },
    worksWith: ['/ipfs/id/push/1.0.0']
  },
  'identify push of another prefix': {
    options: { services: { identify: identify(CUSTOM), push: identifyPush(CUSTOM) } },
    services: { '/custom/id/push/1.0.0': 'libp2p.identify' },
    plain: { '/custom/id/push/1.0.0': undefined },
    work: async (a, b) => { await push(a, b, '/custom/id/push/1.0.0') },
    worksWith: ['/custom/id/push/1.0.0']
  },
  ping: {
    options: { services: { ping: ping() } },
    services: { '/ipfs/ping/1.0.0': 'libp2p.ping' },
    work: async (a, b) => { await a.services.ping.ping(b.peerId) },
    worksWith: ['/ipfs/ping/1.0.0']
  },
  'ping of another prefix': {
    options: { services: { pong: ping(CUSTOM) }, connectionMonitor: CUSTOM },
    services: { '/custom/ping/1.0.0': 'libp2p.ping' },
    plain: { '/custom/ping/1.0.0': undefined },
    work: async (a, b) => { await a.services.pong.ping(b.peerId) },
    worksWith: ['/custom/ping/1.0.0']
  },
  fetch: {
    options: { services: { fetch: fetch() } },
    services: { '/libp2p/fetch/0.0.1': 'libp2p.fetch' },
    work: lookUp,
    worksWith: ['/libp2p/fetch/0.0.1']
  },
  'fetch of another prefix': {
    options: { services: { fetch: fetch(CUSTOM) } },
    services: { '/custom/fetch/0.0.1': 'libp2p.fetch' },
    plain: { '/custom/fetch/0.0.1': undefined },
    work: lookUp,
    worksWith: ['/custom/fetch/0.0.1']
  },
  'kad-dht': {
    options: { services: { identify: identify(), dht: kadDHT(DHT) } },
    services: { '/ipfs/kad/1.0.0': 'libp2p.kad' },
    work: walk,
    worksWith: ['/ipfs/kad/1.0.0']
  },
  'kad-dht of another protocol': {
    options: { services: { identify: identify(), dht: kadDHT({ ...DHT, protocol: '/custom/kad/1.0.0' }) } },
    services: { '/custom/kad/1.0.0': 'libp2p.kad' },
    plain: { '/custom/kad/1.0.0': undefined },
    work: walk,
    worksWith: ['/custom/kad/1.0.0']
  },
  gossipsub: {
    options: { services: { identify: identify(), pubsub: gossipsub() } },
    services: {
      '/floodsub/1.0.0': 'libp2p.pubsub',
      '/meshsub/1.0.0': 'libp2p.pubsub',
      '/meshsub/1.1.0': 'libp2p.pubsub',
      '/meshsub/1.2.0': 'libp2p.pubsub'
    },
    work: async (a, b) => {
      b.services.pubsub.subscribe('topic')
      await eventually(() => a.services.pubsub.getSubscribers('topic').length === 1)
    }
  },
  'gossipsub of another protocol': {
    options: {
      services: {
        identify: identify(),
        pubsub: components => {
          const service: any = gossipsub()(components)
          service.protocols = ['/custom/1.0.0']

          return service
        }
      }
    },
    services: { '/custom/1.0.0': 'libp2p.pubsub' },
    plain: { '/custom/1.0.0': undefined },
    work: async (a, b) => {
      b.services.pubsub.subscribe('topic')
      await eventually(() => a.services.pubsub.getSubscribers('topic').length === 1)
    },
    worksWith: ['/custom/1.0.0']
  },
  autonat: {
    options: { services: { identify: identify(), nat: autoNAT() } },
    services: { '/libp2p/autonat/1.0.0': 'libp2p.autonat' }
  },
  'autonat of another prefix': {
    options: { services: { identify: identify(), nat: autoNAT(CUSTOM) } },
    services: { '/custom/autonat/1.0.0': 'libp2p.autonat' },
    plain: { '/custom/autonat/1.0.0': undefined }
  },
  'autonat v2': {
    options: { services: { identify: identify(), nat: autoNATv2() } },
    services: {
      '/libp2p/autonat/2/dial-request': 'libp2p.autonatv2',
      '/libp2p/autonat/2/dial-back': 'libp2p.autonatv2'
    }
  },
  'autonat v2 of another prefix': {
    options: { services: { identify: identify(), nat: autoNATv2(CUSTOM) } },
    services: {
      '/custom/autonat/2/dial-request': 'libp2p.autonatv2',
      '/custom/autonat/2/dial-back': 'libp2p.autonatv2'
    },
    plain: {
      '/custom/autonat/2/dial-request': undefined,
      '/custom/autonat/2/dial-back': undefined
    }
  },
  dcutr: {
    options: { services: { identify: identify(), punch: dcutr() } },
    services: { '/libp2p/dcutr': 'libp2p.holepunch' }
  },
  'circuit relay': {
    options: { transports: [tcp(), circuitRelayTransport()], services: { identify: identify(), relay: circuitRelayServer() } },
    services: {
      '/libp2p/circuit/relay/0.2.0/hop': 'libp2p.relay/v2',
      '/libp2p/circuit/relay/0.2.0/stop': 'libp2p.relay/v2'
    }
  },
  perf: {
    options: { services: { speed: perf() } },
    services: { '/perf/1.0.0': 'libp2p.perf' },
    work: async (a, b) => { await a.services.speed.run(b.peerId) },
    worksWith: ['/perf/1.0.0']
  },
  echo: {
    options: { services: { echo: echo() } },
    services: { '/echo/1.0.0': 'echo' },
    plain: { '/echo/1.0.0': undefined },
    work: async (a, b) => { await a.services.echo.echo(b.peerId, Uint8Array.from([1])) },
    worksWith: ['/echo/1.0.0']
  },
  'echo of another prefix': {
    options: { services: { shout: echo(CUSTOM) } },
    services: { '/custom/echo/1.0.0': 'shout' },
    plain: { '/custom/echo/1.0.0': undefined },
    work: async (a, b) => { await a.services.shout.echo(b.peerId, Uint8Array.from([1])) },
    worksWith: ['/custom/echo/1.0.0']
  },
  'the signalling of WebRTC': {
    options: { transports: [tcp(), circuitRelayTransport(), webRTC()], services: { identify: identify() } },
    services: { '/webrtc-signaling/0.0.1': 'libp2p.webrtc' }
  }
}

for (const [way, create] of Object.entries(WAYS)) {
  describe(`the streams of stock services, ${way}`, () => {
    let nodes: TestNode[]

    beforeEach(() => {
      nodes = []
    })

    afterEach(async () => {
      await stopAll(...nodes)
    })

    async function createAll (...options: Array<Libp2pOptions<any>>): Promise<TestNode[]> {
      for (const each of options) {
        nodes.push(await create(each))
      }

      return nodes
    }

    for (const [name, { options, services, plain, work, worksWith = [] }] of Object.entries(CASES)) {
      it(`are in the scope of ${name}`, async () => {
        const [a, b] = await createAll(options, options)
        const expected = Object.entries(way === 'createLibp2p' ? services : { ...services, ...plain })
        const seen = [a, b].map(node => watchStreams(node, Object.keys(services)))
        const connections = await connectBoth(a, b)

        await work?.(a, b)

        for (const protocol of worksWith) {
          const service = Object.fromEntries(expected)[protocol]
          await eventually(() => seen[0].has(`outbound ${protocol} in ${service}`) && seen[1].has(`inbound ${protocol} in ${service}`))
        }

        const streams: Stream[] = []

        for (const connection of connections) {
          for (const [protocol] of expected) {
            streams.push(await connection.newStream(protocol))
          }
        }

        const all = expected.flatMap(([protocol, service]) => ['inbound', 'outbound'].map(direction => `${direction} ${protocol} in ${service}`))
        await eventually(() => seen.every(({ size }) => size >= all.length))
        streams.forEach(stream => { stream.abort(new Error('Done')) })

        for (const each of seen) {
          expect([...each].sort()).to.deep.equal([...all].sort())
        }

        await stopAll(a, b)
        await expectNothingHeld(managerOf(a))
        await expectNothingHeld(managerOf(b))
      })
    }

    for (const protocol of ['/ipfs/kad/1.0.0', '/custom/kad/1.0.0']) {
      const service = way === 'createLibp2p' || protocol.startsWith('/ipfs') ? 'libp2p.kad' : undefined

      it(`are in the scope of kad-dht while it is a client, changes sides and back, with ${protocol}`, async () => {
        const options = (clientMode: boolean): Libp2pOptions<any> => ({ services: { identify: identify(), dht: kadDHT({ ...DHT, protocol, clientMode }) } })
        const [client, server]: any[] = await createAll(options(true), options(false))
        const seen = [client, server].map(node => watchStreams(node, [protocol]))
        const [, toClient] = await connectBoth(client, server)

        await walk(client, server)
        expect([...seen[0]]).to.deep.equal([`outbound ${protocol} in ${service}`])
        expect([...seen[1]]).to.deep.equal([`inbound ${protocol} in ${service}`])

        await client.services.dht.setMode('server')
        const stream = await toClient.newStream(protocol)
        await eventually(() => seen[0].has(`inbound ${protocol} in ${service}`))
        stream.abort(new Error('Done'))

        await client.services.dht.setMode('client')
        seen.forEach(each => { each.clear() })
        await walk(client, server)
        expect([...seen[0]]).to.deep.equal([`outbound ${protocol} in ${service}`])
      })
    }

    it('are in the scope of circuit relay, over a real relay, and those of dcutr in its own', async () => {
      const HOP = '/libp2p/circuit/relay/0.2.0/hop'
      const STOP = '/libp2p/circuit/relay/0.2.0/stop'
      const DCUTR = '/libp2p/dcutr'
      const client = (listen: string[]): Libp2pOptions<any> => ({
        addresses: { listen },
        transports: [tcp(), circuitRelayTransport()],
        services: { identify: identify(), dcutr: dcutr() }
      })
      const [relay, a] = await createAll({ services: { identify: identify(), relay: circuitRelayServer() } }, client([]))
      const [relayAddress] = relay.getMultiaddrs()
      const b = await create(client([`${relayAddress}/p2p-circuit`]))
      nodes.push(b)
      const [seenA, seenB, seenRelay] = [a, b, relay].map(node => watchStreams(node, [HOP, STOP, DCUTR]))

      await eventually(() => b.getMultiaddrs().length > 0)
      await a.dial(multiaddr(`${relayAddress}/p2p-circuit/p2p/${b.peerId}`))
      await eventually(() => seenA.has(`inbound ${DCUTR} in libp2p.holepunch`) && seenB.has(`outbound ${DCUTR} in libp2p.holepunch`))

      expect([...seenA].sort()).to.deep.equal([`inbound ${DCUTR} in libp2p.holepunch`, `outbound ${HOP} in libp2p.relay/v2`])
      // its reservation was made before it was watched
      expect([...seenB].sort()).to.deep.equal([`inbound ${STOP} in libp2p.relay/v2`, `outbound ${DCUTR} in libp2p.holepunch`])
      expect([...seenRelay].sort()).to.deep.equal([`inbound ${HOP} in libp2p.relay/v2`, `outbound ${STOP} in libp2p.relay/v2`])
      expect(managerOf(b).stat().services.get('libp2p.relay/v2')?.inboundStreams).to.equal(1)
    })

    it('are in the scope of ping if the connection monitor opens them', async () => {
      const monitor = { pingInterval: 100 }
      const [a, b] = await createAll({ connectionMonitor: monitor }, {})
      const seen = watchStreams(a, ['/ipfs/ping/1.0.0'])
      await connectBoth(a, b)

      await eventually(() => seen.size > 0)
      expect([...seen]).to.deep.equal(['outbound /ipfs/ping/1.0.0 in libp2p.ping'])
    })

    if (way === 'createLibp2p') {
      it('are in the scope of ping if the connection monitor opens them with the prefix of the service', async () => {
        const options: Libp2pOptions<any> = { connectionMonitor: { ...CUSTOM, pingInterval: 100 }, services: { pong: ping(CUSTOM) } }
        const [a, b]: TestNode[] = await createAll(options, options)
        const seen = watchStreams(a, ['/custom/ping/1.0.0'])
        const connections: Connection[] = await connectBoth(a, b)

        await eventually(() => seen.has('outbound /custom/ping/1.0.0 in libp2p.ping'))
        expect(connections[0].status).to.equal('open')
        expect([...seen].every(each => each.endsWith('in libp2p.ping'))).to.be.true()
      })
    }
  })
}
