/**
 * @file How often connections may be opened, by address: shape, defaults and
 * validation.
 */

import { resolveAddressRules } from './address-rules.ts'
import { FAMILIES } from './addresses.ts'
import { assertFields } from './checks.ts'
import { RATE_FIELDS, readRate, UNLIMITED } from './token-bucket.ts'
import type { AddressRules, RuleKind, RulesByFamily } from './address-rules.ts'
import type { Rate } from './token-bucket.ts'

/**
 * How often connections may be opened. Of the networks named in `networks` all
 * that an address is in must allow it, and then nothing else is asked. All other
 * addresses need to be allowed by all `prefixes` and then by `global`.
 */
export interface ConnectionRates {
  /**
   * All addresses that no network is named for, and endpoints without an IP
   * address
   *
   * @default unlimited
   */
  global?: Rate

  /**
   * @default 0.2 per second and a burst of 16 per address; loopback, private and link-local networks unlimited
   */
  ipv4?: AddressRules<Rate>

  /**
   * @default 0.2 per second and a burst of 16 per /56, 0.5 and 80 per /48; loopback, unique local and link-local networks unlimited
   */
  ipv6?: AddressRules<Rate>
}

export type ConcreteConnectionRates = RulesByFamily<Rate> & { global: Rate }

export const RATES_PATH = 'limits.rates'

/**
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/conn_rate_limiter.go#L10
 */
const RATES: RuleKind<Rate> = {
  fields: RATE_FIELDS,
  read: readRate,
  unlimited: UNLIMITED,
  defaults: {
    ipv4: [{ prefixLength: 32, perSecond: 0.2, burst: 16 }],
    ipv6: [{ prefixLength: 56, perSecond: 0.2, burst: 16 }, { prefixLength: 48, perSecond: 0.5, burst: 80 }]
  }
}

/**
 * Checks rates and puts the defaults in place of what is left out
 *
 * @param given - what is left out has its default
 * @param path - where `given` stands in the configuration, for errors
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function resolveConnectionRates (given: ConnectionRates = {}, path: string = RATES_PATH): ConcreteConnectionRates {
  assertFields(given, path, ['global', ...FAMILIES])

  const { global = UNLIMITED } = given
  assertFields(global, `${path}.global`, RATE_FIELDS)

  return Object.freeze({
    global: readRate(global, `${path}.global`),
    ...resolveAddressRules(given, path, RATES)
  })
}
