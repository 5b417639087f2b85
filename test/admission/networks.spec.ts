import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { parseNetwork } from '../../src/admission/addresses.ts'
import { NetworkCounts } from '../../src/admission/network-counts.ts'
import { NetworkIndex } from '../../src/admission/network-index.ts'
import { NetworkMap } from '../../src/admission/network-map.ts'
import { ip } from './ips.ts'
import type { IpAddress } from '../../src/admission/addresses.ts'

/**
 * Enough of them for tables to grow, shrink and collide
 */
const anyIpv6 = fc.nat({ max: 2_000 }).map(i => ip(`2001:${(i % 3).toString(16)}:${(i % 7).toString(16)}::${(i % 11).toString(16)}:${i.toString(16)}`))
const anyIpv4 = fc.nat({ max: 2_000 }).map(i => ip(`1.${i % 5}.${i >> 8}.${i & 0xff}`))
const steps = <T> (address: fc.Arbitrary<T>): fc.Arbitrary<Array<[T, number]>> => fc.array(
  fc.tuple(address, fc.oneof(fc.constant(0), fc.integer({ min: -3, max: 2 ** 31 - 1 }))),
  { maxLength: 600, size: 'max' }
)

describe('admission: networks', () => {
  for (const [family, address, lengths] of [
    ['IPv4', anyIpv4, [0, 1, 16, 24, 31, 32]],
    ['IPv6', anyIpv6, [0, 7, 32, 33, 48, 56, 64, 65, 96, 97, 128]]
  ] as const) {
    it(`have counts like those of a map by text (${family})`, () => {
      fc.assert(fc.property(fc.constantFrom(...lengths), steps<IpAddress>(address), (prefixLength, ops) => {
        const counts = new NetworkCounts(prefixLength)
        const model = new Map<string, number>()

        for (const [key, count] of ops) {
          const network = key.network(prefixLength)
          expect(counts.get(key)).to.equal(model.get(network) ?? 0)
          counts.set(key, count)

          if (count === 0) {
            model.delete(network)
          } else {
            model.set(network, count)
          }

          expect(counts.size).to.equal(model.size)
        }

        expect([...counts].map(([, count]) => count).sort()).to.deep.equal([...model.values()].sort())

        for (const [key] of ops) {
          expect(counts.get(key)).to.equal(model.get(key.network(prefixLength)) ?? 0)
          counts.set(key, 0)
          model.delete(key.network(prefixLength))
        }

        expect(counts.size).to.equal(0)
        expect([...counts]).to.be.empty()
      }), { numRuns: 50 })
    })

    it(`have values like those of a map by text (${family})`, () => {
      fc.assert(fc.property(fc.constantFrom(...lengths), steps<IpAddress>(address), (prefixLength, ops) => {
        const map = new NetworkMap<{ n: number }>(prefixLength)
        const model = new Map<string, { n: number }>()

        for (const [i, [key, n]] of ops.entries()) {
          const network = key.network(prefixLength)

          if (n === 0) {
            map.delete(key)
            model.delete(network)
          } else {
            const value = { n }
            map.set(key, value)
            model.set(network, value)
          }

          if (i % 100 === 99) {
            map.deleteWhere(value => value.n % 2 === 0)
            model.forEach((value, text) => value.n % 2 === 0 && model.delete(text))
          }

          expect(map.get(key)).to.equal(model.get(network))
          expect(map.size).to.equal(model.size)
        }

        for (const [key] of ops) {
          expect(map.get(key)).to.equal(model.get(key.network(prefixLength)))
        }

        map.deleteWhere(() => true)
        expect(map.size).to.equal(0)
      }), { numRuns: 50 })
    })
  }

  it('are found by the addresses in them, narrow ones first', () => {
    const index = new NetworkIndex<string>()
    const networks = ['0.0.0.0/0', '1.0.0.0/8', '1.2.3.0/24', '1.2.3.4/32', '::/0', '2001:db8::/33'].map(text => parseNetwork(text, 'network'))
    const found = (text: string): string[] => index.matching(ip(text).family, ip(text))

    for (const network of networks) {
      index.set(network, network.toString())
    }

    expect(found('1.2.3.4')).to.deep.equal(['1.2.3.4/32', '1.2.3.0/24', '1.0.0.0/8', '0.0.0.0/0'])
    expect(found('::ffff:1.2.3.5')).to.deep.equal(['1.2.3.0/24', '1.0.0.0/8', '0.0.0.0/0'])
    expect(found('2001:db8:7fff:ffff::1')).to.deep.equal(['2001:db8::/33', '::/0'])
    expect(found('2001:db8:8000::1')).to.deep.equal(['::/0'])
    expect(index.narrowest('ipv4', ip('1.2.9.9'))).to.equal('1.0.0.0/8')
    expect(index.get(parseNetwork('1.2.3.99/24', 'network'))).to.equal('1.2.3.0/24')
    expect(index.get(parseNetwork('1.2.3.0/25', 'network'))).to.be.undefined()

    for (const network of networks) {
      index.delete(network)
      index.delete(network)
    }

    expect(found('1.2.3.4')).to.be.empty()
    expect(index.narrowest('ipv6', ip('::1'))).to.be.undefined()
  })
})
