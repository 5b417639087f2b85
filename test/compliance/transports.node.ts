/**
 * @file js-libp2p's compliance suite for transports, on nodes with the hooked
 * upgrader and transport manager, and the default limits of a small machine.
 */

import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import suite from '@libp2p/interface-compliance-tests/transport'
import { memory } from '@libp2p/memory'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { resourceManager } from '../../src/index.ts'
import { describeBothWays } from '../fixtures/both-ways.ts'
import { expectNothingHeld, stopAll } from '../fixtures/nodes.ts'
import type { DefaultResourceManager, StreamManagementScope } from '../../src/index.ts'
import type { Libp2p } from '@libp2p/interface'
import type { TransportTestFixtures } from '@libp2p/interface-compliance-tests/transport'
import type { Libp2pOptions } from 'libp2p'

interface TransportCase {
  transports(): NonNullable<Libp2pOptions['transports']>
  protocol: string
  /** Two addresses */
  listen?: string[]
  /** Listens at two addresses of a relay instead */
  relayed?: boolean
  exclude?: string[]
}

/** Sends two thousand messages, over a stream each */
const MANY_STREAMS = 'should handle many small writes'

const CASES: Record<string, TransportCase> = {
  TCP: {
    transports: () => [tcp()],
    listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0'],
    protocol: 'tcp'
  },
  WebSockets: {
    transports: () => [webSockets()],
    listen: ['/ip4/127.0.0.1/tcp/0/ws', '/ip4/127.0.0.1/tcp/0/ws'],
    protocol: 'ws'
  },
  memory: {
    transports: () => [memory()],
    listen: ['/memory/compliance-1', '/memory/compliance-2'],
    protocol: 'memory'
  },
  'circuit relay': {
    transports: () => [circuitRelayTransport(), tcp()],
    protocol: 'p2p-circuit',
    relayed: true
  },
  'WebRTC-direct': {
    transports: () => [webRTCDirect()],
    listen: ['/ip4/127.0.0.1/udp/0/webrtc-direct', '/ip4/127.0.0.1/udp/0/webrtc-direct'],
    protocol: 'webrtc-direct',
    // passes, but two thousand data channels keep the process alive for minutes
    // after their nodes have stopped, without a resource manager just the same
    exclude: [MANY_STREAMS]
  }
}

type Services = () => Libp2pOptions<any>['services']

async function fixtures ({ transports, listen = [], protocol, relayed }: TransportCase, relays: Libp2p[], services: Services = () => ({})): Promise<TransportTestFixtures> {
  const matches = (address: any): boolean => address.getComponents().some(({ name }: any) => name === protocol)
  const matcher: any = { matches, exactMatch: matches }

  const dialer: any = {
    transports: transports(),
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    // reservations need it. With it, and without a resource manager, nodes over the
    // memory transport abort what a remote sends before the stream is handed out.
    services: { ...(relayed === true ? { identify: identify() } : {}), ...services() }
  }

  return {
    dialer,
    listener: {
      ...dialer,
      addresses: { listen: [...listen, ...relays.flatMap(relay => relay.getMultiaddrs().map(address => `${address}/p2p-circuit`))] }
    },
    dialMultiaddrMatcher: matcher,
    listenMultiaddrMatcher: matcher
  }
}

/**
 * @returns the relay, if there is to be one
 */
async function startRelays ({ relayed }: TransportCase, services: Services = () => ({})): Promise<Libp2p[]> {
  if (relayed !== true) {
    return []
  }

  return [await createLibp2p<any>({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    // relayed connections are limited otherwise, and carry no ordinary streams
    services: { identify: identify(), relay: circuitRelayServer({ reservations: { applyDefaultLimit: false } }), ...services() }
  })]
}

for (const [name, transportCase] of Object.entries(CASES)) {
  describeBothWays(`compliance of ${name}`, {
    exclude: transportCase.exclude,

    stock: () => {
      const relays: Libp2p[] = []

      suite({
        setup: async () => {
          relays.push(...await startRelays(transportCase))

          return fixtures(transportCase, relays)
        },
        teardown: async () => {
          await stopAll(...relays.splice(0))
        }
      })
    },

    managed: () => {
      const relays: Libp2p[] = []
      const managers: DefaultResourceManager[] = []
      const refusals: string[] = []
      let streams = 0

      const createManager = (components: any): DefaultResourceManager => {
        const manager = resourceManager({ memory: 2 ** 30 / 8, fileDescriptors: 512 })(components) as DefaultResourceManager
        const openStream = manager.openStream.bind(manager)

        manager.addEventListener('blocked', event => { refusals.push(event.detail.message) })
        manager.openStream = (peer, direction): StreamManagementScope => {
          streams++

          return openStream(peer, direction)
        }
        managers.push(manager)

        return manager
      }
      const services: Services = () => ({ resourceManager: createManager })

      after(() => {
        expect(streams).to.be.at.least(transportCase.exclude?.includes(MANY_STREAMS) === true ? 20 : 2 * 2_000)
      })

      suite({
        setup: async () => {
          relays.push(...await startRelays(transportCase, services))

          return fixtures(transportCase, relays, services)
        },
        teardown: async () => {
          expect(managers).to.have.lengthOf(2 + relays.length)
          await stopAll(...relays.splice(0))

          for (const manager of managers.splice(0)) {
            await expectNothingHeld(manager)
          }

          expect(refusals).to.deep.equal([])
        }
      })
    }
  })
}
