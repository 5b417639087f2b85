/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { resolveConnectionRates } from '../../src/admission/connection-rates.ts'
import { ConnectionRateLimiter, KeyedRateLimiter } from '../../src/admission/rate-limiter.ts'
import { SourceAddressVerifier } from '../../src/admission/source-address-verifier.ts'
import { InvalidLimitError } from '../../src/core/errors.ts'
import defaults from '../fixtures/vectors/limits-defaults.json' with { type: 'json' }
import vectors from '../fixtures/vectors/rate-limiter.json' with { type: 'json' }
import { ip, someIp } from './ips.ts'
import { connectionRates, subnetLimits } from './vectors.ts'
import type { RateCase, RateConfig, RateOp, SubnetConfig } from './vectors.ts'

const cases = vectors.cases as RateCase[]

/**
 * What is asserted in place of a quirk of go-libp2p, and why
 */
const QUIRKS: Record<string, { instead: string, ops: RateOp[] }> = {
  'default-no-ip': {
    instead: 'endpoints without an IP address are exempt, because otherwise all of them share one bucket',
    ops: [
      { t: 0, ip: null, allowed: true, times: 100 },
      { t: 0, ip: '2001:db8::1', allowed: true, times: 16 },
      { t: 6, ip: null, allowed: true, times: 100 },
      { t: 6, ip: '1.2.3.4', allowed: true }
    ]
  }
}

const MINUTE = 60_000

class Clock {
  time = 0
  now = (): number => this.time
}

describe('admission: rates', () => {
  let clock: Clock

  beforeEach(() => {
    clock = new Clock()
  })

  describe('vectors', () => {
    for (const { id, kind, config, ops, goQuirk } of cases) {
      it(goQuirk === undefined ? id : `${id}: ${QUIRKS[id].instead}`, () => {
        const ask = kind === 'verify' ? verifier(config as SubnetConfig) : limiter(config as RateConfig | 'default')

        for (const [i, { t, ip: text, allowed, mustVerify, times = 1 }] of (QUIRKS[id]?.ops ?? ops).entries()) {
          clock.time = t * 1_000

          for (let n = 0; n < times; n++) {
            expect(ask(text)).to.equal(allowed ?? mustVerify, `op ${i} ${text} at ${t}, time ${n + 1}`)
          }
        }
      })
    }

    it('are all run', () => {
      expect(new Set(cases.map(({ kind }) => kind))).to.deep.equal(new Set(['rate', 'verify']))
      expect(cases.filter(({ goQuirk }) => goQuirk !== undefined).map(({ id }) => id)).to.have.members(Object.keys(QUIRKS))
    })

    function limiter (config: RateConfig | 'default'): (text: string | null) => boolean {
      const made = new ConnectionRateLimiter(config === 'default' ? undefined : connectionRates(config), clock)

      return text => made.take(text === null ? undefined : ip(text)) === undefined
    }

    function verifier (config: SubnetConfig): (text: string | null) => boolean {
      const made = new SourceAddressVerifier(subnetLimits(config), clock)

      return text => made.mustVerify(text === null ? undefined : ip(text))
    }
  })

  describe('defaults', () => {
    it('are the numbers of go-libp2p', () => {
      const { global, prefixes, subnetV4, subnetV6 } = defaults.connRateLimiter
      const expected = connectionRates({ global, prefixes, subnetV4, subnetV6 })
      const rates = resolveConnectionRates()

      expect(rates.global).to.deep.equal(expected.global)
      expect(rates.ipv4.prefixes).to.deep.equal(expected.ipv4?.prefixes)
      expect(rates.ipv6.prefixes).to.deep.equal(expected.ipv6?.prefixes)
      expect(rates.ipv4.networks).to.deep.include.members(expected.ipv4?.networks ?? [])
      expect(rates.ipv6.networks).to.deep.include.members(expected.ipv6?.networks ?? [])
    })

    it('leave private networks alone', () => {
      const limiter = new ConnectionRateLimiter(undefined, clock)

      for (const text of ['10.0.0.1', '172.16.0.1', '192.168.0.1', '169.254.0.1', '100.64.0.1', 'fc00::1', 'fe80::1', '::ffff:192.168.0.1']) {
        for (let i = 0; i < 100; i++) {
          expect(limiter.take(ip(text))).to.be.undefined()
        }
      }

      expect(limiter.size).to.equal(0)
    })

    it('hold for private networks if prefixes are given', () => {
      const limiter = new ConnectionRateLimiter({ ipv4: { prefixes: [{ prefixLength: 24, perSecond: 0, burst: 1 }] } }, clock)

      expect(limiter.take(ip('10.0.0.1'))).to.be.undefined()
      expect(limiter.take(ip('10.0.0.2'))).to.include({ bucket: '10.0.0.0/24' })
      expect(limiter.take(ip('127.0.0.1'))).to.be.undefined()
      expect(limiter.take(ip('127.0.0.1'))).to.be.undefined()
    })

    it('mean the same when they are given', () => {
      for (const given of [undefined, { ipv4: { networks: [] } }, { global: { perSecond: 1, burst: 2 }, ipv4: { networks: [{ network: '1.2.3.4/8', perSecond: 1, burst: 1 }] } }]) {
        const concrete = resolveConnectionRates(given)

        expect(resolveConnectionRates(concrete)).to.deep.equal(concrete)
      }
    })
  })

  describe('connections', () => {
    it('are refused with the network, the rate, when to retry, and the option', () => {
      const limiter = new ConnectionRateLimiter({
        global: { perSecond: 10, burst: 3 },
        ipv4: {
          prefixes: [{ prefixLength: 16, perSecond: 0, burst: 5 }, { prefixLength: 24, perSecond: 4, burst: 1 }],
          networks: [{ network: '9.0.0.0/8', perSecond: 1, burst: 0 }]
        }
      }, clock)

      expect(limiter.take(ip('1.2.3.4'))).to.be.undefined()
      expect(limiter.take(ip('1.2.3.5'))).to.deep.equal({
        bucket: '1.2.3.0/24',
        rate: { perSecond: 4, burst: 1 },
        retryAfter: 250,
        option: 'limits.rates.ipv4.prefixes[1]'
      })
      expect(limiter.take(ip('9.1.1.1'))).to.deep.equal({
        bucket: '9.0.0.0/8',
        rate: { perSecond: 1, burst: 0 },
        retryAfter: Infinity,
        option: 'limits.rates.ipv4.networks[0]'
      })
      expect(limiter.take(undefined)).to.be.undefined()
      expect(limiter.take(undefined)).to.be.undefined()
      expect(limiter.take(undefined)).to.deep.equal({
        bucket: 'global',
        rate: { perSecond: 10, burst: 3 },
        retryAfter: 100,
        option: 'limits.rates.global'
      })

      clock.time = 250

      expect(limiter.take(ip('1.2.3.5'))).to.be.undefined()
    })

    it('take what they have taken before a wider network refuses', () => {
      const limiter = new ConnectionRateLimiter({
        global: { perSecond: 0, burst: 1 },
        ipv4: { prefixes: [{ prefixLength: 32, perSecond: 0, burst: 2 }] }
      }, clock)

      expect(limiter.take(ip('1.2.3.4'))).to.be.undefined()
      expect(limiter.take(ip('1.2.3.4'))).to.include({ bucket: 'global' })
      expect(limiter.take(ip('1.2.3.4'))).to.include({ bucket: '1.2.3.4/32' })
    })

    it('pass at any speed with a rate of Infinity, and the burst alone with a rate of 0', () => {
      const limiter = new ConnectionRateLimiter({
        ipv4: {
          prefixes: [{ prefixLength: 32, perSecond: 0, burst: 3 }],
          networks: [{ network: '1.0.0.0/8', perSecond: Infinity, burst: 0 }, { network: '2.0.0.0/8', perSecond: 0, burst: Infinity }]
        }
      }, clock)
      const passed = (text: string): number => Array.from({ length: 20 }, () => limiter.take(ip(text))).filter(refusal => refusal === undefined).length

      expect(passed('1.1.1.1')).to.equal(20)
      expect(passed('2.1.1.1')).to.equal(20)
      expect(passed('3.1.1.1')).to.equal(3)

      clock.time = 1e12

      expect(passed('3.1.1.1')).to.equal(0)
    })

    it('are limited by all rules for the same network', () => {
      const limiter = new ConnectionRateLimiter({
        ipv4: {
          prefixes: [{ prefixLength: 24, perSecond: 0, burst: 3 }, { prefixLength: 24, perSecond: 0, burst: 1 }],
          networks: [{ network: '9.0.0.0/8', perSecond: 0, burst: 3 }, { network: '9.0.0.0/8', perSecond: 0, burst: 1 }]
        }
      }, clock)

      for (const text of ['1.1.1.1', '9.1.1.1']) {
        expect(limiter.take(ip(text))).to.be.undefined()
        expect(limiter.take(ip(text))).to.have.nested.property('rate.burst', 1)
      }
    })

    it('are the same for an IPv4 address and the one that it is mapped to', () => {
      const limiter = new ConnectionRateLimiter(undefined, clock)

      for (let i = 0; i < 16; i++) {
        expect(limiter.take(ip(i % 2 === 0 ? '1.2.3.4' : '::ffff:1.2.3.4'))).to.be.undefined()
      }

      expect(limiter.take(ip('::ffff:1.2.3.4'))).to.include({ bucket: '1.2.3.4/32' })
    })
  })

  describe('buckets', () => {
    it('are forgotten once they have been full again for a minute', () => {
      const limiter = new ConnectionRateLimiter(undefined, clock)

      limiter.take(ip('1.2.3.4'))
      limiter.take(ip('2001:db8::1'))
      expect(limiter.size).to.equal(3)

      // 2 s for the /48, 5 s for the others
      clock.time = 2_000 + MINUTE
      limiter.removeIdle()
      expect(limiter.size).to.equal(2)

      clock.time = 5_000 + MINUTE - 1
      limiter.removeIdle()
      expect(limiter.size).to.equal(2)

      clock.time = 5_000 + MINUTE
      limiter.removeIdle()
      expect(limiter.size).to.equal(0)
    })

    it('that never fill again are not forgotten', () => {
      const limiter = new KeyedRateLimiter({ default: { perSecond: 0, burst: 1 } }, clock)

      expect(limiter.take('a')).to.be.undefined()
      clock.time = 1e9
      limiter.removeIdle()
      expect(limiter.size).to.equal(1)
      expect(limiter.take('a')).to.include({ retryAfter: Infinity })
    })

    it('that are full do not pile up before they are forgotten', () => {
      const limiter = new KeyedRateLimiter({ default: { perSecond: 1, burst: 1 } }, clock)

      for (let i = 0; i < 300_000; i++) {
        // 10,000 in a second, all full again a second later
        clock.time += 0.1
        limiter.take(`${i}`)
      }

      expect(limiter.size).to.be.at.most(65_536)

      // those that are not full are all still there
      for (let i = 299_999; i > 299_999 - 9_000; i--) {
        expect(limiter.take(`${i}`)).to.include({ bucket: `${i}` })
      }
    })

    it('stay as full as they are when rates change', () => {
      const rates = (burst: number): Parameters<ConnectionRateLimiter['setConfig']>[0] => ({
        global: { perSecond: 0, burst: burst * 10 },
        ipv4: { prefixes: [{ prefixLength: 32, perSecond: 0, burst }], networks: [{ network: '9.0.0.0/8', perSecond: 0, burst }] }
      })
      const limiter = new ConnectionRateLimiter(rates(2), clock)

      for (const text of ['1.2.3.4', '9.9.9.9']) {
        expect(limiter.take(ip(text))).to.be.undefined()
        expect(limiter.take(ip(text))).to.be.undefined()
      }

      limiter.setConfig(rates(5))

      for (const text of ['1.2.3.4', '9.9.9.9']) {
        expect(limiter.take(ip(text))).to.have.nested.property('rate.burst', 5)
      }

      expect(() => { limiter.setConfig({ global: { perSecond: -1, burst: 1 } }) }).to.throw(InvalidLimitError)
      limiter.setConfig({ ipv4: { prefixes: [{ prefixLength: 24, perSecond: 0, burst: 1 }] } })
      expect(limiter.take(ip('1.2.3.4'))).to.be.undefined()
      expect(limiter.take(ip('1.2.3.4'))).to.include({ bucket: '1.2.3.0/24' })
    })

    it('do not fill when the clock goes back', () => {
      const limiter = new KeyedRateLimiter({ default: { perSecond: 1, burst: 1 } }, clock)
      clock.time = 10_000

      expect(limiter.take('a')).to.be.undefined()
      clock.time = 0
      expect(limiter.take('a')).to.include({ retryAfter: 1_000 })
      clock.time = 10_000
      expect(limiter.take('a')).to.include({ retryAfter: 1_000 })
      clock.time = 11_000
      expect(limiter.take('a')).to.be.undefined()
    })

    it('let through what a naive model does', () => {
      // multiples of 1/8, so that sums are exact
      const rate = fc.record({ perSecond: fc.nat({ max: 16 }).map(n => n / 8), burst: fc.nat({ max: 4 }) })
      const steps = fc.array(fc.record({ after: fc.nat({ max: 20 }), text: someIp, idle: fc.boolean() }), { maxLength: 200 })

      fc.assert(fc.property(rate, rate, rate, steps, (narrow, wide, global, ops) => {
        const limiter = new ConnectionRateLimiter({
          global,
          ipv4: { prefixes: [{ prefixLength: 16, ...wide }, { prefixLength: 32, ...narrow }], networks: [] },
          ipv6: { prefixes: [{ prefixLength: 56, ...narrow }, { prefixLength: 48, ...wide }], networks: [] }
        }, clock)
        const models = new Map<string, Model>()
        const take = (name: string, { perSecond, burst }: { perSecond: number, burst: number }): boolean => {
          const model = models.get(name) ?? new Model(perSecond, burst)
          models.set(name, model)

          return model.take(clock.time / 1_000)
        }

        clock.time = 0

        for (const { after, text, idle } of ops) {
          clock.time += after * 1_000
          const address = ip(text)
          const [short, long] = text.includes(':') ? [48, 56] : [16, 32]

          if (idle) {
            limiter.removeIdle()
          }

          expect(limiter.take(address) === undefined).to.equal(
            take(address.network(long), narrow) && take(address.network(short), wide) && take('global', global)
          )
        }
      }))
    })
  })

  describe('keys', () => {
    it('have a rate each, their own or the default', () => {
      const limiter = new KeyedRateLimiter({
        default: { perSecond: 1, burst: 1 },
        overrides: { a: { perSecond: 2, burst: 2 }, b: { perSecond: Infinity, burst: Infinity } }
      }, { now: clock.now, path: 'limits.rates.streams' })

      expect(limiter.take('a')).to.be.undefined()
      expect(limiter.take('a')).to.be.undefined()
      expect(limiter.take('a')).to.deep.equal({ bucket: 'a', rate: { perSecond: 2, burst: 2 }, retryAfter: 500, option: 'limits.rates.streams.overrides["a"]' })
      expect(limiter.take('c')).to.be.undefined()
      expect(limiter.take('c')).to.deep.equal({ bucket: 'c', rate: { perSecond: 1, burst: 1 }, retryAfter: 1_000, option: 'limits.rates.streams.default' })

      for (let i = 0; i < 100; i++) {
        expect(limiter.take('b')).to.be.undefined()
      }

      clock.time = 1_000
      expect(limiter.take('c')).to.be.undefined()
    })

    it('are unlimited without a configuration', () => {
      const limiter = new KeyedRateLimiter()

      for (let i = 0; i < 100; i++) {
        expect(limiter.take('a')).to.be.undefined()
      }

      expect(limiter.size).to.equal(0)
    })

    it('may have any name', () => {
      const limiter = new KeyedRateLimiter({
        default: { perSecond: 0, burst: 1 },
        overrides: JSON.parse('{ "__proto__": { "perSecond": 0, "burst": 2 } }')
      }, clock)

      for (const key of ['constructor', 'toString', '']) {
        expect(limiter.take(key)).to.be.undefined()
        expect(limiter.take(key)).to.include({ bucket: key })
      }

      expect(limiter.take('__proto__')).to.be.undefined()
      expect(limiter.take('__proto__')).to.be.undefined()
      expect(limiter.take('__proto__')).to.include({ bucket: '__proto__' })
    })

    it('are forgotten and change their rates', () => {
      const limiter = new KeyedRateLimiter({ default: { perSecond: 1, burst: 2 } }, clock)

      limiter.take('a')
      limiter.setConfig({ default: { perSecond: 1, burst: 10 } })
      expect(limiter.take('a')).to.be.undefined()
      expect(limiter.take('a')).to.include({ retryAfter: 1_000 })

      clock.time = 10_000 + MINUTE
      limiter.removeIdle()
      expect(limiter.size).to.equal(0)

      // what is kept is never more than the burst is now
      limiter.take('a')
      limiter.setConfig({ default: { perSecond: 1, burst: 1 } })
      expect(limiter.take('a')).to.be.undefined()
      expect(limiter.take('a')).to.include({ retryAfter: 1_000 })
    })
  })

  describe('verification of source addresses', () => {
    it('is needed where there is no address', () => {
      expect(new SourceAddressVerifier().mustVerify(undefined)).to.be.true()
    })

    it('is always needed where there may be no more than one connection', () => {
      const verifier = new SourceAddressVerifier({ ipv4: { prefixes: [{ prefixLength: 32, connections: 1 }] } }, clock)

      expect(verifier.mustVerify(ip('1.2.3.4'))).to.be.true()
      expect(verifier.size).to.equal(0)
    })

    it('is asked of private addresses too', () => {
      const verifier = new SourceAddressVerifier(undefined, clock)
      const asked = Array.from({ length: 6 }, () => verifier.mustVerify(ip('192.168.1.1')))

      expect(asked).to.deep.equal([false, false, false, false, true, true])
    })

    it('forgets addresses, and follows the limits', () => {
      const verifier = new SourceAddressVerifier(undefined, clock)

      verifier.mustVerify(ip('1.2.3.4'))
      clock.time = 10_000 + MINUTE
      verifier.removeIdle()
      expect(verifier.size).to.equal(0)

      verifier.setConfig({ ipv4: { prefixes: [] } })

      for (let i = 0; i < 100; i++) {
        expect(verifier.mustVerify(ip('1.2.3.4'))).to.be.false()
      }
    })
  })

  describe('configuration', () => {
    const rate = { perSecond: 1, burst: 1 }

    for (const [path, rates] of Object.entries<unknown>({
      'limits.rates': [],
      'limits.rates.ipv5': { ipv5: {} },
      'limits.rates.global': { global: 5 },
      'limits.rates.global.rps': { global: { rps: 1, burst: 1 } },
      'limits.rates.global.perSecond': { global: { perSecond: -1, burst: 1 } },
      'limits.rates.global.burst': { global: { perSecond: 1, burst: 1.5 } },
      'limits.rates.ipv4.prefixes[0].perSecond': { ipv4: { prefixes: [{ prefixLength: 32, perSecond: NaN, burst: 1 }] } },
      'limits.rates.ipv4.prefixes[0].burst': { ipv4: { prefixes: [{ prefixLength: 32, perSecond: 1 }] } },
      'limits.rates.ipv4.prefixes[1].prefixLength': { ipv4: { prefixes: [{ prefixLength: 32, ...rate }, { prefixLength: 33, ...rate }] } },
      'limits.rates.ipv6.prefixes[0].prefixLength': { ipv6: { prefixes: [{ prefixLength: '56', ...rate }] } },
      'limits.rates.ipv6.networks[0].network': { ipv6: { networks: [{ network: '1.2.3.4/8', ...rate }] } },
      'limits.rates.ipv6.networks[0].limit': { ipv6: { networks: [{ network: '::/8', limit: rate }] } }
    })) {
      it(`names ${path} if it makes no sense`, () => {
        expect(() => new ConnectionRateLimiter(rates as any)).to.throw(InvalidLimitError)
          .with.property('path', path)
      })
    }

    for (const [path, rates] of Object.entries<unknown>({
      'limits.rates.streams': null,
      'limits.rates.streams.peers': { peers: {} },
      'limits.rates.streams.default': { default: null },
      'limits.rates.streams.default.perSecond': { default: { burst: 1 } },
      'limits.rates.streams.overrides': { overrides: [] },
      'limits.rates.streams.overrides["a"]': { overrides: { a: 1 } },
      'limits.rates.streams.overrides["a b"].burst': { overrides: { 'a b': { perSecond: 1, burst: -1 } } }
    })) {
      it(`names ${path} if it makes no sense`, () => {
        expect(() => new KeyedRateLimiter(rates as any, { path: 'limits.rates.streams' })).to.throw(InvalidLimitError)
          .with.property('path', path)
      })
    }

    it('of the verifier is that of connections', () => {
      expect(() => new SourceAddressVerifier({ ipv4: { prefixes: [{ prefixLength: 99, connections: 1 }] } })).to.throw(InvalidLimitError)
        .with.property('path', 'limits.subnets.ipv4.prefixes[0].prefixLength')
    })
  })
})

/**
 * Counts tokens second by second, and remembers everything
 */
class Model {
  private readonly perSecond: number
  private readonly burst: number
  private tokens: number
  private time = 0

  constructor (perSecond: number, burst: number) {
    this.perSecond = perSecond
    this.burst = burst
    this.tokens = burst
  }

  take (seconds: number): boolean {
    while (this.time < seconds) {
      this.time++
      this.tokens = Math.min(this.burst, this.tokens + this.perSecond)
    }

    if (this.tokens < 1) {
      return false
    }

    this.tokens -= 1

    return true
  }
}
