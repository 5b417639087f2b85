/* eslint-disable no-loop-func */

import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import sinon from 'sinon'
import { createResourceManager } from '../../src/index.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import type { DefaultResourceManager, ResourceManagerInit } from '../../src/index.ts'

const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')
const MARKUP = '/<img src=x onerror=alert(1)>/"\n__proto__/1.0.0'

describe('views', () => {
  let clock: sinon.SinonFakeTimers
  let manager: DefaultResourceManager

  beforeEach(() => {
    clock = sinon.useFakeTimers()
  })

  afterEach(() => {
    manager.close()
    clock.restore()
  })

  function manage (init: ResourceManagerInit = {}): void {
    manager = createResourceManager(init)
  }

  describe('of what is open', () => {
    it('have the age and owner of connections, the oldest first', () => {
      manage()
      const first = manager.openConnection('inbound', true, ENDPOINT)
      clock.tick(3_000)
      manager.openConnection('outbound', false)
      clock.tick(4_500)
      manager.openConnection('inbound', true, ENDPOINT).setPeer(PEER)
      first.reserveMemory(10)
      first.beginSpan().reserveMemory(5)

      expect(manager.connections()).to.deep.equal([
        { scope: 'conn-1', direction: 'inbound', age: 7, peer: undefined, endpoint: ENDPOINT, fileDescriptors: 1, memory: 15 },
        { scope: 'conn-2', direction: 'outbound', age: 4, peer: undefined, endpoint: undefined, fileDescriptors: 0, memory: 0 },
        { scope: 'conn-3', direction: 'inbound', age: 0, peer: PEER, endpoint: ENDPOINT, fileDescriptors: 1, memory: 0 }
      ])

      // the last takes the place of one that ends, which is not to be seen
      first.done()
      manager.openConnection('outbound', false)
      expect(manager.connections().map(({ scope }) => scope)).to.deep.equal(['conn-2', 'conn-3', 'conn-4'])
    })

    it('have the age, protocol and service of streams, the oldest first', () => {
      manage()
      const stream = manager.openStream(PEER, 'inbound')
      clock.tick(2_000)
      const named = manager.openStream(OTHER_PEER, 'outbound')
      clock.tick(1_000)
      named.setProtocol(MARKUP)
      named.setService('svc')
      const span = named.beginSpan()
      span.reserveMemory(7)

      expect(manager.streams()).to.deep.equal([
        { scope: 'stream-1', direction: 'inbound', age: 3, peer: PEER, protocol: undefined, service: undefined, memory: 0 },
        { scope: 'stream-2', direction: 'outbound', age: 1, peer: OTHER_PEER, protocol: MARKUP, service: 'svc', memory: 7 }
      ])

      span.done()
      stream.done()
      expect(manager.streams()).to.containSubset([{ scope: 'stream-2', memory: 0 }]).and.to.have.lengthOf(1)
      named.done()
      expect(manager.streams()).to.be.empty()
    })

    it('have what was let in by the allowlist, and what was refused not', () => {
      manage({ limits: { system: { connections: 0, streams: 1 } }, allowlist: ['/ip4/192.0.2.1'] })
      manager.openConnection('inbound', true, ENDPOINT).setPeer(PEER)
      expect(() => manager.openConnection('inbound', true)).to.throw()
      manager.openStream(OTHER_PEER, 'inbound')
      expect(() => manager.openStream(OTHER_PEER, 'inbound')).to.throw()
      manager.openStream(PEER, 'inbound')

      expect(manager.connections().map(({ peer }) => peer)).to.deep.equal([PEER])
      expect(manager.streams().map(({ peer }) => peer)).to.deep.equal([OTHER_PEER, PEER])
    })

    it('are snapshots', () => {
      manage()
      manager.openConnection('inbound', true)
      manager.connections()[0].memory = 5
      expect(manager.connections()[0].memory).to.equal(0)
    })
  })

  describe('of what is near its limit', () => {
    it('have the fullest first, of every kind of scope', () => {
      manage({
        limits: {
          system: { memory: 1_000, streams: 5 },
          protocols: { [MARKUP]: { inboundStreams: 1, memory: 450 } },
          protocolPeers: { [MARKUP]: { memory: 420 } },
          services: { svc: { memory: 500 } },
          peers: { [PEER.toString()]: { memory: 700 } },
          stream: { memory: 410 }
        }
      })

      const stream = manager.openStream(PEER, 'inbound')
      stream.setProtocol(MARKUP)
      stream.setService('svc')
      stream.reserveMemory(400)

      const near = manager.nearLimits(0.8)
      expect(near).to.deep.equal([
        { scope: `protocol:${MARKUP}`, kind: 'protocol', resource: 'inboundStreams', current: 1, limit: 1, fraction: 1, option: `limits.protocols[${JSON.stringify(MARKUP)}].inboundStreams` },
        { scope: 'stream-1', kind: 'stream', resource: 'memory', current: 400, limit: 410, fraction: 400 / 410, option: 'limits.stream.memory' },
        { scope: `protocol:${MARKUP}.peer:${PEER}`, kind: 'protocolPeer', resource: 'memory', current: 400, limit: 420, fraction: 400 / 420, option: `limits.protocolPeers[${JSON.stringify(MARKUP)}].memory` },
        { scope: `protocol:${MARKUP}`, kind: 'protocol', resource: 'memory', current: 400, limit: 450, fraction: 400 / 450, option: `limits.protocols[${JSON.stringify(MARKUP)}].memory` },
        { scope: 'service:svc', kind: 'service', resource: 'memory', current: 400, limit: 500, fraction: 0.8, option: 'limits.services["svc"].memory' }
      ])
      expect(manager.nearLimits()).to.deep.equal(near)
      expect(manager.nearLimits(0.57).map(({ scope }) => scope)).to.include(`peer:${PEER}`).and.not.include('system')
      expect(manager.nearLimits(0.4).map(({ scope }) => scope)).to.include('system')
      expect(manager.nearLimits(1)).to.have.lengthOf(1)
    })

    it('have what is above a limit that was lowered, or of nothing', () => {
      manage()
      manager.viewSystem(scope => { scope.reserveMemory(30) })
      manager.openStream(PEER, 'inbound')
      manager.setLimits({ system: { memory: 20, outboundStreams: 0 }, peers: { [PEER.toString()]: { inboundStreams: 0 } } })

      expect(manager.nearLimits().map(({ scope, resource, fraction }) => ({ scope, resource, fraction }))).to.deep.equal([
        { scope: `peer:${PEER}`, resource: 'inboundStreams', fraction: Infinity },
        { scope: 'system', resource: 'memory', fraction: 1.5 }
      ])
    })

    it('are never near no limit, or one that 64 bits hold', () => {
      manage({ limits: { system: { memory: Infinity }, transient: { memory: 2n ** 63n } } })
      manager.viewTransient(scope => { scope.reserveMemory(10) })

      expect(manager.nearLimits(1e-6)).to.be.empty()
    })

    it('need a fraction', () => {
      manage()

      for (const fraction of [-0.1, 1.1, NaN, Infinity, '0.5', null] as any[]) {
        expect(() => manager.nearLimits(fraction), String(fraction)).to.throw().with.property('path', 'fraction')
      }
    })
  })
})
