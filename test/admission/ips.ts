/**
 * @file IP addresses and random networks for the tests of admission.
 */

import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { ipOf } from '../../src/admission/addresses.ts'
import type { IpAddress } from '../../src/admission/addresses.ts'

/**
 * The IP address of an endpoint, as the manager gets it
 */
export function ip (text: string): IpAddress {
  const address = ipOf(multiaddr(`/${text.includes(':') ? 'ip6' : 'ip4'}/${text}/tcp/4001`))

  if (address === undefined) {
    throw new Error(`${text} is no IP address`)
  }

  return address
}

/**
 * Few IPv4 addresses, so that some share networks
 */
export const someIpv4 = fc.tuple(fc.constantFrom(1, 9), fc.constantFrom(0, 128), fc.constantFrom(0, 3), fc.integer({ min: 1, max: 4 }))
  .map(octets => octets.join('.'))

/**
 * Few IPv6 addresses, so that some share networks
 */
export const someIpv6 = fc.tuple(fc.constantFrom('1', '2'), fc.constantFrom('100', '1ff', '200'), fc.integer({ min: 1, max: 3 }))
  .map(([a, b, c]) => `2001:db8:${a}:${b}::${c}`)

export const someIp = fc.oneof(someIpv4, someIpv6)
