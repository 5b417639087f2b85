/**
 * @file How many connections there may be by address: shape, defaults and
 * validation.
 */

import { resolveAddressRules } from './address-rules.ts'
import { FAMILIES } from './addresses.ts'
import { assertFields, readCount } from './checks.ts'
import type { AddressRules, Exemptions, RuleKind, RulesByFamily } from './address-rules.ts'

export interface ConnectionCount {
  /** How many connections there may be at a time, in both directions together; Infinity is no limit, 0 is none at all */
  connections: number
}

/**
 * How many connections there may be at a time from and to the addresses of a
 * network. `prefixes` limit every network of a size: all of them must have room.
 * `networks` limit one network as a whole: of those that an address is in, the
 * narrowest decides alone, of two for the same network the first.
 */
export interface SubnetLimits {
  /**
   * @default 8 connections per address; loopback, private and link-local networks unlimited
   */
  ipv4?: AddressRules<ConnectionCount>

  /**
   * @default 8 connections per /56, 64 per /48; loopback, unique local and link-local networks unlimited
   */
  ipv6?: AddressRules<ConnectionCount>
}

export type ConcreteSubnetLimits = RulesByFamily<ConnectionCount>

export const SUBNETS_PATH = 'limits.subnets'

/**
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/conn_limiter.go#L33
 */
const COUNTS: RuleKind<ConnectionCount> = {
  fields: ['connections'],
  read: ({ connections }, path) => ({ connections: readCount(connections, `${path}.connections`) }),
  unlimited: { connections: Infinity },
  defaults: {
    ipv4: [{ prefixLength: 32, connections: 8 }],
    ipv6: [{ prefixLength: 56, connections: 8 }, { prefixLength: 48, connections: 64 }]
  }
}

/**
 * Checks limits and puts the defaults in place of what is left out
 *
 * @param given - what is left out has its default
 * @param exemptions - which networks are unlimited although nobody has named them
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function resolveSubnetLimits (given: SubnetLimits = {}, exemptions?: Exemptions): ConcreteSubnetLimits {
  assertFields(given, SUBNETS_PATH, FAMILIES)

  return Object.freeze(resolveAddressRules(given, SUBNETS_PATH, COUNTS, exemptions))
}
