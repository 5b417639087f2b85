/**
 * @file What it costs to decide whether a connection may come in: allowlist,
 * rates and connections by address, from the multiaddr to the answer.
 */

import { multiaddr } from '@multiformats/multiaddr'
import { ipOf } from '../src/admission/addresses.ts'
import { Allowlist } from '../src/admission/allowlist.ts'
import { ConnectionRateLimiter } from '../src/admission/rate-limiter.ts'
import { SubnetLimiter } from '../src/admission/subnet-limiter.ts'
import { check, measure, printTable, reportChecks } from './harness.ts'
import type { IpAddress } from '../src/admission/addresses.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

const ROUNDS = 41
const ENTRIES = 1_000
const LIVE = 100_000
const COMING = 2_003
// how many of those that have come are there at a time
const STAY = 1_000
const PER_ADDRESS = 8
const TARGET = 5_000
const TARGET_GROWTH = 1.5

// until all buckets are full again
const PAUSE = 60_000

const PEER = '12D3KooWPEHACsjcMehrMLGbU27pCvWdJSHH3tKK9M8bKEHyfEWG'
const entries = Array.from({ length: ENTRIES }, (_, i) => allowlisted(i))

/**
 * What is asked before a connection has a scope
 */
class Gates {
  time = 0
  readonly allowlist = new Allowlist()
  readonly rates = new ConnectionRateLimiter(undefined, { now: () => this.time })
  readonly subnets = new SubnetLimiter()

  constructor () {
    for (const entry of entries) {
      this.allowlist.add(entry)
    }
  }

  /**
   * @returns the address to count down later, undefined if it was refused
   */
  admit (address: Multiaddr): IpAddress | undefined {
    const ip = ipOf(address)

    if (ip === undefined || this.allowlist.allows(ip)) {
      throw new Error(`${address} has to pass all gates`)
    }

    return this.rates.take(ip) === undefined && this.subnets.add(ip) === undefined ? ip : undefined
  }
}

/**
 * Entries of the lengths that operators use, none of them for an address below
 */
function allowlisted (i: number): string {
  const [high, low] = [i >> 8, i & 0xff]

  switch (i % 5) {
    case 0:
      return `/ip4/203.0.${high}.${low}`
    case 1:
      return `/ip4/198.${high}.${low}.0/ipcidr/24`
    case 2:
      return `/ip6/2a00:${i.toString(16)}::/ipcidr/32`
    case 3:
      return `/ip6/2a01:db8:${i.toString(16)}::/ipcidr/48`
    default:
      return `/ip6/2a02:db8::${i.toString(16)}/p2p/${PEER}`
  }
}

/**
 * Each in a /56 and a /48 of its own
 */
function ipv6 (i: number): Multiaddr {
  return multiaddr(`/ip6/2001:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}:${(i * 7 & 0xff).toString(16)}00::${(i * 13 & 0xffff).toString(16)}/tcp/${1024 + i % 60_000}`)
}

function ipv4 (i: number): Multiaddr {
  return multiaddr(`/ip4/${1 + (i >> 16)}.${i >> 8 & 0xff}.${i & 0xff}.${i * 7 & 0xff}/tcp/${1024 + i % 60_000}`)
}

/**
 * Goes round a list of addresses: with each connection that comes another one
 * leaves, which came a while ago
 */
class Round {
  private next = 0
  private readonly gates: Gates
  private readonly addresses: Multiaddr[]
  private readonly staying: Array<IpAddress | undefined> = new Array(STAY)
  asked = 0
  admitted = 0
  left = 0

  constructor (gates: Gates, addresses: Multiaddr[]) {
    this.gates = gates
    this.addresses = addresses
  }

  run (times: number): void {
    const { gates, addresses, staying } = this

    for (let n = 0; n < times; n++) {
      const place = this.asked++ % STAY

      this.leave(staying[place])
      const ip = gates.admit(addresses[this.next])
      staying[place] = ip
      this.admitted += ip === undefined ? 0 : 1

      if (++this.next === addresses.length) {
        this.next = 0
        gates.time += PAUSE
      }
    }
  }

  end (): void {
    for (const ip of this.staying.splice(0)) {
      this.leave(ip)
    }
  }

  private leave (ip: IpAddress | undefined): void {
    if (ip !== undefined && this.gates.subnets.remove(ip)) {
      this.left++
    }
  }
}

const us = (ns: number): string => `${(ns / 1_000).toFixed(2)} µs`
const times = (value: number): string => `${value.toFixed(2)}×`
const verdict = (ok: boolean): string => ok ? 'ok' : 'OVER'
const rows: string[][] = []

for (const [family, addressOf, entriesEach] of [['IPv6', ipv6, 3], ['IPv4', ipv4, 2]] as const) {
  const coming = Array.from({ length: COMING }, (_, i) => addressOf(LIVE + i))
  const [empty, busy, full] = [new Gates(), new Gates(), new Gates()]

  for (let i = 0; i < LIVE; i++) {
    busy.admit(addressOf(i))
  }

  for (const address of coming) {
    for (let i = 0; i < PER_ADDRESS; i++) {
      full.admit(address)
    }
  }

  // one entry for each network, and one for each address
  const counted = LIVE * entriesEach
  check(`${family}: networks that are live`, busy.subnets.size, counted)
  check(`${family}: entries of the allowlist`, busy.allowlist.entries().length, ENTRIES)

  const few = new Round(empty, coming)
  const many = new Round(busy, coming)
  const none = new Round(full, coming)
  const medians = measure([
    { name: 'few', run: n => { few.run(n) } },
    { name: 'many', run: n => { many.run(n) } },
    { name: 'none', run: n => { none.run(n) } }
  ], { rounds: ROUNDS })

  few.end()
  many.end()
  check(`${family}: all come in`, few.admitted, few.asked)
  check(`${family}: all come in beside those that are live`, many.admitted, many.asked)
  check(`${family}: nobody comes in where there is no room`, none.admitted, 0)
  check(`${family}: all leave`, [few.left, many.left], [few.asked, many.asked])
  check(`${family}: nothing is left behind`, empty.subnets.size, 0)
  check(`${family}: those that are live are still counted`, busy.subnets.size, counted)

  const growth = medians.many / medians.few
  rows.push(
    [family, us(medians.few), '', `≤ ${us(TARGET)}`, verdict(medians.few <= TARGET)],
    [`${family}, ${LIVE} networks live`, us(medians.many), times(growth), `≤ ${times(TARGET_GROWTH)}`, verdict(growth <= TARGET_GROWTH)],
    [`${family}, refused by its network`, us(medians.none), times(medians.none / medians.few), '', '']
  )
}

// eslint-disable-next-line no-console
console.info(`One connection is let in and another one leaves: from the multiaddr, ${ENTRIES} entries in the allowlist, default limits. Medians of ${ROUNDS} rounds.\n`)
printTable(['connection', 'median', 'ratio', 'target', ''], rows)
reportChecks()
