/* eslint-disable no-loop-func */

import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../src/index.ts'
import { subnetLimits } from '../admission/vectors.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import connLimiter from '../fixtures/vectors/conn-limiter.json' with { type: 'json' }
import type { DefaultResourceManager } from '../../src/index.ts'
import type { SubnetCase } from '../admission/vectors.ts'

const UNLIMITED_RATES = { connections: { ipv4: { prefixes: [] }, ipv6: { prefixes: [] } } }

describe('admission', () => {
  let manager: DefaultResourceManager

  afterEach(() => {
    manager.close()
  })

  const cases = (connLimiter.cases as unknown as SubnetCase[]).filter(({ config }) => config.allowlist != null)

  it('has four vectors with an allowlist', () => {
    manager = createResourceManager()
    expect(cases).to.have.lengthOf(4)
  })

  for (const { id, config, ops } of cases) {
    it(`${id}: not as go, an allowlisted address passes the limit of its subnet and is held only by the allowlisted scopes (DESIGN 8), others are limited as ever`, () => {
      manager = createResourceManager({
        limits: {
          subnets: subnetLimits(config),
          rates: UNLIMITED_RATES,
          allowlistedSystem: { connections: 10_000, inboundConnections: 10_000, fileDescriptors: 10_000 },
          allowlistedTransient: { connections: 10_000, inboundConnections: 10_000, fileDescriptors: 10_000 },
          system: { connections: 10_000, inboundConnections: 10_000, fileDescriptors: 10_000 },
          transient: { connections: 10_000, inboundConnections: 10_000, fileDescriptors: 10_000 }
        },
        allowlist: config.allowlist
      })

      const listed = (ip: string): boolean => manager.allowlist.entries().some(entry => entry.includes('/0.0.0.0/') || (entry.includes('1.2.3.') && ip.startsWith('1.2.3.')))

      for (const { ip, ok, times = 1 } of ops) {
        for (let i = 0; i < times; i++) {
          const open = (): unknown => manager.openConnection('inbound', true, multiaddr(`/ip4/${ip}/tcp/1`))

          if (ok || listed(ip)) {
            open()
          } else {
            expect(open).to.throw().with.property('kind', 'subnet')
          }
        }
      }
    })
  }

  it('limits by address with the one error, and gives the slot back however the connection ends', () => {
    manager = createResourceManager({ limits: { subnets: { ipv4: { prefixes: [{ prefixLength: 32, connections: 1 }] } }, rates: UNLIMITED_RATES, peers: { [PEER.toString()]: { connections: 0 } } } })
    const endpoint = multiaddr('/ip4/192.0.2.1/tcp/4001')
    const first = manager.openConnection('inbound', true, endpoint)

    expect(() => manager.openConnection('outbound', true, multiaddr('/ip6/::ffff:192.0.2.1/tcp/1'))).to.throw()
      .with.property('message', 'Local resource limit exceeded: subnet:192.0.2.1/32 may hold 1 connections, 1 in use, 1 more asked for; raise limits.subnets.ipv4.prefixes[0].connections if this is legitimate')

    expect(() => { first.setPeer(PEER) }).to.throw().with.property('scope', `peer:${PEER}`)
    first.done()
    first.done()

    const second = manager.openConnection('inbound', true, endpoint)
    expect(() => manager.openConnection('inbound', true, endpoint)).to.throw().with.property('kind', 'subnet')
    second.done()

    // a refusal by a scope gives the slot back
    manager.setLimits({ system: { connections: 0 } })
    expect(() => manager.openConnection('inbound', true, endpoint)).to.throw().with.property('scope', 'system')
    manager.setLimits({ system: { connections: 10 } })
    manager.openConnection('inbound', true, endpoint).done()
  })

  it('limits connections without an address by the rate of all, and by the memory of the process', () => {
    manager = createResourceManager({ now: () => 0, limits: { rates: { connections: { global: { perSecond: 1, burst: 1 } } } } })
    manager.openConnection('inbound', false)
    expect(() => manager.openConnection('inbound', false)).to.throw().with.property('option', 'limits.rates.connections.global')
    manager.close()

    manager = createResourceManager({ maxProcessMemory: 1 })
    manager.openConnection('outbound', false)

    if (manager.memoryUsage().resident !== undefined) {
      expect(() => manager.openConnection('inbound', false)).to.throw().with.property('kind', 'process')
    }

    // nobody looks any more
    manager.close()
    manager.openConnection('inbound', false)
    manager.openStream(PEER, 'inbound')
  })

  it('never takes a relayed address for that of its relay, nor for allowlisted', () => {
    manager = createResourceManager({ limits: { subnets: { ipv4: { prefixes: [{ prefixLength: 32, connections: 1 }] } }, system: { connections: 3 } }, allowlist: ['/ip4/192.0.2.1'] })
    const relayed = multiaddr(`/ip4/192.0.2.1/tcp/4001/p2p/${PEER}/p2p-circuit`)

    for (let i = 0; i < 3; i++) {
      manager.openConnection('inbound', false, relayed)
    }

    expect(() => manager.openConnection('inbound', false, relayed)).to.throw().with.property('scope', 'system')
  })

  it('limits how often a peer opens inbound streams, and how often a protocol is opened', () => {
    let now = 0
    manager = createResourceManager({
      now: () => now,
      limits: {
        rates: {
          inboundStreamsOfPeer: { default: { perSecond: 1, burst: 2 }, overrides: { [OTHER_PEER.toString()]: { perSecond: Infinity, burst: Infinity } } },
          inboundStreamsOfProtocol: { overrides: { '/slow/1': { perSecond: 1, burst: 1 } } }
        }
      }
    })

    manager.openStream(PEER, 'inbound').done()
    manager.openStream(PEER, 'inbound').done()
    expect(() => manager.openStream(PEER, 'inbound')).to.throw().with.include({ kind: 'rate', resource: 'inboundStreamsPerSecond', retryAfter: 1_000 })
    manager.openStream(PEER, 'outbound').done()
    now += 1_000
    manager.openStream(PEER, 'inbound').done()

    const [a, b, c] = [1, 2, 3].map(() => manager.openStream(OTHER_PEER, 'inbound'))
    a.setProtocol('/slow/1')
    expect(() => { b.setProtocol('/slow/1') }).to.throw().with.property('option').that.includes('inboundStreamsOfProtocol')
    expect(b.protocolScope).to.be.undefined()
    c.setProtocol('/fast/1')
  })

  it('answers transports that ask whether to verify an address', () => {
    manager = createResourceManager()
    const address = multiaddr('/ip4/192.0.2.1/udp/1/quic-v1')
    const answers = [1, 2, 3, 4, 5].map(() => manager.verifySourceAddress(address))

    expect(answers).to.deep.equal([false, false, false, false, true])
  })

  it('names the entry of the allowlist that makes no sense', () => {
    manager = createResourceManager()
    expect(() => createResourceManager({ allowlist: ['/ip4/1.2.3.4', '/dns4/example.com'] })).to.throw()
      .with.include({ name: 'InvalidLimitError' }).and.property('message').that.includes('allowlist[1]')
  })
})
