/**
 * @file Limits connections at a time by address, so that no single host or
 * network takes all there are.
 */

import { BITS, FAMILIES, parseNetwork } from './addresses.ts'
import { NetworkCounts } from './network-counts.ts'
import { NetworkIndex } from './network-index.ts'
import { resolveSubnetLimits, SUBNETS_PATH } from './subnet-limits.ts'
import type { IpAddress, IpFamily, Words } from './addresses.ts'
import type { SubnetLimits } from './subnet-limits.ts'

/**
 * Why a connection was refused
 */
export interface SubnetRefusal {
  /** The network that is full, such as `1.2.3.4/32` */
  network: string
  /** How many connections it has */
  current: number
  /** How many it may have */
  limit: number
  /** What to change, such as `limits.subnets.ipv4.prefixes[0].connections` */
  option: string
}

/**
 * A limit for a single network is one that never sees another network
 */
interface SubnetLimit {
  prefixLength: number
  connections: number
  option: string
  counts: NetworkCounts
}

/**
 * Counts the connections of every address in the networks that limit it. What
 * is counted by address is kept as well: an address can give back only what it
 * has taken, and the limits may change while there are connections.
 */
export class SubnetLimiter {
  private networks = new NetworkIndex<[SubnetLimit]>()
  private prefixes: Record<IpFamily, SubnetLimit[]> = { ipv4: [], ipv6: [] }
  private limits: SubnetLimit[] = []
  private readonly addresses: Record<IpFamily, NetworkCounts> = {
    ipv4: new NetworkCounts(BITS.ipv4),
    ipv6: new NetworkCounts(BITS.ipv6)
  }

  /**
   * @throws {InvalidLimitError} if the limits make no sense
   */
  constructor (limits?: SubnetLimits) {
    this.setConfig(limits)
  }

  /**
   * How many entries are kept, for addresses and networks that have connections
   */
  get size (): number {
    return this.limits.reduce((sum, { counts }) => sum + counts.size, this.addresses.ipv4.size + this.addresses.ipv6.size)
  }

  /**
   * Replaces the limits. All that is counted stays, also where it is more than
   * the new limits allow.
   *
   * @throws {InvalidLimitError} if the limits make no sense, nothing has changed then
   */
  setConfig (limits?: SubnetLimits): void {
    const concrete = resolveSubnetLimits(limits)

    this.networks = new NetworkIndex()
    this.limits = []

    for (const family of FAMILIES) {
      const { prefixes, networks } = concrete[family]

      this.prefixes[family] = prefixes.map(({ prefixLength, connections }, i) => {
        return this.limit(prefixLength, connections, `${SUBNETS_PATH}.${family}.prefixes[${i}].connections`)
      })

      for (const [i, { network, connections }] of networks.entries()) {
        const option = `${SUBNETS_PATH}.${family}.networks[${i}].connections`
        const parsed = parseNetwork(network, option)

        // of two limits for the same network the first holds
        if (this.networks.get(parsed) === undefined) {
          this.networks.set(parsed, [this.limit(parsed.prefixLength, connections, option)])
        }
      }

      for (const [ip, connections] of this.addresses[family]) {
        for (const { counts } of this.governing(family, ip)) {
          counts.set(ip, counts.get(ip) + connections)
        }
      }
    }
  }

  /**
   * Counts a connection, or says why not: then it is counted nowhere
   */
  add (ip: IpAddress): SubnetRefusal | undefined {
    const governing = this.governing(ip.family, ip)

    for (const { prefixLength, connections, option, counts } of governing) {
      const current = counts.get(ip)

      if (current >= connections) {
        return { network: ip.network(prefixLength), current, limit: connections, option }
      }
    }

    this.count(ip)
  }

  /**
   * Counts a connection whether there is room for it or not
   */
  count (ip: IpAddress): void {
    for (const { counts } of this.governing(ip.family, ip)) {
      counts.set(ip, counts.get(ip) + 1)
    }

    const addresses = this.addresses[ip.family]
    addresses.set(ip, addresses.get(ip) + 1)
  }

  /**
   * Takes a connection back
   *
   * @returns false if the address has none, nothing has changed then
   */
  remove (ip: IpAddress): boolean {
    const addresses = this.addresses[ip.family]
    const connections = addresses.get(ip)

    if (connections === 0) {
      return false
    }

    addresses.set(ip, connections - 1)

    for (const { counts } of this.governing(ip.family, ip)) {
      counts.set(ip, counts.get(ip) - 1)
    }

    return true
  }

  /**
   * The limits that an address has to pass: that of the narrowest of the single
   * networks, or those for all networks of a size
   */
  private governing (family: IpFamily, ip: Words): readonly SubnetLimit[] {
    return this.networks.narrowest(family, ip) ?? this.prefixes[family]
  }

  private limit (prefixLength: number, connections: number, option: string): SubnetLimit {
    const limit = { prefixLength, connections, option, counts: new NetworkCounts(prefixLength) }
    this.limits.push(limit)

    return limit
  }
}
