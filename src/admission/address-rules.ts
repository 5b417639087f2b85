/**
 * @file What the limits by address have in common: rules for every network of
 * some size and for single networks, how they are checked, and which networks
 * no default limits.
 */

import { InvalidLimitError } from '../core/errors.ts'
import { BITS, FAMILIES, parseNetwork } from './addresses.ts'
import { assertArray, assertFields } from './checks.ts'
import type { IpFamily } from './addresses.ts'

/**
 * For every network of a size, each by itself
 */
export interface PrefixRule {
  /** How many leading bits the addresses of one network share: up to 32 for IPv4, up to 128 for IPv6 */
  prefixLength: number
}

/**
 * For one network as a whole
 */
export interface NetworkRule {
  /** Such as `10.0.0.0/8`, bits beyond the prefix length are ignored */
  network: string
}

/**
 * Rules for the addresses of one family
 */
export interface AddressRules<T> {
  /**
   * An address has to pass all of them, an empty list is no rule. Who gives this
   * list means it: it holds for private and link-local addresses as well, which
   * the defaults leave alone.
   */
  prefixes?: Array<PrefixRule & T>

  /**
   * Rules for the addresses in these networks, instead of those in `prefixes`.
   * Loopback networks, and with the default `prefixes` private and link-local
   * networks too, have no limit unless they are named here or the list is empty.
   */
  networks?: Array<NetworkRule & T>
}

/**
 * Rules with nothing left to inherit
 */
export type ConcreteAddressRules<T> = Required<AddressRules<T>>

export type RulesByFamily<T> = Record<IpFamily, ConcreteAddressRules<T>>

/**
 * What a kind of rule says about an address
 */
export interface RuleKind<T> {
  /** The fields of a rule */
  fields: ReadonlyArray<keyof T & string>
  /** Checks the fields of a rule */
  read(rule: Partial<T>, path: string): T
  /** Lets everything through */
  unlimited: T
  /** In place of `prefixes` that are left out */
  defaults: Readonly<Record<IpFamily, ReadonlyArray<PrefixRule & T>>>
}

/**
 * Never limited by default, as in go-libp2p: what comes from this machine
 */
export const LOOPBACK: Readonly<Record<IpFamily, readonly string[]>> = {
  ipv4: ['127.0.0.0/8'],
  ipv6: ['::1/128']
}

/**
 * Not limited by the default `prefixes`: behind such addresses are the machines
 * of one's own network, or a gateway with many machines behind it
 */
export const PRIVATE: Readonly<Record<IpFamily, readonly string[]>> = {
  ipv4: [
    // RFC 1918
    '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16',
    // link-local, RFC 3927
    '169.254.0.0/16',
    // carrier-grade NAT, RFC 6598
    '100.64.0.0/10'
  ],
  ipv6: [
    // unique local, RFC 4193
    'fc00::/7',
    // link-local, RFC 4291
    'fe80::/10'
  ]
}

/**
 * Which networks have no limit although nobody has named them
 *
 * @param given - what is configured for the family
 */
export type Exemptions = (given: AddressRules<unknown>, family: IpFamily) => readonly string[]

/**
 * Where only `networks` are given, go-libp2p limits loopback addresses by
 * `prefixes`. That cuts a node off from its own machine by accident, so here an
 * empty list is needed for it.
 */
export const localNetworks: Exemptions = (given, family) => {
  if (given.networks?.length === 0) {
    return []
  }

  return given.prefixes === undefined ? [...LOOPBACK[family], ...PRIVATE[family]] : LOOPBACK[family]
}

/**
 * Checks rules and puts the defaults in place of what is left out. What is
 * returned can be given again, and means the same.
 *
 * @param given - by family, lists that are left out have their default
 * @param path - where `given` stands in the configuration, for errors
 * @param kind - what a rule says, and the defaults
 * @param exemptions - what has no limit although nobody has named it
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function resolveAddressRules<T extends object> (given: Partial<Record<IpFamily, AddressRules<T>>>, path: string, kind: RuleKind<T>, exemptions: Exemptions = localNetworks): RulesByFamily<T> {
  const [ipv4, ipv6] = FAMILIES.map(family => resolveFamily(given[family], family, `${path}.${family}`, kind, exemptions))

  return { ipv4, ipv6 }
}

function resolveFamily<T extends object> (given: AddressRules<T> = {}, family: IpFamily, path: string, kind: RuleKind<T>, exemptions: Exemptions): ConcreteAddressRules<T> {
  assertFields(given, path, ['prefixes', 'networks'])

  const { prefixes = kind.defaults[family], networks = [] } = given
  assertArray(prefixes, `${path}.prefixes`)
  assertArray(networks, `${path}.networks`)

  const named = new Set<string>()

  return Object.freeze({
    prefixes: prefixes.map((rule, i) => {
      const at = `${path}.prefixes[${i}]`
      assertFields(rule, at, ['prefixLength', ...kind.fields])
      const { prefixLength } = rule

      if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > BITS[family]) {
        throw new InvalidLimitError(`${at}.prefixLength`, prefixLength, `an integer from 0 to ${BITS[family]}`)
      }

      return Object.freeze({ prefixLength, ...kind.read(rule, at) })
    }),
    networks: networks.map((rule, i) => {
      const at = `${path}.networks[${i}]`
      assertFields(rule, at, ['network', ...kind.fields])
      const network = parseNetwork(rule.network, `${at}.network`)

      if (network.family !== family) {
        throw new InvalidLimitError(`${at}.network`, rule.network, `an ${family} network, of which IPv4-mapped ones are ipv4`)
      }

      named.add(network.toString())

      return Object.freeze({ network: network.toString(), ...kind.read(rule, at) })
    }).concat(
      exemptions(given, family)
        .filter(network => !named.has(network))
        .map(network => Object.freeze({ network, ...kind.unlimited }))
    )
  })
}
