import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../src/index.ts'
import { createNode, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import { connectPair, ECHO } from '../fixtures/pair.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import type { ConnectionManagementScope, DefaultResourceManager, Limits, ResourceLimitExceededError, ResourceManagerInit, StreamManagementScope } from '../../src/index.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')
const RELAYED = multiaddr(`/ip4/192.0.2.9/tcp/4001/p2p/${OTHER_PEER}/p2p-circuit`)
const ALLOWLISTED = multiaddr('/ip4/198.51.100.1/tcp/4001')

interface Case {
  limits: Limits
  init?: ResourceManagerInit
  /** What is refused last, all before is let through */
  run(manager: DefaultResourceManager): void
  /** Kind of the limit and its resource */
  by: string
  direction?: 'inbound' | 'outbound'
  peer?: PeerId
  endpoint?: Multiaddr
}

function connect (manager: DefaultResourceManager, endpoint: Multiaddr = ENDPOINT): ConnectionManagementScope {
  const scope = manager.openConnection('inbound', true, endpoint)
  scope.setPeer(PEER)

  return scope
}

function openStream (manager: DefaultResourceManager, protocol?: string, service?: string): StreamManagementScope {
  const scope = manager.openStream(PEER, 'inbound')

  if (protocol !== undefined) {
    scope.setProtocol(protocol)
  }

  if (service !== undefined) {
    scope.setService(service)
  }

  return scope
}

const open = (manager: DefaultResourceManager): void => { manager.openConnection('inbound', true, ENDPOINT) }
const dial = (manager: DefaultResourceManager): void => { manager.openConnection('outbound', true, RELAYED) }
const NO_RATES: Limits = { rates: { inboundStreamsOfPeer: { default: { perSecond: 0, burst: 0 } }, inboundStreamsOfProtocol: { default: { perSecond: 0, burst: 0 } } } }

const ofConnection = { direction: 'inbound', endpoint: ENDPOINT } as const
const ofPeer = { direction: 'inbound', endpoint: ENDPOINT, peer: PEER } as const
const ofStream = { direction: 'inbound', peer: PEER } as const

const CASES: Record<string, Case> = {
  'a connection, by its address': { limits: { subnets: { ipv4: { prefixes: [{ prefixLength: 32, connections: 0 }] } } }, run: open, by: 'subnet.connections', ...ofConnection },
  'a connection, by the rate of its address': { limits: { rates: { connections: { ipv4: { prefixes: [{ prefixLength: 32, perSecond: 0, burst: 0 }] } } } }, run: open, by: 'rate.connectionsPerSecond', ...ofConnection },
  'a connection, by the system': { limits: { system: { inboundConnections: 0 } }, run: open, by: 'system.inboundConnections', ...ofConnection },
  'a connection, by file descriptors': { limits: { system: { fileDescriptors: 0 } }, run: open, by: 'system.fileDescriptors', ...ofConnection },
  'a connection, by the transient scope': { limits: { transient: { connections: 0 } }, run: open, by: 'transient.connections', ...ofConnection },
  'a connection, by its own limit': { limits: { connection: { connections: 0 } }, run: open, by: 'connection.connections', ...ofConnection },
  'a dial, by the system': { limits: { system: { outboundConnections: 0 } }, run: dial, by: 'system.outboundConnections', direction: 'outbound', endpoint: RELAYED },
  'a connection without an address': { limits: { system: { connections: 0 } }, run: manager => { manager.openConnection('inbound', true) }, by: 'system.connections', direction: 'inbound' },
  'an allowlisted connection, by the last scope that could have had it': {
    limits: { system: { connections: 0 }, allowlistedSystem: { connections: 0 } },
    init: { allowlist: ['/ip4/198.51.100.1'] },
    run: manager => { manager.openConnection('inbound', true, ALLOWLISTED) },
    by: 'allowlistedSystem.connections',
    direction: 'inbound',
    endpoint: ALLOWLISTED
  },
  'a peer, by its scope': { limits: { peerDefault: { connections: 0 } }, run: connect, by: 'peer.connections', ...ofPeer },
  'a peer, by its memory': {
    limits: { peerDefault: { memory: 9 } },
    run: manager => {
      const scope = manager.openConnection('inbound', true, ENDPOINT)
      scope.reserveMemory(10)
      scope.setPeer(PEER)
    },
    by: 'peer.memory',
    peer: PEER,
    endpoint: ENDPOINT
  },
  'a peer, by the system, at an address that is allowlisted for another': {
    limits: { system: { connections: 0 }, allowlistedSystem: { connections: 5 } },
    init: { allowlist: [`/ip4/198.51.100.1/p2p/${OTHER_PEER}`] },
    run: manager => { connect(manager, ALLOWLISTED) },
    by: 'system.connections',
    direction: 'inbound',
    peer: PEER,
    endpoint: ALLOWLISTED
  },
  'a stream, by its peer': { limits: { peerDefault: { streams: 0 } }, run: openStream, by: 'peer.streams', ...ofStream },
  'a stream, by the transient scope': { limits: { transient: { inboundStreams: 0 } }, run: openStream, by: 'transient.inboundStreams', ...ofStream },
  'a stream, by the system': { limits: { system: { streams: 0 } }, run: openStream, by: 'system.streams', ...ofStream },
  'a stream, by its own limit': { limits: { stream: { inboundStreams: 0 } }, run: openStream, by: 'stream.inboundStreams', ...ofStream },
  'a stream, by the rate of its peer': { limits: { rates: { inboundStreamsOfPeer: NO_RATES.rates?.inboundStreamsOfPeer } }, run: openStream, by: 'rate.inboundStreamsPerSecond', ...ofStream },
  'an outbound stream': { limits: { peerDefault: { outboundStreams: 0 } }, run: manager => { manager.openStream(PEER, 'outbound') }, by: 'peer.outboundStreams', direction: 'outbound', peer: PEER },
  'a protocol': { limits: { protocols: { '/p/1': { streams: 0 } } }, run: manager => { openStream(manager, '/p/1') }, by: 'protocol.streams', ...ofStream },
  'a protocol of a peer': { limits: { protocolPeerDefault: { inboundStreams: 0 } }, run: manager => { openStream(manager, '/p/1') }, by: 'protocolPeer.inboundStreams', ...ofStream },
  'a protocol, by its rate': { limits: { rates: { inboundStreamsOfProtocol: NO_RATES.rates?.inboundStreamsOfProtocol } }, run: manager => { openStream(manager, '/p/1') }, by: 'rate.inboundStreamsPerSecond', ...ofStream },
  'a service': { limits: { services: { svc: { streams: 0 } } }, run: manager => { openStream(manager, '/p/1', 'svc') }, by: 'service.streams', ...ofStream },
  'a service of a peer': { limits: { servicePeerDefault: { inboundStreams: 0 } }, run: manager => { openStream(manager, '/p/1', 'svc') }, by: 'servicePeer.inboundStreams', ...ofStream },
  'memory of a connection without a peer': { limits: { connection: { memory: 9 } }, run: manager => { manager.openConnection('inbound', true, ENDPOINT).reserveMemory(10) }, by: 'connection.memory', endpoint: ENDPOINT },
  'memory of a connection': { limits: { system: { memory: 9 } }, run: manager => { connect(manager).reserveMemory(10) }, by: 'system.memory', peer: PEER, endpoint: ENDPOINT },
  'memory of a span of a connection': { limits: { peerDefault: { memory: 9 } }, run: manager => { connect(manager).beginSpan().beginSpan().reserveMemory(10) }, by: 'peer.memory', peer: PEER, endpoint: ENDPOINT },
  'memory of a stream': { limits: { stream: { memory: 9 } }, run: manager => { openStream(manager).reserveMemory(10) }, by: 'stream.memory', peer: PEER },
  'memory of a stream, by its protocol': { limits: { protocolDefault: { memory: 9 } }, run: manager => { openStream(manager, '/p/1').reserveMemory(10) }, by: 'protocol.memory', peer: PEER },
  'memory of a stream, by the service of a peer': { limits: { servicePeerDefault: { memory: 9 } }, run: manager => { openStream(manager, '/p/1', 'svc').beginSpan().reserveMemory(10) }, by: 'servicePeer.memory', peer: PEER },
  'memory of a peer': { limits: { peerDefault: { memory: 9 } }, run: manager => { manager.viewPeer(PEER, scope => { scope.reserveMemory(10) }) }, by: 'peer.memory', peer: PEER },
  'memory of a protocol, which is nobody\'s': { limits: { protocolDefault: { memory: 9 } }, run: manager => { manager.viewProtocol('/p/1', scope => { scope.reserveMemory(10) }) }, by: 'protocol.memory' },
  'memory of the system, which is nobody\'s': { limits: { system: { memory: 9 } }, run: manager => { manager.viewSystem(scope => { scope.beginSpan().reserveMemory(10) }) }, by: 'system.memory' }
}

describe('a refusal tells whom it concerns', () => {
  for (const [what, { limits, init, run, by, direction, peer, endpoint }] of Object.entries(CASES)) {
    for (const enforce of [true, false]) {
      it(`${what}${enforce ? '' : ', where refusals are only observed'}`, () => {
        const manager = createResourceManager({ limits, enforce, now: () => 0, ...init })
        const blocked: ResourceLimitExceededError[] = []
        manager.close()
        manager.addEventListener('blocked', ({ detail }) => { blocked.push(detail) })

        if (enforce) {
          expect(() => { run(manager) }).to.throw().with.property('name', 'ResourceLimitExceededError')
        } else {
          run(manager)
        }

        const refusal = blocked[0]
        expect(`${refusal.kind}.${refusal.resource}`).to.equal(by)
        expect(refusal).to.include({ enforced: enforce, direction, peer, endpoint })
        expect(refusal.option).to.match(/^limits\./)

        // nobody else
        expect(new Set(blocked.map(({ peer }) => peer?.toString()).filter(peer => peer !== undefined)).size).to.equal(peer === undefined ? 0 : 1)

        if (enforce) {
          expect(blocked).to.have.lengthOf(1)
        }
      })
    }
  }
})

describe('a refusal in a node tells whom it concerns', () => {
  let nodes: TestNode[]

  afterEach(async () => {
    await stopAll(...nodes)
  })

  it('the peer of a stream, the address of a connection, enough to ban it', async () => {
    const [dialer, listener] = nodes = [await createNode(), await createNode({ limits: { protocols: { [ECHO]: { inboundStreams: 0 } } } })]
    const blocked: ResourceLimitExceededError[] = []
    const manager = managerOf(listener)
    manager.addEventListener('blocked', ({ detail }) => { blocked.push(detail) })

    const { dialer: { connection } } = await connectPair(dialer, listener)
    await connection.newStream(ECHO).catch(() => {})
    await eventually(() => blocked.length > 0)
    expect(blocked[0].peer?.toString()).to.equal(dialer.peerId.toString())
    expect(blocked[0]).to.include({ kind: 'protocol', direction: 'inbound', endpoint: undefined })

    blocked.length = 0
    manager.viewPeer(dialer.peerId, scope => { scope.setLimit({ inboundConnections: 0 }) })
    await connection.close()
    await dialer.dial(listener.getMultiaddrs()).catch(() => {})
    await eventually(() => blocked.length > 0)
    expect(blocked[0].peer?.toString()).to.equal(dialer.peerId.toString())
    expect(blocked[0]).to.include({ kind: 'peer', resource: 'inboundConnections' })
    expect(blocked[0].endpoint).to.be.ok()
  })
})
