/**
 * @file Values by network, found by address without looking at every network.
 */

import { NetworkMap } from './network-map.ts'
import type { IpFamily, IpNetwork, Words } from './addresses.ts'

/**
 * One map for each prefix length that is in use, narrowest first: a look-up
 * takes one step per length, however many networks there are.
 */
export class NetworkIndex<T> {
  private readonly maps: Record<IpFamily, Array<NetworkMap<T>>> = { ipv4: [], ipv6: [] }

  get (network: IpNetwork): T | undefined {
    return this.mapOf(network)?.get(network.address)
  }

  set (network: IpNetwork, value: T): void {
    let map = this.mapOf(network)

    if (map === undefined) {
      const maps = this.maps[network.family]
      map = new NetworkMap(network.prefixLength)
      maps.push(map)
      maps.sort((a, b) => b.prefixLength - a.prefixLength)
    }

    map.set(network.address, value)
  }

  delete (network: IpNetwork): void {
    const map = this.mapOf(network)
    map?.delete(network.address)

    if (map?.size === 0) {
      const maps = this.maps[network.family]
      maps.splice(maps.indexOf(map), 1)
    }
  }

  /**
   * The value of the narrowest network that an address is in
   */
  narrowest (family: IpFamily, ip: Words): T | undefined {
    for (const map of this.maps[family]) {
      const value = map.get(ip)

      if (value !== undefined) {
        return value
      }
    }
  }

  /**
   * The values of all networks that an address is in, narrowest first
   */
  matching (family: IpFamily, ip: Words): T[] {
    const values: T[] = []

    for (const map of this.maps[family]) {
      const value = map.get(ip)

      if (value !== undefined) {
        values.push(value)
      }
    }

    return values
  }

  private mapOf ({ family, prefixLength }: IpNetwork): NetworkMap<T> | undefined {
    return this.maps[family].find(map => map.prefixLength === prefixLength)
  }
}
