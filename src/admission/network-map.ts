/**
 * @file Values by network, for all networks of one family and prefix length.
 */

import { NetworkCounts } from './network-counts.ts'
import type { Words } from './addresses.ts'

/**
 * Finds the value of the network that an address is in
 */
export class NetworkMap<T> {
  // where the value of a network is, 0 if it has none
  private places: NetworkCounts
  private values: Array<T | undefined> = [undefined]
  private free: number[] = []

  constructor (prefixLength: number) {
    this.places = new NetworkCounts(prefixLength)
  }

  get prefixLength (): number {
    return this.places.prefixLength
  }

  get size (): number {
    return this.places.size
  }

  get (ip: Words): T | undefined {
    return this.values[this.places.get(ip)]
  }

  set (ip: Words, value: T): void {
    let place = this.places.get(ip)

    if (place === 0) {
      place = this.free.pop() ?? this.values.length
      this.places.set(ip, place)
    }

    this.values[place] = value
  }

  delete (ip: Words): void {
    const place = this.places.get(ip)

    if (place !== 0) {
      this.places.set(ip, 0)
      this.values[place] = undefined
      this.free.push(place)
    }
  }

  /**
   * Deletes all values that a test is true for
   */
  deleteWhere (test: (value: T) => boolean): void {
    const { places, values } = this

    // all that stays moves together, so that what was needed once is given back
    this.places = new NetworkCounts(places.prefixLength)
    this.values = [undefined]
    this.free = []

    for (const [network, place] of places) {
      const value = values[place] as T

      if (!test(value)) {
        this.set(network, value)
      }
    }
  }
}
