/**
 * @file js-libp2p's compliance suite for transports, on nodes with the hooked
 * upgrader and transport manager, and the default limits of a small machine.
 */

import suite from '@libp2p/interface-compliance-tests/transport'
import { memory } from '@libp2p/memory'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { resourceManager } from '../../src/index.ts'
import { describeBothWays } from '../fixtures/both-ways.ts'
import { expectNothingHeld } from '../fixtures/nodes.ts'
import type { DefaultResourceManager, StreamManagementScope } from '../../src/index.ts'
import type { Transport } from '@libp2p/interface'
import type { TransportTestFixtures } from '@libp2p/interface-compliance-tests/transport'
import type { Libp2pOptions } from 'libp2p'

interface TransportCase {
  transports(): NonNullable<Libp2pOptions['transports']>
  listen: string[]
  protocol: string
}

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
  }
}

function fixtures ({ transports, listen, protocol }: TransportCase, services: Libp2pOptions['services'] = {}): TransportTestFixtures {
  const matches = (address: any): boolean => address.getComponents().some(({ name }: any) => name === protocol)
  const matcher: any = { matches, exactMatch: matches }

  const dialer: any = {
    transports: transports(),
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services
  }

  return {
    dialer,
    listener: { ...dialer, addresses: { listen } },
    dialMultiaddrMatcher: matcher,
    listenMultiaddrMatcher: matcher
  }
}

for (const [name, transportCase] of Object.entries(CASES)) {
  describeBothWays(`compliance of ${name}`, {
    stock: () => {
      suite({
        setup: async () => fixtures(transportCase),
        teardown: async () => {}
      })
    },

    managed: () => {
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

      after(() => {
        // the suite sends two thousand messages over a stream each
        expect(streams).to.be.at.least(2 * 2_000)
      })

      suite({
        setup: async () => fixtures(transportCase, { resourceManager: createManager }),
        teardown: async () => {
          expect(managers).to.have.lengthOf(2)

          for (const manager of managers.splice(0)) {
            await expectNothingHeld(manager)
          }

          expect(refusals).to.deep.equal([])
        }
      })
    }
  })
}
