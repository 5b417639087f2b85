/**
 * @file Limits how often something happens: connections by address, anything
 * else by key.
 */

import { AddressBuckets } from './address-buckets.ts'
import { RATES_PATH, resolveConnectionRates } from './connection-rates.ts'
import { resolveKeyedRates } from './keyed-rates.ts'
import { TokenBuckets } from './token-bucket.ts'
import type { RateRefusal } from './address-buckets.ts'
import type { IpAddress } from './addresses.ts'
import type { ConnectionRates } from './connection-rates.ts'
import type { ConcreteKeyedRates, KeyedRates } from './keyed-rates.ts'
import type { Clock } from './token-bucket.ts'

export interface RateLimiterInit {
  /**
   * A clock in milliseconds that never goes back
   *
   * @default performance.now
   */
  now?: Clock

  /**
   * Where the rates stand in the configuration, for errors and refusals
   *
   * @default limits.rates
   */
  path?: string
}

/**
 * How often connections are opened, by address
 */
export class ConnectionRateLimiter {
  private readonly buckets = new AddressBuckets()
  private readonly now: Clock
  private readonly path: string

  /**
   * @throws {InvalidLimitError} if the rates make no sense
   */
  constructor (rates?: ConnectionRates, { now = monotonic, path = RATES_PATH }: RateLimiterInit = {}) {
    this.now = now
    this.path = path
    this.setConfig(rates)
  }

  /**
   * How many buckets are kept, for networks that had connections lately
   */
  get size (): number {
    return this.buckets.size
  }

  /**
   * Replaces the rates, buckets stay as full as they are
   *
   * @throws {InvalidLimitError} if the rates make no sense, nothing has changed then
   */
  setConfig (rates?: ConnectionRates): void {
    this.buckets.setConfig(resolveConnectionRates(rates, this.path), this.path)
  }

  /**
   * Takes what one more connection needs, or says why not
   *
   * @param ip - undefined for endpoints without an IP address, only the global
   * rate holds for them
   */
  take (ip: IpAddress | undefined): RateRefusal | undefined {
    return this.buckets.take(ip, this.now())
  }

  /**
   * Forgets buckets that have been full again for a minute
   */
  removeIdle (): void {
    this.buckets.removeIdle(this.now())
  }
}

/**
 * How often something happens, by key, such as a peer that opens streams
 */
export class KeyedRateLimiter {
  private rates!: ConcreteKeyedRates
  private readonly buckets = TokenBuckets.byKey()
  private readonly now: Clock
  private readonly path: string

  /**
   * @throws {InvalidLimitError} if the rates make no sense
   */
  constructor (rates?: KeyedRates, { now = monotonic, path = RATES_PATH }: RateLimiterInit = {}) {
    this.now = now
    this.path = path
    this.setConfig(rates)
  }

  /**
   * How many buckets are kept, for keys that took something lately
   */
  get size (): number {
    return this.buckets.size
  }

  /**
   * Replaces the rates, buckets stay as full as they are
   *
   * @throws {InvalidLimitError} if the rates make no sense, nothing has changed then
   */
  setConfig (rates?: KeyedRates): void {
    this.rates = resolveKeyedRates(rates, this.path)
  }

  /**
   * Takes one for a key, or says why not
   */
  take (key: string): RateRefusal | undefined {
    const override = this.rates.overrides.get(key)
    const rate = override ?? this.rates.default
    const retryAfter = this.buckets.take(key, rate, this.now())

    if (retryAfter !== undefined) {
      const option = override === undefined ? `${this.path}.default` : `${this.path}.overrides[${JSON.stringify(key)}]`

      return { bucket: key, rate, retryAfter, option }
    }
  }

  /**
   * Forgets buckets that have been full again for a minute
   */
  removeIdle (): void {
    this.buckets.removeIdle(this.now())
  }
}

function monotonic (): number {
  return performance.now()
}
