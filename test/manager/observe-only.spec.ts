import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../src/index.ts'
import { PEER } from '../fixtures/peers.ts'
import type { DefaultResourceManager, ResourceLimitExceededError } from '../../src/index.ts'

const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')

describe('observe only', () => {
  let manager: DefaultResourceManager
  let blocked: ResourceLimitExceededError[]

  beforeEach(() => {
    blocked = []
    manager = createResourceManager({
      enforce: false,
      limits: {
        system: { inboundConnections: 1, memory: 100 },
        protocols: { '/p/1': { streams: 0 } },
        subnets: { ipv4: { prefixes: [{ prefixLength: 32, connections: 1 }] } },
        rates: { inboundStreamsOfPeer: { default: { perSecond: 0, burst: 1 } } }
      }
    })
    manager.addEventListener('blocked', event => { blocked.push(event.detail) })
  })

  afterEach(() => {
    manager.close()
  })

  it('refuses nothing at any gate, tells of everything, counts exactly', () => {
    const connections = [1, 2, 3].map(() => manager.openConnection('inbound', true, ENDPOINT))
    connections.forEach(connection => { connection.setPeer(PEER) })
    const streams = [1, 2].map(() => manager.openStream(PEER, 'inbound'))
    streams.forEach(stream => { stream.setProtocol('/p/1') })
    streams[0].reserveMemory(1_000)

    expect(manager.stat().system).to.include({ inboundConnections: 3, inboundStreams: 2, memory: 1_000 })
    expect(new Set(blocked.map(({ kind, resource }) => `${kind}.${resource}`))).to.deep.equal(new Set([
      'subnet.connections',
      'rate.inboundStreamsPerSecond',
      'protocol.streams',
      'system.memory'
    ]))
    expect(blocked.every(({ enforced }) => !enforced)).to.be.true()

    for (const scope of [...streams, ...connections]) {
      scope.done()
    }

    expect(Object.values(manager.stat().system).every(count => count === 0)).to.be.true()

    // the slots of the address went back as well: the first is free again
    blocked.length = 0
    manager.openConnection('outbound', true, ENDPOINT)
    expect(blocked).to.be.empty()
  })

  it('suggests limits that let the highest use through, with headroom', () => {
    const streams = [1, 2, 3].map(() => {
      const stream = manager.openStream(PEER, 'inbound')
      stream.setProtocol('/p/1')
      stream.setService('svc')
      stream.reserveMemory(1_000_000)

      return stream
    })
    streams.forEach(stream => { stream.done() })
    manager.removeUnusedScopes()

    const limits = manager.suggestLimits(2)

    expect(limits.system).to.deep.equal({ inboundStreams: 6, memory: 6 * 2 ** 20 })
    // its limit of streams would not let that through
    const sum = 6 + Number(manager.limits().protocols['/p/1'].outboundStreams)
    expect(limits.protocols?.['/p/1']).to.deep.equal({ streams: sum, inboundStreams: 6, memory: 6 * 2 ** 20 })
    expect(limits.services?.svc).to.include({ inboundStreams: 6 })
    expect(limits.protocolPeers?.['/p/1']).to.include({ inboundStreams: 6 })
    expect(limits.peerDefault).to.include({ inboundStreams: 6 })

    // it can be pasted into the configuration, and the same happens again
    const strict = createResourceManager({ limits })

    for (let i = 0; i < 3; i++) {
      const stream = strict.openStream(PEER, 'inbound')
      stream.setProtocol('/p/1')
      stream.setService('svc')
      stream.reserveMemory(1_000_000)
    }

    strict.close()
  })

  it('suggests nothing that keeps out what was not seen', () => {
    const connection = manager.openConnection('inbound', true)
    connection.setPeer(PEER)
    const streams = Array.from({ length: 3 }, () => manager.openStream(PEER, 'inbound'))

    const strict = createResourceManager({ limits: manager.suggestLimits(1) })
    streams.forEach(() => strict.openStream(PEER, 'inbound'))
    strict.openStream(PEER, 'outbound')
    strict.openConnection('inbound', true).setPeer(PEER)
    strict.openConnection('outbound', false).setPeer(PEER)
    strict.close()

    // of what goes both ways there may only be so much together
    streams.push(manager.openStream(PEER, 'outbound'))
    expect(manager.suggestLimits(1).peerDefault).to.include({ inboundStreams: 3, outboundStreams: 1, streams: 4 })

    for (const scope of [connection, ...streams]) {
      scope.done()
    }
  })

  it('suggests sums where what was seen would not fit into those there are', () => {
    const { streams: most, outboundStreams } = manager.limits().peerDefault
    const count = Number(most) + 1
    const streams = Array.from({ length: count }, () => manager.openStream(PEER, 'inbound'))

    const limits = manager.suggestLimits(1)
    expect(limits.peerDefault).to.include({ inboundStreams: count, streams: count + Number(outboundStreams) })

    const strict = createResourceManager({ limits })
    streams.forEach(() => strict.openStream(PEER, 'inbound'))
    strict.openStream(PEER, 'outbound')
    strict.close()
    streams.forEach(scope => { scope.done() })
  })

  it('is the only way to get suggestions', () => {
    const strict = createResourceManager()

    expect(() => strict.suggestLimits()).to.throw().with.property('name', 'InvalidLimitError')
    expect(() => manager.suggestLimits(0.5)).to.throw().with.property('name', 'InvalidLimitError')
    strict.close()
  })
})
