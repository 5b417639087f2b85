/**
 * @file Decides whose address has to be verified before a connection, for
 * transports over which anybody can send with the address of somebody else.
 */

import { AddressBuckets } from './address-buckets.ts'
import { LOOPBACK } from './address-rules.ts'
import { resolveSubnetLimits, SUBNETS_PATH } from './subnet-limits.ts'
import { UNLIMITED } from './token-bucket.ts'
import type { ConcreteAddressRules } from './address-rules.ts'
import type { IpAddress } from './addresses.ts'
import type { ConnectionCount, SubnetLimits } from './subnet-limits.ts'
import type { Clock, Rate } from './token-bucket.ts'

/**
 * One more connection may start without verification every ten seconds
 */
const PER_SECOND = 0.1

/**
 * Lets as many connections of a network start unverified as are half of what it
 * may have: with forged addresses nobody can use up all that an honest one has.
 *
 * Verification takes a round trip and refuses nobody, so here private networks
 * are not exempt, and loopback is only while no `networks` are given, as in
 * go-libp2p.
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/conn_limiter.go#L290
 */
export class SourceAddressVerifier {
  private readonly buckets = new AddressBuckets()
  private readonly now: Clock

  /**
   * @param limits - how many connections there may be by address, as given
   * @throws {InvalidLimitError} if the limits make no sense
   */
  constructor (limits?: SubnetLimits, { now = () => performance.now() }: { now?: Clock } = {}) {
    this.now = now
    this.setConfig(limits)
  }

  /**
   * How many buckets are kept, for networks that had connections lately
   */
  get size (): number {
    return this.buckets.size
  }

  /**
   * Replaces the limits, buckets stay as full as they are
   *
   * @throws {InvalidLimitError} if the limits make no sense, nothing has changed then
   */
  setConfig (limits?: SubnetLimits): void {
    const { ipv4, ipv6 } = resolveSubnetLimits(limits, (given, family) => given.networks === undefined ? LOOPBACK[family] : [])

    this.buckets.setConfig({ global: UNLIMITED, ipv4: halved(ipv4), ipv6: halved(ipv6) }, SUBNETS_PATH)
  }

  /**
   * Whether a connection from this address has to be verified. Counts as one
   * that starts unverified if it does not.
   *
   * @param ip - undefined if there is none that can be read
   */
  mustVerify (ip: IpAddress | undefined): boolean {
    return ip === undefined || this.buckets.take(ip, this.now()) !== undefined
  }

  /**
   * Forgets buckets that have been full again for a minute
   */
  removeIdle (): void {
    this.buckets.removeIdle(this.now())
  }
}

function halved ({ prefixes, networks }: ConcreteAddressRules<ConnectionCount>): ConcreteAddressRules<Rate> {
  return {
    prefixes: prefixes.map(({ prefixLength, connections }) => ({ prefixLength, ...rate(connections) })),
    networks: networks.map(({ network, connections }) => ({ network, ...rate(connections) }))
  }
}

function rate (connections: number): Rate {
  return { perSecond: PER_SECOND, burst: Math.floor(connections / 2) }
}
