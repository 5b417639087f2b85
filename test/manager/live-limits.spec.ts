import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager, scaleLimits } from '../../src/index.ts'
import { PEER, OTHER_PEER } from '../fixtures/peers.ts'
import type { DefaultResourceManager, Limit, ScopeKind } from '../../src/index.ts'

const ENDPOINT = multiaddr('/memory/1')

describe('limits while running', () => {
  let manager: DefaultResourceManager

  afterEach(() => {
    manager.close()
  })

  it('are shown with nothing left out, and can be fed back', () => {
    manager = createResourceManager({
      limits: {
        system: { memory: 1_000_000 },
        protocols: { ['__proto__']: { streams: 3 } },
        subnets: { ipv4: { prefixes: [{ prefixLength: 24, connections: 5 }] } },
        rates: { inboundStreamsOfPeer: { default: { perSecond: 5, burst: 10 } } }
      }
    })
    const limits = manager.limits()

    expect(limits.system).to.have.property('memory', 1_000_000)
    expect(Object.getOwnPropertyDescriptor(limits.protocols, '__proto__')?.value).to.have.property('streams', 3)
    expect(limits.subnets.ipv4?.prefixes).to.deep.equal([{ prefixLength: 24, connections: 5 }])

    const other = createResourceManager({ limits })
    expect(other.limits()).to.deep.equal(limits)
    other.setLimits(limits)
    expect(other.limits()).to.deep.equal(limits)
    other.close()
  })

  it('take effect at once for every kind of scope there is', () => {
    manager = createResourceManager()
    const connection = manager.openConnection('inbound', true, ENDPOINT)
    connection.setPeer(PEER)
    const stream = manager.openStream(PEER, 'inbound')
    stream.setProtocol('/p/1')
    stream.setService('svc')

    const limit: Limit = { memory: 7 }
    const refusedBy = (): string => {
      let name = 'nobody'
      try {
        stream.reserveMemory(8)
        stream.releaseMemory(8)
      } catch (err: any) {
        name = err.scope
      }
      return name
    }

    const named = { services: 'service:svc', servicePeers: `service:svc.peer:${PEER}`, protocols: 'protocol:/p/1', protocolPeers: `protocol:/p/1.peer:${PEER}` }

    for (const [key, scope] of Object.entries(named)) {
      const name = key.startsWith('service') ? 'svc' : '/p/1'
      manager.setLimits({ [key]: { [name]: limit } })
      expect(refusedBy(), key).to.equal(scope)
      manager.setLimits({ [key]: { [name]: { memory: Infinity } } })
      expect(refusedBy(), key).to.equal('nobody')
    }

    for (const [key, scope] of Object.entries({ system: 'system', peerDefault: `peer:${PEER}`, stream: 'stream-1' })) {
      manager.setLimits({ [key]: limit })
      expect(refusedBy(), key).to.equal(scope)
      manager.setLimits({ [key]: { memory: Infinity } })
      expect(refusedBy(), key).to.equal('nobody')
    }

    manager.setLimits({ connection: limit })
    expect(() => { connection.reserveMemory(8) }).to.throw().with.property('scope', 'conn-1')

    // what is in use stays
    manager.setLimits({ system: { inboundConnections: 0 } })
    expect(manager.stat().system.inboundConnections).to.equal(1)
    expect(() => manager.openConnection('inbound', true, ENDPOINT)).to.throw().with.property('scope', 'system')
  })

  it('change nothing if one of them makes no sense', () => {
    manager = createResourceManager()
    const before = manager.limits()

    expect(() => { manager.setLimits({ system: { memory: 1 }, stream: { memory: -1 } }) }).to.throw().with.property('name', 'InvalidLimitError')
    expect(() => { manager.setLimits({ system: { memory: 1 }, subnets: { ipv4: { prefixes: [{ prefixLength: 33, connections: 1 }] } } }) }).to.throw().with.property('name', 'InvalidLimitError')
    expect(manager.limits()).to.deep.equal(before)
  })

  it('stay as they are where they are given as undefined', () => {
    manager = createResourceManager({ limits: { services: { svc: { streams: 3 } } } })
    const before = manager.limits()

    manager.setLimits({ services: { svc: undefined as any }, servicePeers: undefined })
    manager.setLimits({ services: { svc: { memory: undefined } } })
    expect(manager.limits()).to.deep.equal(before)
  })

  it('of a scope that were set by hand are shown, and survive other changes and collection', () => {
    manager = createResourceManager()
    manager.viewPeer(PEER, scope => { scope.setLimit({ connections: 1 }) })
    manager.setLimits({ peerDefault: { connections: 5 } })
    manager.removeUnusedScopes()

    expect(manager.limits().peers[PEER.toString()]).to.have.property('connections', 1)
    expect(manager.viewPeer(PEER, scope => scope.limit.connections)).to.equal(1)
    expect(manager.viewPeer(OTHER_PEER, scope => scope.limit.connections)).to.equal(5)
  })

  it('may come from functions, which are asked per scope and again on demand', () => {
    const asked = new Set<string>()
    let streams = 1

    manager = createResourceManager({
      limits: {
        limitFor (kind: ScopeKind, name?: string) {
          asked.add(`${kind} ${name ?? ''}`.trim())

          return kind === 'protocol' ? { streams } : undefined
        }
      }
    })

    const open = (): void => { manager.openStream(PEER, 'outbound').setProtocol('/p/1') }

    open()
    expect(open).to.throw().with.property('scope', 'protocol:/p/1')
    streams = 2
    manager.refreshLimits()
    open()
    expect(open).to.throw().with.property('limit', 2)
    expect([...asked]).to.include.members(['system', 'transient', 'connection', 'stream', `peer ${PEER}`, 'protocol /p/1', 'protocolPeer /p/1'])
    expect(manager.limits().protocols['/p/1']).to.have.property('streams', 2)
  })

  it('are what is enforced, not what functions would answer now', () => {
    let answer: (() => Limit) | undefined
    manager = createResourceManager({ limits: { limitFor: () => answer?.() } })
    const before = manager.limits()

    answer = () => ({ memory: 7 })
    expect(manager.limits()).to.deep.equal(before)
    expect(manager.previewLimits({}).map(({ option }) => option)).to.include.members(['limits.connection.memory', 'limits.stream.memory', 'limits.system.memory'])

    answer = () => { throw new Error('no limit today') }
    expect(manager.limits()).to.deep.equal(before)
    expect(() => { manager.refreshLimits() }).to.throw('no limit today')

    answer = () => ({ memory: 7 })
    manager.refreshLimits()
    expect(manager.limits()).to.have.nested.property('connection.memory', 7)
    expect(manager.limits()).to.have.nested.property('stream.memory', 7)
  })

  it('refuse a function that answers nonsense', () => {
    expect(() => createResourceManager({ limits: { limitFor: () => ({ memory: -1 }) } })).to.throw()
      .with.property('path').that.matches(/^limits\..*\.memory$/)
  })

  it('let a peer have the descriptors of all its connections where nothing tells how many there are', () => {
    manager = createResourceManager({ fileDescriptors: 0 })
    const { peerDefault } = manager.limits()

    expect(peerDefault.fileDescriptors).to.be.at.least(Number(peerDefault.connections))
  })

  it('have room for what an application sends at once, of several peers too', () => {
    const MiB = 2 ** 20
    manager = createResourceManager({ memory: 32 * MiB })
    const limits = manager.limits()

    for (const key of ['stream', 'protocolPeerDefault', 'servicePeerDefault', 'peerDefault'] as const) {
      expect(limits[key].memory, key).to.equal(64 * MiB)
    }

    for (const key of ['protocolDefault', 'serviceDefault'] as const) {
      expect(limits[key].memory, key).to.equal(128 * MiB)
    }
  })

  it('have room for what an ordinary node does with all its connections', () => {
    manager = createResourceManager({ memory: 128 * 2 ** 20 })
    const { protocolDefault, serviceDefault, transient, ...limits } = manager.limits()

    // two streams of a protocol with each, opened at once
    for (const limit of [protocolDefault, serviceDefault]) {
      expect(limit.inboundStreams).to.be.at.least(1_200)
      expect(limit.outboundStreams).to.be.at.least(1_200)
      expect(limit.streams).to.be.at.least(2_400)
    }

    expect(transient.outboundStreams).to.be.at.least(1_200)
    expect(transient.streams).to.be.at.least(1_200 + Number(transient.inboundStreams))

    // 300 relayed connections of a peer are what js-libp2p lets through
    for (const limit of [limits.servicePeers['libp2p.relay/v2'], ...['hop', 'stop'].map(name => limits.protocolPeers[`/libp2p/circuit/relay/0.2.0/${name}`])]) {
      expect(limit.inboundStreams).to.be.at.least(300)
      expect(limit.memory).to.be.at.least(64 * 2 ** 20)
    }

    for (const limit of [limits.services['libp2p.relay/v2'], ...['hop', 'stop'].map(name => limits.protocols[`/libp2p/circuit/relay/0.2.0/${name}`])]) {
      expect(limit.inboundStreams).to.be.at.least(1_024)
      expect(limit.memory).to.be.at.least(128 * 2 ** 20)
    }
  })

  it('never let the automatic defaults take more than half of a small machine', async () => {
    const { DEFAULT_PROFILE, fitToNode } = await import('../../src/limits/automatic.ts')
    const memory = 64 * 2 ** 20
    const limits = fitToNode(scaleLimits({ memory: memory / 8, fileDescriptors: 0 }), DEFAULT_PROFILE, { memory: memory / 2, fileDescriptors: 256 })

    expect(limits.system.memory).to.equal(memory / 2)
    expect(limits.system.inboundConnections).to.be.at.least(600)
    expect(limits.system.outboundConnections).to.be.at.least(600)
    expect(limits.transient.outboundConnections).to.be.at.least(100)
    expect(limits.protocols['/ipfs/ping/1.0.0'].outboundStreams).to.be.at.least(300)
  })
})
