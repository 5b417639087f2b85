import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { BITS, ipOf, parseNetwork } from '../../src/admission/addresses.ts'
import { InvalidLimitError } from '../../src/core/errors.ts'
import { ip } from './ips.ts'

const RELAY = '12D3KooWPEHACsjcMehrMLGbU27pCvWdJSHH3tKK9M8bKEHyfEWG'

describe('admission: addresses', () => {
  describe('the IP address of a multiaddr', () => {
    for (const [address, expected] of Object.entries({
      '/ip4/1.2.3.4': '1.2.3.4',
      '/ip4/1.2.3.4/tcp/4001/ws': '1.2.3.4',
      '/ip4/1.2.3.4/udp/4001/quic-v1': '1.2.3.4',
      '/ip6/2001:db8:0:0:0:0:0:1/tcp/1': '2001:db8::1',
      '/ip6zone/eth0/ip6/fe80::1/tcp/1': 'fe80::1',
      '/ip6/::ffff:1.2.3.4/tcp/1': '1.2.3.4',
      '/ip6/0:0:0:0:0:ffff:102:304/tcp/1': '1.2.3.4',
      [`/ip4/1.2.3.4/tcp/1/p2p/${RELAY}`]: '1.2.3.4',
      '/ip4/1.1.1.1/tcp/1/ip4/2.2.2.2': '1.1.1.1'
    })) {
      it(`is ${expected} for ${address}`, () => {
        expect(ipOf(multiaddr(address))?.toString()).to.equal(expected)
      })
    }

    for (const address of [
      '/',
      '/dns4/example.com/tcp/1',
      '/dnsaddr/example.com',
      '/memory/1',
      '/unix/tmp',
      '/tcp/1',
      '/tcp/1/ip4/1.2.3.4',
      '/ip6zone/eth0',
      `/p2p/${RELAY}`,
      `/p2p/${RELAY}/p2p-circuit`,
      `/ip4/1.2.3.4/tcp/1/p2p/${RELAY}/p2p-circuit`,
      `/ip6/2001:db8::1/tcp/1/p2p/${RELAY}/p2p-circuit/p2p/${RELAY}`
    ]) {
      it(`is none for ${address}`, () => {
        expect(ipOf(multiaddr(address))).to.be.undefined()
      })
    }

    it('is none if the multiaddr was made without validation and has none', () => {
      const [first] = multiaddr('/ip4/1.2.3.4').getComponents()

      for (const value of ['', 'eth0', '1.2.3.4.5', '999.1.1.1', undefined]) {
        expect(ipOf({ getComponents: () => [{ ...first, value }] } as any)).to.be.undefined()
      }
    })
  })

  describe('the network of an address', () => {
    it('has the text of its first address', () => {
      expect(ip('1.2.3.4').network(32)).to.equal('1.2.3.4/32')
      expect(ip('1.2.3.4').network(24)).to.equal('1.2.3.0/24')
      expect(ip('1.2.200.4').network(17)).to.equal('1.2.128.0/17')
      expect(ip('1.2.3.4').network(0)).to.equal('0.0.0.0/0')
      expect(ip('2001:db8:1:1ff::9').network(56)).to.equal('2001:db8:1:100::/56')
      expect(ip('2001:db8:1:1ff::9').network(128)).to.equal('2001:db8:1:1ff::9/128')
      expect(ip('2001:db8:1:1ff::9').network(0)).to.equal('::/0')
    })

    it('is that of all addresses with the same first bits, and of no others', () => {
      // bit by bit, as the definition has it
      fc.assert(fc.property(
        fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 128n - 1n })),
        fc.nat({ max: 128 }),
        fc.boolean(),
        ([a, b], prefixLength, near) => {
          // two random addresses share few bits
          const other = near ? a ^ (b >> 60n) : b
          const shift = BigInt(128 - prefixLength)
          const [left, right] = [ip(ipv6(a)), ip(ipv6(other))]
          fc.pre(left.family === 'ipv6' && right.family === 'ipv6')

          expect(left.network(prefixLength) === right.network(prefixLength)).to.equal(a >> shift === other >> shift)
        }
      ))
      fc.assert(fc.property(fc.nat({ max: 2 ** 32 - 1 }), fc.nat({ max: 2 ** 16 }), fc.nat({ max: 32 }), (a, difference, prefixLength) => {
        const other = (a ^ difference) >>> 0
        const size = 2 ** (32 - prefixLength)

        expect(ip(ipv4(a)).network(prefixLength) === ip(ipv4(other)).network(prefixLength)).to.equal(Math.floor(a / size) === Math.floor(other / size))
      }))
    })

    it('is the same for an IPv4 address and the one that it is mapped to', () => {
      fc.assert(fc.property(fc.ipV4(), fc.nat({ max: 32 }), (text, prefixLength) => {
        const mapped = ip(`::ffff:${text}`)

        expect(mapped.family).to.equal('ipv4')
        expect(mapped.toString()).to.equal(text)
        expect(mapped).to.deep.equal(ip(text))
        expect(mapped.network(prefixLength)).to.equal(ip(text).network(prefixLength))
      }))
    })
  })

  describe('a network in a configuration', () => {
    for (const [text, expected] of Object.entries({
      '10.0.0.0/8': '10.0.0.0/8',
      '10.1.2.3/8': '10.0.0.0/8',
      '1.2.3.4/32': '1.2.3.4/32',
      '1.2.3.4/0': '0.0.0.0/0',
      '::1/128': '::1/128',
      '2001:DB8:0:1ff::/56': '2001:db8:0:100::/56',
      '::/0': '::/0',
      '::ffff:10.1.2.3/104': '10.0.0.0/8',
      '::ffff:0:0/96': '0.0.0.0/0',
      '::ffff:1.2.3.4/128': '1.2.3.4/32'
    })) {
      it(`${text} is ${expected}`, () => {
        expect(parseNetwork(text, 'network').toString()).to.equal(expected)
      })
    }

    for (const text of ['', '/', '10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8.5', '10.0.0.0/x', '10.0.0/8', '010.0.0.0/8', '0x0a.0.0.0/8', '256.0.0.0/8', '::/129', ':::/1', '::ffff:1.2.3.4/95', 'example.com/8', '10.0.0.0/8/8', 8, null, undefined, {}]) {
      it(`${String(JSON.stringify(text))} is an error`, () => {
        expect(() => parseNetwork(text as string, 'limits.somewhere.network')).to.throw(InvalidLimitError)
          .with.property('path', 'limits.somewhere.network')
      })
    }
  })

  it('have as many bits as their family', () => {
    expect(BITS).to.deep.equal({ ipv4: 32, ipv6: 128 })
  })
})

function ipv4 (bits: number): string {
  return [24, 16, 8, 0].map(shift => bits >>> shift & 0xff).join('.')
}

function ipv6 (bits: bigint): string {
  return bits.toString(16).padStart(32, '0').match(/.{4}/g)?.join(':') ?? ''
}
