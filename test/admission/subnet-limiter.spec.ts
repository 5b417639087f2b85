import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { SubnetLimiter } from '../../src/admission/subnet-limiter.ts'
import { resolveSubnetLimits } from '../../src/admission/subnet-limits.ts'
import { InvalidLimitError } from '../../src/core/errors.ts'
import vectors from '../fixtures/vectors/conn-limiter.json' with { type: 'json' }
import defaults from '../fixtures/vectors/limits-defaults.json' with { type: 'json' }
import { ip, someIp, someIpv4 } from './ips.ts'
import { subnetLimits } from './vectors.ts'
import type { SubnetCase, SubnetOp } from './vectors.ts'
import type { ConcreteAddressRules } from '../../src/admission/address-rules.ts'
import type { ConcreteSubnetLimits, ConnectionCount } from '../../src/admission/subnet-limits.ts'

const cases = vectors.cases as SubnetCase[]

/**
 * A network in the allowlist raises the limit for its addresses (B98): the
 * manager lets allowlisted addresses pass every gate, so it does not ask this
 * limiter about them.
 */
const FOR_THE_MANAGER = [
  'allowlisted-network-raises-limit',
  'allowlisted-network-explicit-limit-stays',
  'allowlisted-peer-entry-does-not-raise',
  'allowlisted-wide-network-can-lower'
]

/**
 * What is asserted in place of a quirk of go-libp2p, and why
 */
const QUIRKS: Record<string, { instead: string, ops?: SubnetOp[] }> = {
  'too-long-prefix-refuses-all': {
    instead: 'the configuration is refused, because otherwise the mistake shows only at the first connection'
  },
  'own-prefixes-drop-loopback': {
    instead: 'loopback stays unlimited beside own networks, because nobody means to limit it without naming it; an empty list is none at all',
    ops: [
      { op: 'add', ip: '127.0.0.1', ok: true, times: 100 },
      { op: 'add', ip: '::1', ok: true, times: 8 },
      { op: 'add', ip: '::1', ok: false }
    ]
  },
  'remove-other-address-of-subnet': {
    instead: 'all levels are taken back or none, because otherwise one more than the limit gets in',
    ops: [
      { op: 'add', ip: '1.2.3.4', ok: true, times: 2 },
      { op: 'remove', ip: '1.2.3.5', ok: false },
      { op: 'add', ip: '1.2.3.6', ok: true },
      { op: 'add', ip: '1.2.3.6', ok: false },
      { op: 'add', ip: '1.2.3.7', ok: false }
    ]
  },
  'v4-mapped-v6': {
    instead: 'a mapped address is the IPv4 one, because otherwise everybody has two and all mapped ones share a /56',
    ops: [
      { op: 'add', ip: '1.2.3.4', ok: true, times: 4 },
      { op: 'add', ip: '::ffff:1.2.3.4', ok: true, times: 4 },
      { op: 'add', ip: '1.2.3.4', ok: false },
      { op: 'add', ip: '::ffff:1.2.3.4', ok: false },
      { op: 'add', ip: '::ffff:9.8.7.6', ok: true, times: 8 },
      { op: 'add', ip: '::ffff:5.5.5.5', ok: true },
      { op: 'add', ip: '::ffff:127.0.0.1', ok: true, times: 100 }
    ]
  }
}

function run (limiter: SubnetLimiter, ops: SubnetOp[]): void {
  for (const [i, { op, ip: text, ok, times = 1 }] of ops.entries()) {
    for (let n = 0; n < times; n++) {
      const result = op === 'add' ? limiter.add(ip(text)) === undefined : limiter.remove(ip(text))

      expect(result).to.equal(ok, `op ${i} ${op} ${text}, time ${n + 1}`)
    }
  }
}

describe('admission: connections by address', () => {
  describe('vectors', () => {
    for (const { id, config, ops, goQuirk } of cases) {
      if (config.allowlist !== undefined) {
        it.skip(`${id}: in the tests of the manager`)
      } else if (goQuirk === undefined) {
        it(id, () => {
          run(new SubnetLimiter(subnetLimits(config)), ops)
        })
      } else if (QUIRKS[id].ops === undefined) {
        it(`${id}: ${QUIRKS[id].instead}`, () => {
          expect(() => new SubnetLimiter(subnetLimits(config))).to.throw(InvalidLimitError)
            .that.includes({ path: 'limits.subnets.ipv4.prefixes[1].prefixLength', value: 33 })
        })
      } else {
        it(`${id}: ${QUIRKS[id].instead}`, () => {
          run(new SubnetLimiter(subnetLimits(config)), QUIRKS[id].ops ?? [])
        })
      }
    }

    it('are all run here but for those with an allowlist', () => {
      expect(cases.filter(({ config }) => config.allowlist !== undefined).map(({ id }) => id)).to.deep.equal(FOR_THE_MANAGER)
      expect(cases.filter(({ goQuirk, config }) => goQuirk !== undefined && config.allowlist === undefined).map(({ id }) => id)).to.have.members(Object.keys(QUIRKS))
    })
  })

  describe('defaults', () => {
    it('are the numbers of go-libp2p', () => {
      const { subnetV4, subnetV6, prefixesV4, prefixesV6 } = defaults.connLimiter
      const { ipv4, ipv6 } = resolveSubnetLimits()
      const expected = subnetLimits({ subnetV4, subnetV6, prefixesV4, prefixesV6 })

      expect(ipv4.prefixes).to.deep.equal(expected.ipv4?.prefixes)
      expect(ipv6.prefixes).to.deep.equal(expected.ipv6?.prefixes)
      expect(ipv4.networks).to.deep.include.members(expected.ipv4?.networks ?? [])
      expect(ipv6.networks).to.deep.include.members(expected.ipv6?.networks ?? [])
    })

    const PRIVATE = ['10.255.0.1', '172.16.0.1', '172.31.255.1', '192.168.1.1', '169.254.1.1', '100.64.0.1', '100.127.255.1', 'fc00::1', 'fdff::1', 'fe80::1', 'febf::1']
    const PUBLIC = ['9.255.0.1', '11.0.0.1', '172.15.0.1', '172.32.0.1', '192.169.1.1', '169.253.1.1', '100.63.0.1', '100.128.0.1', 'fb00::1', 'fe00::1', 'fec0::1']
    const admitted = (limiter: SubnetLimiter, text: string): number => {
      let n = 0

      while (n < 50 && limiter.add(ip(text)) === undefined) {
        n++
      }

      return n
    }

    for (const text of PRIVATE) {
      it(`leave ${text} alone`, () => {
        expect(admitted(new SubnetLimiter(), text)).to.equal(50)
      })
    }

    for (const text of PUBLIC) {
      it(`limit ${text}`, () => {
        expect(admitted(new SubnetLimiter(), text)).to.equal(8)
      })
    }

    it('leave private networks alone beside own networks, but not the one that is named', () => {
      const limiter = new SubnetLimiter({ ipv4: { networks: [{ network: '10.0.0.1/8', connections: 2 }, { network: '192.168.7.0/24', connections: 3 }] } })

      expect(admitted(limiter, '10.1.1.1')).to.equal(2)
      expect(admitted(limiter, '192.168.7.1')).to.equal(3)
      expect(admitted(limiter, '192.168.8.1')).to.equal(50)
      expect(admitted(limiter, '172.16.0.1')).to.equal(50)
    })

    it('limit what is left alone if that list is empty', () => {
      const limiter = new SubnetLimiter({ ipv4: { networks: [] }, ipv6: { networks: [] } })

      for (const text of ['127.0.0.1', '10.0.0.1', '::1', 'fe80::1']) {
        expect(admitted(limiter, text)).to.equal(8)
      }
    })

    it('leave only loopback alone if prefixes are given, those hold for private networks too', () => {
      const limiter = new SubnetLimiter({ ipv4: { prefixes: [{ prefixLength: 32, connections: 4 }] } })

      expect(admitted(limiter, '10.0.0.1')).to.equal(4)
      expect(admitted(limiter, '127.0.0.1')).to.equal(50)
      expect(admitted(limiter, 'fe80::1')).to.equal(50)
    })

    it('mean the same when they are given', () => {
      for (const given of [undefined, {}, { ipv4: { networks: [] } }, { ipv4: { prefixes: [{ prefixLength: 24, connections: 1 }] }, ipv6: { networks: [{ network: '::/0', connections: Infinity }] } }]) {
        const concrete = resolveSubnetLimits(given)

        expect(resolveSubnetLimits(concrete)).to.deep.equal(concrete)
      }
    })
  })

  describe('refusals', () => {
    it('name the network, what it has and may have, and the option', () => {
      const limiter = new SubnetLimiter({
        ipv4: {
          prefixes: [{ prefixLength: 32, connections: Infinity }, { prefixLength: 24, connections: 1 }],
          networks: [{ network: '9.0.0.0/8', connections: 0 }]
        }
      })

      expect(limiter.add(ip('1.2.3.4'))).to.be.undefined()
      expect(limiter.add(ip('1.2.3.5'))).to.deep.equal({
        network: '1.2.3.0/24',
        current: 1,
        limit: 1,
        option: 'limits.subnets.ipv4.prefixes[1].connections'
      })
      expect(limiter.add(ip('9.1.1.1'))).to.deep.equal({
        network: '9.0.0.0/8',
        current: 0,
        limit: 0,
        option: 'limits.subnets.ipv4.networks[0].connections'
      })
    })
  })

  describe('new limits while there are connections', () => {
    it('find everything counted', () => {
      const limiter = new SubnetLimiter({ ipv4: { networks: [{ network: '1.2.0.0/16', connections: 100 }] } })
      const addresses = ['1.2.3.4', '1.2.3.4', '1.2.3.5', '1.2.9.9']

      addresses.forEach(text => { limiter.add(ip(text)) })
      limiter.setConfig({ ipv4: { prefixes: [{ prefixLength: 24, connections: 4 }] } })

      expect(limiter.add(ip('1.2.3.6'))).to.be.undefined()
      expect(limiter.add(ip('1.2.3.6'))).to.include({ network: '1.2.3.0/24', current: 4 })

      // below what is in use
      limiter.setConfig({ ipv4: { prefixes: [{ prefixLength: 16, connections: 2 }] } })

      expect(limiter.add(ip('1.2.3.6'))).to.include({ network: '1.2.0.0/16', current: 5, limit: 2 })

      for (const text of [...addresses, '1.2.3.6']) {
        expect(limiter.remove(ip(text))).to.be.true()
      }

      expect(limiter.size).to.equal(0)
    })

    it('change nothing if they make no sense', () => {
      const limiter = new SubnetLimiter({ ipv4: { prefixes: [{ prefixLength: 32, connections: 1 }] } })
      limiter.add(ip('1.2.3.4'))

      expect(() => { limiter.setConfig({ ipv6: { prefixes: [{ prefixLength: 129, connections: 1 }] } }) }).to.throw(InvalidLimitError)
      expect(limiter.add(ip('1.2.3.4'))).to.include({ current: 1, limit: 1 })
      expect(limiter.remove(ip('1.2.3.4'))).to.be.true()
      expect(limiter.size).to.equal(0)
    })
  })

  describe('configuration', () => {
    for (const [path, limits] of Object.entries<unknown>({
      'limits.subnets': null,
      'limits.subnets.ipv5': { ipv5: {} },
      'limits.subnets.ipv4': { ipv4: [] },
      'limits.subnets.ipv6': { ipv6: null },
      'limits.subnets.ipv4.subnets': { ipv4: { subnets: [] } },
      'limits.subnets.ipv4.prefixes': { ipv4: { prefixes: {} } },
      'limits.subnets.ipv4.networks': { ipv4: { networks: '10.0.0.0/8' } },
      'limits.subnets.ipv4.prefixes[0]': { ipv4: { prefixes: [32] } },
      'limits.subnets.ipv4.prefixes[0].prefixLength': { ipv4: { prefixes: [{ prefixLength: 33, connections: 1 }] } },
      'limits.subnets.ipv6.prefixes[1].prefixLength': { ipv6: { prefixes: [{ prefixLength: 128, connections: 1 }, { prefixLength: 129, connections: 1 }] } },
      'limits.subnets.ipv4.prefixes[1].prefixLength': { ipv4: { prefixes: [{ prefixLength: 0, connections: 1 }, { prefixLength: -1, connections: 1 }] } },
      'limits.subnets.ipv6.prefixes[0].prefixLength': { ipv6: { prefixes: [{ prefixLength: 56.5, connections: 1 }] } },
      'limits.subnets.ipv6.prefixes[2].prefixLength': { ipv6: { prefixes: [{ prefixLength: 1, connections: 1 }, { prefixLength: 1, connections: 1 }, { connections: 1 }] } },
      'limits.subnets.ipv4.prefixes[0].connections': { ipv4: { prefixes: [{ prefixLength: 32, connections: -1 }] } },
      'limits.subnets.ipv4.prefixes[1].connections': { ipv4: { prefixes: [{ prefixLength: 32, connections: 0 }, { prefixLength: 32, connections: 1.5 }] } },
      'limits.subnets.ipv6.prefixes[0].connections': { ipv6: { prefixes: [{ prefixLength: 32, connections: NaN }] } },
      'limits.subnets.ipv6.prefixes[1].connections': { ipv6: { prefixes: [{ prefixLength: 32, connections: Infinity }, { prefixLength: 32 }] } },
      'limits.subnets.ipv4.prefixes[0].connCount': { ipv4: { prefixes: [{ prefixLength: 32, connCount: 1 }] } },
      'limits.subnets.ipv4.networks[0].network': { ipv4: { networks: [{ network: '10.0.0.0', connections: 1 }] } },
      'limits.subnets.ipv4.networks[1].network': { ipv4: { networks: [{ network: '10.0.0.0/8', connections: 1 }, { network: '2001:db8::/32', connections: 1 }] } },
      'limits.subnets.ipv6.networks[0].network': { ipv6: { networks: [{ network: '::ffff:10.0.0.0/104', connections: 1 }] } },
      'limits.subnets.ipv4.networks[0].connections': { ipv4: { networks: [{ network: '10.0.0.0/8', connections: '8' }] } }
    })) {
      it(`names ${path} if it makes no sense`, () => {
        expect(() => new SubnetLimiter(limits as any)).to.throw(InvalidLimitError)
          .with.property('path', path)
      })
    }
  })

  describe('any order of adding and removing', () => {
    const connections = fc.constantFrom(0, 1, 2, 5, Infinity)
    const rules = (bits: number, networks: string[]): fc.Arbitrary<ConcreteAddressRules<ConnectionCount>> => fc.record({
      prefixes: fc.array(fc.record({ prefixLength: fc.nat({ max: bits }), connections }), { maxLength: 3 }),
      networks: fc.array(fc.record({ network: fc.constantFrom(...networks), connections }), { maxLength: 3 })
    })
    const limits = fc.record({
      ipv4: rules(32, ['0.0.0.0/0', '1.0.0.0/8', '1.0.0.0/24', '9.128.3.1/32']),
      ipv6: rules(128, ['::/0', '2001:db8:1::/48', '2001:db8:2:100::/56'])
    })
    const steps = fc.array(fc.record({ add: fc.boolean(), text: someIp }), { maxLength: 200 })

    it('is counted as by a naive model, and leaves nothing behind', () => {
      fc.assert(fc.property(limits, limits, steps, steps, (before, after, first, second) => {
        const limiter = new SubnetLimiter(before)
        const model: string[] = []

        for (const [config, ops] of [[before, first], [after, second]] as const) {
          limiter.setConfig(config)

          for (const { add, text } of ops) {
            if (add) {
              const allowed = naive(config, model, text)
              expect(limiter.add(ip(text)) === undefined).to.equal(allowed)

              if (allowed) {
                model.push(text)
              }
            } else {
              const at = model.indexOf(text)
              expect(limiter.remove(ip(text))).to.equal(at !== -1)

              if (at !== -1) {
                model.splice(at, 1)
              }
            }
          }
        }

        for (const text of model) {
          expect(limiter.remove(ip(text))).to.be.true()
        }

        expect(limiter.size).to.equal(0)
      }))
    })

    it('is the same for IPv4 addresses and those that they are mapped to', () => {
      fc.assert(fc.property(limits, fc.array(fc.record({ add: fc.boolean(), text: someIpv4, mapped: fc.boolean() }), { maxLength: 100 }), (config, ops) => {
        const limiter = new SubnetLimiter(config)
        const mixed = new SubnetLimiter(config)

        for (const { add, text, mapped } of ops) {
          const other = ip(mapped ? `::ffff:${text}` : text)

          if (add) {
            expect(mixed.add(other)).to.deep.equal(limiter.add(ip(text)))
          } else {
            expect(mixed.remove(other)).to.equal(limiter.remove(ip(text)))
          }

          expect(mixed.size).to.equal(limiter.size)
        }
      }))
    })

    /**
     * Asks every rule about every connection
     */
    function naive (config: ConcreteSubnetLimits, connected: string[], text: string): boolean {
      const { prefixes, networks } = config[text.includes(':') ? 'ipv6' : 'ipv4']
      const family = connected.filter(other => other.includes(':') === text.includes(':')).map(other => ip(other))
      const address = ip(text)
      const narrowest = networksOf(address, networks.map(({ network }) => network))[0]

      if (narrowest !== undefined) {
        const { connections } = networks[narrowest.i]
        const count = family.filter(other => networksOf(other, networks.map(({ network }) => network))[0]?.network === narrowest.network).length

        return count < connections
      }

      return prefixes.every(({ prefixLength, connections }) => {
        const same = family.filter(other => other.network(prefixLength) === address.network(prefixLength))
        const counted = same.filter(other => networksOf(other, networks.map(({ network }) => network)).length === 0)

        return counted.length < connections
      })
    }

    function networksOf (address: ReturnType<typeof ip>, networks: string[]): Array<{ network: string, i: number, prefixLength: number }> {
      return networks
        .map((network, i) => ({ network, i, prefixLength: Number(network.split('/')[1]) }))
        .filter(({ network, prefixLength }) => address.network(prefixLength) === network)
        .sort((a, b) => b.prefixLength - a.prefixLength)
    }
  })
})
