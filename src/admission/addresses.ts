/**
 * @file IP addresses and networks: read from multiaddrs and from configuration,
 * and told apart by the bits that a network of some size has in common.
 */

import { CODE_IP4, CODE_IP6, CODE_IP6ZONE, CODE_P2P_CIRCUIT } from '@multiformats/multiaddr'
import ipaddr from 'ipaddr.js'
import { InvalidLimitError } from '../core/errors.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

export type IpFamily = 'ipv4' | 'ipv6'

export const FAMILIES = ['ipv4', 'ipv6'] as const satisfies readonly IpFamily[]

/**
 * How many bits an address has, which is the longest prefix length of its family
 */
export const BITS: Readonly<Record<IpFamily, number>> = { ipv4: 32, ipv6: 128 }

// what IPv4-mapped IPv6 addresses have in front of the IPv4 one. The library's
// isIPv4MappedAddress goes through all special ranges, a match does not
const [MAPPED, MAPPED_BITS] = ipaddr.IPv6.parseCIDR('::ffff:0:0/96')

/**
 * 128 bits, those of an IPv4 address are the first 32
 */
export interface Words {
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
}

// the first 33 serve both families
const MASKS: readonly Words[] = Array.from({ length: BITS.ipv6 + 1 }, (_, prefixLength) => {
  return wordsOf(ipaddr.IPv6.subnetMaskFromPrefixLength(prefixLength).parts)
})

/**
 * An IP address. IPv4-mapped IPv6 addresses (`::ffff:1.2.3.4`) are IPv4 here, so
 * that nobody has two addresses.
 */
export class IpAddress implements Words {
  readonly family: IpFamily
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number

  constructor (address: ipaddr.IPv4 | ipaddr.IPv6) {
    if ('octets' in address) {
      this.family = 'ipv4'
      this.w0 = wordOf(address.octets)
      this.w1 = 0
      this.w2 = 0
      this.w3 = 0

      return
    }

    const { w0, w1, w2, w3 } = wordsOf(address.parts)
    const mapped = address.match(MAPPED, MAPPED_BITS)

    this.family = mapped ? 'ipv4' : 'ipv6'
    this.w0 = mapped ? w3 : w0
    this.w1 = mapped ? 0 : w1
    this.w2 = mapped ? 0 : w2
    this.w3 = mapped ? 0 : w3
  }

  /**
   * The network of a prefix length that the address is in, such as `1.2.3.0/24`
   */
  network (prefixLength: number): string {
    return `${textOf(this.family, masked(this, maskOf(prefixLength)))}/${prefixLength}`
  }

  /**
   * The one way to write this address, as in RFC 5952 for IPv6
   */
  toString (): string {
    return textOf(this.family, this)
  }
}

/**
 * All addresses that have the first bits in common
 */
export class IpNetwork {
  readonly family: IpFamily
  readonly prefixLength: number
  /** One of its addresses */
  readonly address: IpAddress
  private readonly text: string

  constructor (address: IpAddress, prefixLength: number) {
    this.family = address.family
    this.prefixLength = prefixLength
    this.address = address
    this.text = address.network(prefixLength)
  }

  /**
   * The one way to write this network, without the bits of a host
   */
  toString (): string {
    return this.text
  }
}

/**
 * The IP address that a multiaddr begins with, or undefined if it begins with
 * anything else. A zone before the address is skipped. A relayed address has
 * none: the one it begins with is that of the relay.
 */
export function ipOf (address: Multiaddr): IpAddress | undefined {
  const components = address.getComponents()
  const first = components[components[0]?.code === CODE_IP6ZONE ? 1 : 0]

  if (first?.value === undefined || components.some(({ code }) => code === CODE_P2P_CIRCUIT)) {
    return undefined
  }

  try {
    switch (first.code) {
      case CODE_IP4:
        return new IpAddress(ipaddr.IPv4.parse(first.value))
      case CODE_IP6:
        return new IpAddress(ipaddr.IPv6.parse(first.value))
      default:
        return undefined
    }
  } catch {
    // multiaddrs can be made without validation
    return undefined
  }
}

/**
 * Reads a network such as `10.0.0.0/8`. Bits beyond the prefix length are
 * ignored, an IPv4-mapped network is the IPv4 one.
 *
 * @param text - an address, a slash and the prefix length
 * @param path - where it stands in the configuration, for errors
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function parseNetwork (text: string, path: string): IpNetwork {
  const network = typeof text === 'string' ? tryNetwork(text) : undefined

  if (network === undefined) {
    throw new InvalidLimitError(path, text, 'a network with its prefix length, such as "10.0.0.0/8" or "2001:db8::/32"')
  }

  return network
}

/**
 * Like `parseNetwork`, for callers with an error of their own
 */
export function tryNetwork (text: string): IpNetwork | undefined {
  // the library reads 010.0.0.0 as octal and 10.1 as 10.0.0.1, which nobody means
  if (ipaddr.IPv4.isValidCIDRFourPartDecimal(text)) {
    const [address, prefixLength] = ipaddr.IPv4.parseCIDR(text)

    return new IpNetwork(new IpAddress(address), prefixLength)
  }

  if (!ipaddr.IPv6.isValidCIDR(text)) {
    return undefined
  }

  const [address, prefixLength] = ipaddr.IPv6.parseCIDR(text)

  if (!address.match(MAPPED, MAPPED_BITS)) {
    return new IpNetwork(new IpAddress(address), prefixLength)
  }

  // wider than the mapped addresses it would be neither an IPv4 network nor one
  // that any address is in: mapped ones are IPv4
  return prefixLength < MAPPED_BITS ? undefined : new IpNetwork(new IpAddress(address), prefixLength - MAPPED_BITS)
}

/**
 * The bits that the addresses of a network have in common
 *
 * @param prefixLength - up to 32 for IPv4, up to 128 for IPv6
 */
export function maskOf (prefixLength: number): Words {
  return MASKS[prefixLength]
}

export function masked (words: Words, mask: Words): Words {
  return {
    w0: words.w0 & mask.w0,
    w1: words.w1 & mask.w1,
    w2: words.w2 & mask.w2,
    w3: words.w3 & mask.w3
  }
}

function wordOf ([a, b, c, d]: number[]): number {
  return a << 24 | b << 16 | c << 8 | d
}

function wordsOf ([a, b, c, d, e, f, g, h]: number[]): Words {
  return { w0: a << 16 | b, w1: c << 16 | d, w2: e << 16 | f, w3: g << 16 | h }
}

function textOf (family: IpFamily, { w0, w1, w2, w3 }: Words): string {
  return family === 'ipv4'
    ? new ipaddr.IPv4([w0 >>> 24, w0 >>> 16 & 0xff, w0 >>> 8 & 0xff, w0 & 0xff]).toString()
    : new ipaddr.IPv6([w0, w1, w2, w3].flatMap(word => [word >>> 16, word & 0xffff])).toString()
}
