/**
 * @file The stock services of js-libp2p: the names of their scopes, and how to
 * recognise them and their protocols.
 */

import { serviceCapabilities } from '@libp2p/interface'

interface StockService {
  /** What go-libp2p calls it, or what it would */
  name: string
  /** What its components call themselves */
  components: string[]
  /** With the stock prefix, or what they begin with */
  protocols: string[]
}

/**
 * Protocols are those with the stock prefix, since an application may have a ping
 * of its own. Echo is not among them for the same reason: every other
 * application has one, of its own.
 */
const STOCK_SERVICES: readonly StockService[] = [
  {
    name: 'libp2p.identify',
    components: ['@libp2p/identify', '@libp2p/identify-push'],
    protocols: ['/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0']
  },
  {
    name: 'libp2p.ping',
    components: ['@libp2p/ping'],
    protocols: ['/ipfs/ping/1.0.0']
  },
  {
    name: 'libp2p.fetch',
    components: ['@libp2p/fetch'],
    protocols: ['/libp2p/fetch/0.0.1']
  },
  {
    name: 'libp2p.autonat',
    components: ['@libp2p/autonat'],
    protocols: ['/libp2p/autonat/1.0.0']
  },
  {
    name: 'libp2p.autonatv2',
    components: ['@libp2p/autonat-v2'],
    protocols: ['/libp2p/autonat/2/dial-request', '/libp2p/autonat/2/dial-back']
  },
  {
    name: 'libp2p.holepunch',
    components: ['@libp2p/dcutr'],
    protocols: ['/libp2p/dcutr']
  },
  {
    name: 'libp2p.relay/v2',
    components: ['@libp2p/circuit-relay-v2-server', '@libp2p/circuit-relay-v2-transport'],
    protocols: ['/libp2p/circuit/relay/0.2.0/hop', '/libp2p/circuit/relay/0.2.0/stop']
  },
  {
    name: 'libp2p.kad',
    components: ['@libp2p/kad-dht'],
    protocols: ['/ipfs/kad/1.0.0', '/ipfs/lan/kad/1.0.0']
  },
  {
    name: 'libp2p.pubsub',
    components: ['@libp2p/gossipsub', '@libp2p/floodsub'],
    protocols: ['/meshsub/', '/floodsub/']
  },
  {
    name: 'libp2p.perf',
    components: ['@libp2p/perf'],
    protocols: ['/perf/1.0.0']
  },
  {
    name: 'libp2p.webrtc',
    components: ['@libp2p/webrtc'],
    protocols: ['/webrtc-signaling/0.0.1']
  }
]

const byProtocol = new Map<string, string>()
const byPrefix: Array<[string, string]> = []
const byComponent = new Map<string, string>()

for (const { name, components, protocols } of STOCK_SERVICES) {
  for (const component of components) {
    byComponent.set(component, name)
  }

  for (const protocol of protocols) {
    if (protocol.endsWith('/')) {
      byPrefix.push([protocol, name])
    } else {
      byProtocol.set(protocol, name)
    }
  }
}

export const STOCK_NAMES: readonly string[] = STOCK_SERVICES.map(({ name }) => name)

/**
 * The stock service that a protocol belongs to
 */
export function stockServiceOf (protocol: string): string | undefined {
  return byProtocol.get(protocol) ?? byPrefix.find(([prefix]) => protocol.startsWith(prefix))?.[1]
}

/**
 * The stock service that a component of a node is, whatever the prefix of its
 * protocols. All but identify have a tag, which tells versions apart; what they
 * are capable of does not.
 */
export function stockService (component: any): string | undefined {
  const tag = component?.[Symbol.toStringTag]

  if (typeof tag === 'string') {
    return byComponent.get(tag)
  }

  const capabilities = component?.[serviceCapabilities]

  if (Array.isArray(capabilities)) {
    return byComponent.get(capabilities.find(name => byComponent.has(name)))
  }
}
