/**
 * @file The vectors about admission in the words of our configuration.
 */

import type { AddressRules } from '../../src/admission/address-rules.ts'
import type { ConnectionRates } from '../../src/admission/connection-rates.ts'
import type { ConnectionCount, SubnetLimits } from '../../src/admission/subnet-limits.ts'
import type { Rate } from '../../src/admission/token-bucket.ts'

interface Quirk {
  why: string
  recommended: string
}

export interface SubnetConfig {
  subnetV4?: Array<{ prefixLength: number, connCount: number }>
  subnetV6?: Array<{ prefixLength: number, connCount: number }>
  prefixesV4?: Array<{ network: string, connCount: number | string }>
  prefixesV6?: Array<{ network: string, connCount: number | string }>
  allowlist?: string[]
}

export interface SubnetOp {
  op: string
  ip: string
  ok: boolean
  times?: number
}

export interface SubnetCase {
  id: string
  config: SubnetConfig
  ops: SubnetOp[]
  goQuirk?: Quirk
}

export function subnetLimits ({ subnetV4, subnetV6, prefixesV4, prefixesV6 }: SubnetConfig): SubnetLimits {
  return {
    ipv4: counts(subnetV4, prefixesV4),
    ipv6: counts(subnetV6, prefixesV6)
  }
}

function counts (subnets: SubnetConfig['subnetV4'], networks: SubnetConfig['prefixesV4']): AddressRules<ConnectionCount> {
  return {
    prefixes: subnets?.map(({ prefixLength, connCount }) => ({ prefixLength, connections: connCount })),
    networks: networks?.map(({ network, connCount }) => ({ network, connections: connCount === 'unlimited' ? Infinity : Number(connCount) }))
  }
}

interface GoRate {
  rps: number
  burst: number
}

export interface RateConfig {
  global?: GoRate | string
  prefixes?: Array<{ network: string, limit: GoRate | string }>
  subnetV4?: Array<{ prefixLength: number } & GoRate>
  subnetV6?: Array<{ prefixLength: number } & GoRate>
}

export interface RateOp {
  /** Seconds */
  t: number
  ip: string | null
  allowed?: boolean
  mustVerify?: boolean
  times?: number
}

export interface RateCase {
  id: string
  kind: string
  config: RateConfig | SubnetConfig | string
  ops: RateOp[]
  goQuirk?: Quirk
}

/**
 * A list that is missing in a vector is empty
 */
export function connectionRates ({ global, prefixes = [], subnetV4 = [], subnetV6 = [] }: RateConfig): ConnectionRates {
  const networks = (v6: boolean): AddressRules<Rate>['networks'] => prefixes
    .filter(({ network }) => network.includes(':') === v6)
    .map(({ network, limit }) => ({ network, ...rate(limit) }))
  const subnets = (list: NonNullable<RateConfig['subnetV4']>): AddressRules<Rate>['prefixes'] => {
    return list.map(({ prefixLength, rps, burst }) => ({ prefixLength, perSecond: rps, burst }))
  }

  return {
    global: global === undefined ? undefined : rate(global),
    ipv4: { prefixes: subnets(subnetV4), networks: networks(false) },
    ipv6: { prefixes: subnets(subnetV6), networks: networks(true) }
  }
}

/**
 * go-libp2p has 0 for unlimited, but for subnets
 */
function rate (limit: GoRate | string): Rate {
  return typeof limit === 'string' || limit.rps === 0
    ? { perSecond: Infinity, burst: Infinity }
    : { perSecond: limit.rps, burst: limit.burst }
}
