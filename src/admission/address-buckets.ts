/**
 * @file Token buckets by address, for what limits rates by the network that an
 * address is in.
 */

import { FAMILIES, parseNetwork } from './addresses.ts'
import { NetworkIndex } from './network-index.ts'
import { TokenBuckets, UNLIMITED } from './token-bucket.ts'
import type { RulesByFamily } from './address-rules.ts'
import type { IpAddress, IpFamily } from './addresses.ts'
import type { Rate } from './token-bucket.ts'

/**
 * Why something was refused because it happened too often
 */
export interface RateRefusal {
  /** Whose bucket is empty: a network such as `1.2.3.4/32`, a key, or `global` */
  bucket: string
  rate: Rate
  /** Milliseconds until there is a token again, Infinity if there never will be */
  retryAfter: number
  /** What to change, such as `limits.rates.ipv4.prefixes[0]` */
  option: string
}

interface Rule {
  prefixLength: number
  rate: Rate
  option: string
  // a rule for a single network never has more than one
  buckets: TokenBuckets<IpAddress>
}

const GLOBAL = 'global'

export class AddressBuckets {
  private networks = new NetworkIndex<Rule[]>()
  private prefixes: Record<IpFamily, Rule[]> = { ipv4: [], ipv6: [] }
  private global: Rate = UNLIMITED
  private readonly globalBucket = TokenBuckets.byKey()
  // by what a rule is for, so that a change of rates neither empties nor fills a bucket
  private rules = new Map<string, Rule>()
  private path = ''

  /**
   * How many buckets of networks are kept
   */
  get size (): number {
    let size = 0

    for (const { buckets } of this.rules.values()) {
      size += buckets.size
    }

    return size
  }

  /**
   * Replaces the rates, buckets stay as full as they are
   *
   * @param rates - with nothing left to inherit
   * @param path - where `rates` stand in the configuration
   */
  setConfig (rates: RulesByFamily<Rate> & { global: Rate }, path: string): void {
    const before = this.rules
    this.rules = new Map()
    this.networks = new NetworkIndex()
    this.global = rates.global
    this.path = path

    const makeRule = (name: string, prefixLength: number, { perSecond, burst }: Rate, option: string): Rule => {
      // there may be several for the same networks
      while (this.rules.has(name)) {
        name += '+'
      }

      const buckets = before.get(name)?.buckets ?? TokenBuckets.byNetwork(prefixLength)
      const rule = { prefixLength, rate: Object.freeze({ perSecond, burst }), option, buckets }
      this.rules.set(name, rule)

      return rule
    }

    for (const family of FAMILIES) {
      const { prefixes, networks } = rates[family]

      this.prefixes[family] = prefixes
        .map((rate, i) => makeRule(`${family}/${rate.prefixLength}`, rate.prefixLength, rate, `${path}.${family}.prefixes[${i}]`))
        .sort((a, b) => b.prefixLength - a.prefixLength)

      for (const [i, rate] of networks.entries()) {
        const option = `${path}.${family}.networks[${i}]`
        const network = parseNetwork(rate.network, option)
        const rule = makeRule(network.toString(), network.prefixLength, rate, option)
        this.networks.set(network, [...this.networks.get(network) ?? [], rule])
      }
    }
  }

  /**
   * Takes a token from every bucket that an address has to ask, those of narrow
   * networks before those of wide ones. As in go-libp2p, what was taken before a
   * bucket refuses is not given back.
   *
   * @param ip - undefined for what has no address, which has no network either
   * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/x/rate/limiter.go#L100
   */
  take (ip: IpAddress | undefined, now: number): RateRefusal | undefined {
    if (ip !== undefined) {
      const networks = this.networks.matching(ip.family, ip)

      for (const rules of networks) {
        const refusal = takeAll(rules, ip, now)

        if (refusal !== undefined) {
          return refusal
        }
      }

      if (networks.length > 0) {
        return undefined
      }

      const refusal = takeAll(this.prefixes[ip.family], ip, now)

      if (refusal !== undefined) {
        return refusal
      }
    }

    const retryAfter = this.globalBucket.take(GLOBAL, this.global, now)

    return retryAfter === undefined
      ? undefined
      : { bucket: GLOBAL, rate: this.global, retryAfter, option: `${this.path}.${GLOBAL}` }
  }

  /**
   * Forgets buckets that have been full again for a minute
   */
  removeIdle (now: number): void {
    for (const { buckets } of this.rules.values()) {
      buckets.removeIdle(now)
    }
  }
}

function takeAll (rules: Rule[], ip: IpAddress, now: number): RateRefusal | undefined {
  for (const { prefixLength, rate, option, buckets } of rules) {
    const retryAfter = buckets.take(ip, rate, now)

    if (retryAfter !== undefined) {
      return { bucket: ip.network(prefixLength), rate, retryAfter, option }
    }
  }
}
