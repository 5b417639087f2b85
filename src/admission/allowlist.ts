/**
 * @file The addresses and peers that limits make an exception for.
 */

import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_IP4, CODE_IP6, CODE_IPCIDR, CODE_P2P, CODE_P2P_CIRCUIT, multiaddr, registry } from '@multiformats/multiaddr'
import { InvalidLimitError } from '../core/errors.ts'
import { BITS, tryNetwork } from './addresses.ts'
import { NetworkIndex } from './network-index.ts'
import type { IpAddress, IpNetwork } from './addresses.ts'
import type { PeerId } from '@libp2p/interface'
import type { Component, Multiaddr } from '@multiformats/multiaddr'

/**
 * Where entries stand in the configuration
 */
const PATH = 'allowlist'

interface Entry {
  network: IpNetwork
  /** Whom it is for, undefined for everybody there */
  peer?: string
}

/**
 * Who is allowed in a network
 */
interface Allowed {
  everybody: boolean
  peers: Set<string>
}

/**
 * A list of networks, each for everybody or for one peer.
 *
 * An entry is a multiaddr with an IP address, `ipcidr` if it is for a network,
 * and `p2p` if it is for that peer alone, such as
 * `/ip4/1.2.3.0/ipcidr/24/p2p/12D3…`. The order of the components does not
 * matter, all others are ignored.
 */
export class Allowlist {
  private readonly networks = new NetworkIndex<Allowed>()
  // how often each was added, in the order of their first additions
  private readonly added = new Map<string, number>()

  /**
   * Adds an entry. What is added twice has to be removed twice.
   *
   * @param address - the entry, as a multiaddr
   * @param path - where it stands in the configuration, for errors
   * @throws {InvalidLimitError} if it is no multiaddr, has no IP address, a mask
   * too long for that, no valid peer, or is a relayed address
   */
  add (address: Multiaddr | string, path: string = PATH): void {
    const entry = readEntry(address, path)
    const text = textOf(entry)
    this.added.set(text, (this.added.get(text) ?? 0) + 1)

    const { network, peer } = entry
    let allowed = this.networks.get(network)

    if (allowed === undefined) {
      allowed = { everybody: false, peers: new Set() }
      this.networks.set(network, allowed)
    }

    if (peer === undefined) {
      allowed.everybody = true
    } else {
      allowed.peers.add(peer)
    }
  }

  /**
   * Removes an entry for the same network and the same peer or no peer
   *
   * @returns whether there was one
   * @throws {InvalidLimitError} as `add` does
   */
  remove (address: Multiaddr | string): boolean {
    const entry = readEntry(address, PATH)
    const text = textOf(entry)
    const times = this.added.get(text)

    if (times === undefined) {
      return false
    }

    if (times > 1) {
      this.added.set(text, times - 1)
    } else {
      this.added.delete(text)
      this.disallow(entry)
    }

    return true
  }

  /**
   * All entries, each as often as it was added and in the same notation,
   * whatever it was added in
   */
  entries (): string[] {
    return [...this.added].flatMap(([text, times]) => Array.from({ length: times }, () => text))
  }

  /**
   * Whether an address is allowed as long as its peer is not known: there is an
   * entry for it, for whomever that may be
   */
  allows (ip: IpAddress): boolean {
    return this.networks.narrowest(ip.family, ip) !== undefined
  }

  /**
   * Whether a peer is allowed at an address
   */
  allowsPeer (ip: IpAddress, peer: PeerId): boolean {
    const id = peer.toString()

    return this.networks.matching(ip.family, ip).some(({ everybody, peers }) => everybody || peers.has(id))
  }

  private disallow ({ network, peer }: Entry): void {
    const allowed = this.networks.get(network)

    if (allowed === undefined) {
      return
    }

    if (peer === undefined) {
      allowed.everybody = false
    } else {
      allowed.peers.delete(peer)
    }

    if (!allowed.everybody && allowed.peers.size === 0) {
      this.networks.delete(network)
    }
  }
}

function readEntry (address: Multiaddr | string, path: string): Entry {
  const components = componentsOf(address, path)
  // of several the first counts, as it does for an endpoint
  const ip = components.find(({ code }) => code === CODE_IP4 || code === CODE_IP6)
  const mask = components.find(({ code }) => code === CODE_IPCIDR)
  const peer = components.find(({ code }) => code === CODE_P2P)

  if (ip === undefined) {
    throw new InvalidLimitError(path, String(address), 'a multiaddr with an IP address, such as "/ip4/1.2.3.4"')
  }

  if (components.some(({ code }) => code === CODE_P2P_CIRCUIT)) {
    throw new InvalidLimitError(path, String(address), 'a multiaddr without p2p-circuit: that IP address is of the relay, not of those who come through it')
  }

  const bits = ip.code === CODE_IP4 ? BITS.ipv4 : BITS.ipv6
  const network = tryNetwork(`${ip.value}/${mask?.value ?? bits}`)

  if (network === undefined) {
    throw new InvalidLimitError(path, String(address), `a multiaddr with a valid IP address and an ipcidr from 0 to ${bits}`)
  }

  return peer === undefined ? { network } : { network, peer: peerOf(peer, address, path) }
}

function componentsOf (address: Multiaddr | string, path: string): Component[] {
  try {
    return (typeof address === 'string' ? multiaddr(address) : address).getComponents()
  } catch {
    throw new InvalidLimitError(path, address, 'a multiaddr, such as "/ip4/1.2.3.0/ipcidr/24"')
  }
}

/**
 * The one way to write a peer ID, whatever it was written in
 */
function peerOf ({ code, value = '' }: Component, address: Multiaddr | string, path: string): string {
  const { bytesToValue, valueToBytes } = registry.getProtocol(code)

  try {
    return peerIdFromString(bytesToValue?.(valueToBytes?.(value) ?? new Uint8Array()) ?? value).toString()
  } catch {
    throw new InvalidLimitError(path, String(address), 'a multiaddr with a valid peer ID after p2p')
  }
}

function textOf ({ network, peer }: Entry): string {
  const [address] = network.toString().split('/')
  const ip = `/${network.family === 'ipv4' ? 'ip4' : 'ip6'}/${address}`
  const mask = network.prefixLength === BITS[network.family] ? '' : `/ipcidr/${network.prefixLength}`

  return `${ip}${mask}${peer === undefined ? '' : `/p2p/${peer}`}`
}
