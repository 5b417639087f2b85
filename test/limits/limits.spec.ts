import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { RESOURCES } from '../../src/core/limit.ts'
import { createResourceManager, InvalidLimitError, scaleLimits } from '../../src/index.ts'
import { LimitTable, NAMED_KEYS, NAMED_KIND, resolveLimits, SCOPE_KEYS } from '../../src/limits/limits.ts'
import { applyLimits } from '../../src/limits/merge.ts'
import { PEER } from '../fixtures/peers.ts'
import type { Limit, Limits, ScopeKind } from '../../src/index.ts'

const defaults = scaleLimits({ memory: 2 ** 30, fileDescriptors: 1024 })

const FALLBACK = { services: 'serviceDefault', servicePeers: 'servicePeerDefault', protocols: 'protocolDefault', protocolPeers: 'protocolPeerDefault', peers: 'peerDefault' } as const

const value = fc.oneof(fc.nat(), fc.constant(Infinity), fc.constant(0), fc.bigInt(2n ** 53n, 2n ** 63n), fc.constant(undefined))
const limit = fc.record(Object.fromEntries(RESOURCES.map(resource => [resource, value])), { requiredKeys: [] }) as fc.Arbitrary<Limit>
const names = fc.oneof(fc.constantFrom('__proto__', 'constructor', '', 'toString', 'libp2p.ping', '/ipfs/ping/1.0.0'), fc.string())
const named = fc.array(fc.tuple(names, limit), { maxLength: 4 }).map(entries => {
  const record: Record<string, Limit> = Object.create(null)
  entries.forEach(([name, l]) => { record[name] = l })
  return record
})
const peers = fc.option(limit, { nil: undefined }).map(l => l === undefined ? {} : { [PEER.toString()]: l })
const allLimits = fc.record({
  ...Object.fromEntries(SCOPE_KEYS.map(key => [key, limit])),
  ...Object.fromEntries(NAMED_KEYS.map(key => [key, key === 'peers' ? peers : named]))
}, { requiredKeys: [] }) as fc.Arbitrary<Limits>

describe('limits', () => {
  it('honour every field of every scope, whatever is given', () => {
    fc.assert(fc.property(allLimits, given => {
      const resolved = resolveLimits(given, defaults)
      const table = new LimitTable(resolved)

      for (const key of SCOPE_KEYS) {
        for (const resource of RESOURCES) {
          expect(resolved[key][resource]).to.equal(given[key]?.[resource] ?? defaults[key][resource])
        }
      }

      for (const key of NAMED_KEYS) {
        const kind = Object.entries(NAMED_KIND).find(([, k]) => k === key)?.[0] as ScopeKind

        for (const [name, l] of Object.entries(given[key] ?? {})) {
          for (const resource of RESOURCES) {
            const inherited = defaults[key][name] ?? resolved[FALLBACK[key]]

            expect(table.limitFor(kind, name)[resource]).to.equal(l[resource] ?? inherited[resource])
          }
        }

        expect(table.limitFor(kind, 'nobody has named this one')).to.equal(resolved[FALLBACK[key]])
      }

      expect(({} as any).streams).to.be.undefined()
    }))
  })

  it('fill each other field by field, none is dropped', () => {
    fc.assert(fc.property(limit, limit, fc.constantFrom(...SCOPE_KEYS), (mine, other, key) => {
      const filled = applyLimits({ [key]: mine }, { [key]: other })

      for (const resource of RESOURCES) {
        expect(filled[key]?.[resource]).to.equal(mine[resource] ?? other[resource])
      }
    }))
  })

  it('are enforced for every field of every scope', () => {
    for (const key of SCOPE_KEYS) {
      for (const resource of RESOURCES) {
        const manager = createResourceManager({ limits: { [key]: { [resource]: 12_345 } } })

        expect(manager.limits()[key][resource], `${key}.${resource}`).to.equal(12_345)
        manager.close()
      }
    }
  })

  it('of peers may be written in any encoding of the ID', () => {
    const cid = PEER.toCID().toString()
    const manager = createResourceManager({ limits: { peers: { [cid]: { connections: 3 } } } })

    expect(manager.viewPeer(PEER, scope => scope.limit.connections)).to.equal(3)
    manager.close()
  })

  describe('that make no sense', () => {
    const wrongValues: unknown[] = [-1, -0.5, 0.5, NaN, -Infinity, 2 ** 53, -1n, '1', '', 'unlimited', null, true, [], {}, () => 1, Symbol('x'), new Date()]

    for (const key of SCOPE_KEYS) {
      it(`in ${key} are errors that name path, value and what is allowed`, () => {
        for (const resource of RESOURCES) {
          for (const value of wrongValues) {
            expect(() => createResourceManager({ limits: { [key]: { [resource]: value } } as any }), String(value))
              .to.throw(InvalidLimitError, `limits.${key}.${resource} is `)
              .with.property('allowed').that.includes('non-negative integer')
          }
        }
      })
    }

    for (const key of NAMED_KEYS) {
      it(`in ${key} are errors that name the entry`, () => {
        const name = key === 'peers' ? PEER.toString() : 'a "name"'

        for (const value of wrongValues) {
          expect(() => createResourceManager({ limits: { [key]: { [name]: { memory: value } } } as any }), String(value))
            .to.throw(InvalidLimitError).with.property('path', `limits.${key}[${JSON.stringify(name)}].memory`)
        }
      })
    }

    it('wherever they stand', () => {
      const wrong: Array<[unknown, string]> = [
        [null, 'limits'],
        [[], 'limits'],
        ['none', 'limits'],
        [{ sytem: {} }, 'limits.sytem'],
        [{ System: {} }, 'limits.System'],
        [{ system: null }, 'limits.system'],
        [{ system: 5 }, 'limits.system'],
        [{ system: [] }, 'limits.system'],
        [{ system: { Streams: 1 } }, 'limits.system.Streams'],
        [{ system: { fd: 1 } }, 'limits.system.fd'],
        [{ protocols: null }, 'limits.protocols'],
        [{ protocols: [] }, 'limits.protocols'],
        [{ protocols: { '/x': null } }, 'limits.protocols["/x"]'],
        [{ protocols: { '/x': { stream: 1 } } }, 'limits.protocols["/x"].stream'],
        [{ peers: { nobody: {} } }, 'limits.peers["nobody"]'],
        [{ subnets: { ipv4: { prefixes: [{ prefixLength: 33, connections: 1 }] } } }, 'limits.subnets.ipv4.prefixes[0].prefixLength'],
        [{ subnets: { ipv5: {} } }, 'limits.subnets.ipv5'],
        [{ subnets: { ipv4: { networks: [{ network: 'here', connections: 1 }] } } }, 'limits.subnets.ipv4.networks[0].network'],
        [{ rates: { connection: {} } }, 'limits.rates.connection'],
        [{ rates: { connections: { global: { perSecond: -1, burst: 1 } } } }, 'limits.rates.connections.global.perSecond'],
        [{ rates: { inboundStreamsOfPeer: { default: { perSecond: 1 } } } }, 'limits.rates.inboundStreamsOfPeer.default.burst']
      ]

      for (const [limits, path] of wrong) {
        expect(() => createResourceManager({ limits: limits as any }), path)
          .to.throw(InvalidLimitError).with.property('path', path)
      }
    })

    it('are found wherever a fuzzer puts them, and pollute nothing', () => {
      const junk = fc.oneof(fc.constant(null), fc.boolean(), fc.string(), fc.double({ max: -0.1, noNaN: true }), fc.constant(NaN), fc.array(fc.anything(), { maxLength: 2 }), fc.bigInt({ max: -1n }))

      fc.assert(fc.property(allLimits, fc.constantFrom(...SCOPE_KEYS), fc.constantFrom(...RESOURCES), junk, (given, key, resource, value) => {
        const limits: any = { ...given, [key]: { ...given[key], [resource]: value } }

        expect(() => resolveLimits(limits, defaults)).to.throw(InvalidLimitError).with.property('path', `limits.${key}.${resource}`)
        expect(Object.keys(Object.prototype)).to.be.empty()
      }))
    })
  })
})
