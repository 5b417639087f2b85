/**
 * @file The gates before the scopes, put together: how many connections an
 * address may have, how often connections and streams may be opened, and the
 * allowlist that passes all of them.
 */

import { refusal } from '../core/errors.ts'
import { ipOf } from './addresses.ts'
import { Allowlist } from './allowlist.ts'
import { assertFields } from './checks.ts'
import { resolveConnectionRates } from './connection-rates.ts'
import { resolveKeyedRates } from './keyed-rates.ts'
import { ProcessMemory } from './process-memory.ts'
import { ConnectionRateLimiter, KeyedRateLimiter } from './rate-limiter.ts'
import { SourceAddressVerifier } from './source-address-verifier.ts'
import { SubnetLimiter } from './subnet-limiter.ts'
import { resolveSubnetLimits } from './subnet-limits.ts'
import type { RateRefusal } from './address-buckets.ts'
import type { IpAddress } from './addresses.ts'
import type { ConnectionRates } from './connection-rates.ts'
import type { KeyedRates } from './keyed-rates.ts'
import type { ProcessMemoryInit } from './process-memory.ts'
import type { SubnetLimits } from './subnet-limits.ts'
import type { Clock } from './token-bucket.ts'
import type { RefusedResource, ResourceLimitExceededError } from '../core/errors.ts'
import type { ConnectionAdmission, StreamAdmission } from '../core/scopes.ts'
import type { Direction } from '../core/types.ts'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * How often something may happen
 */
export interface RateLimits {
  /** New connections, in both directions, by address */
  connections?: ConnectionRates
  /**
   * New inbound streams, by peer ID
   *
   * @default unlimited
   */
  inboundStreamsOfPeer?: KeyedRates
  /**
   * New inbound streams, by protocol
   *
   * @default unlimited
   */
  inboundStreamsOfProtocol?: KeyedRates
}

/**
 * The part of the limits that is asked before there is a scope
 */
export interface AdmissionLimits {
  /** How many connections an address or network may have at a time */
  subnets?: SubnetLimits
  /** How often connections and streams may be opened */
  rates?: RateLimits
}

const CONNECTIONS = 'limits.rates.connections'
const OF_PEER = 'limits.rates.inboundStreamsOfPeer'
const OF_PROTOCOL = 'limits.rates.inboundStreamsOfProtocol'

const OFF = { limit: Infinity, read: () => 0 }

export interface AdmissionInit {
  /**
   * A clock in milliseconds that never goes back
   *
   * @default performance.now
   */
  now?: Clock
  /** The backstop, off if left out */
  processMemory?: Pick<ProcessMemoryInit, 'limit' | 'read'>
}

export class Admission implements StreamAdmission {
  readonly allowlist = new Allowlist()

  /** Undefined while nothing limits them, so that they cost nothing */
  inboundStream?: (peer: string) => ResourceLimitExceededError | undefined
  inboundProtocol?: (protocol: string) => ResourceLimitExceededError | undefined

  readonly subnets = new SubnetLimiter()
  private readonly verifier: SourceAddressVerifier
  readonly connectionRates: ConnectionRateLimiter
  private readonly peerRates: KeyedRateLimiter
  private readonly protocolRates: KeyedRateLimiter
  readonly processMemory: ProcessMemory
  private given: AdmissionLimits = {}

  /**
   * @throws {InvalidLimitError} if the limits make no sense
   */
  constructor (limits: AdmissionLimits = {}, { now = () => performance.now(), processMemory = OFF }: AdmissionInit = {}) {
    this.processMemory = new ProcessMemory({ ...processMemory, onChange: () => { this.gateStreams() } })
    this.verifier = new SourceAddressVerifier(undefined, { now })
    this.connectionRates = new ConnectionRateLimiter(undefined, { now, path: CONNECTIONS })
    this.peerRates = new KeyedRateLimiter(undefined, { now, path: OF_PEER })
    this.protocolRates = new KeyedRateLimiter(undefined, { now, path: OF_PROTOCOL })
    this.setLimits(limits)
  }

  /**
   * What is given replaces what was given before, what is left out stays. Counts
   * and buckets stay as they are.
   *
   * @throws {InvalidLimitError} if the limits make no sense, nothing has changed then
   */
  setLimits ({ subnets = this.given.subnets, rates = this.given.rates }: AdmissionLimits): void {
    verify({ subnets, rates })

    this.given = { subnets, rates }
    this.subnets.setConfig(subnets)
    this.verifier.setConfig(subnets)
    this.connectionRates.setConfig(rates?.connections)
    this.peerRates.setConfig(rates?.inboundStreamsOfPeer)
    this.protocolRates.setConfig(rates?.inboundStreamsOfProtocol)
    this.gateStreams()
    this.inboundProtocol = rates?.inboundStreamsOfProtocol === undefined
      ? undefined
      : protocol => rateRefusal('inboundStreamsPerSecond', this.protocolRates.take(protocol), 'inbound')
  }

  private gateStreams (): void {
    const { processMemory, peerRates, given } = this

    this.inboundStream = given.rates?.inboundStreamsOfPeer === undefined && !processMemory.exceeded
      ? undefined
      : peer => processMemory.refuseInbound() ?? rateRefusal('inboundStreamsPerSecond', peerRates.take(peer), 'inbound')
  }

  /**
   * Looks at the memory of the process from now on
   */
  start (): void {
    this.processMemory.start()
  }

  stop (): void {
    this.processMemory.stop()
  }

  /**
   * What is enforced, with nothing left out
   */
  limits (): Required<AdmissionLimits> {
    return this.limitsWith({})
  }

  /**
   * What would be enforced after `setLimits`
   *
   * @throws {InvalidLimitError} if the limits make no sense
   */
  limitsWith ({ subnets = this.given.subnets, rates = this.given.rates }: AdmissionLimits): Required<AdmissionLimits> {
    verify({ subnets, rates })

    return {
      subnets: resolveSubnetLimits(subnets),
      rates: {
        connections: resolveConnectionRates(rates?.connections, CONNECTIONS),
        inboundStreamsOfPeer: printable(rates?.inboundStreamsOfPeer, OF_PEER),
        inboundStreamsOfProtocol: printable(rates?.inboundStreamsOfProtocol, OF_PROTOCOL)
      }
    }
  }

  /**
   * Undefined if no gate asks anything of connections without an endpoint
   */
  connection (direction: Direction, endpoint: Multiaddr): ConnectionAdmission
  connection (direction: Direction, endpoint?: Multiaddr): ConnectionAdmission | undefined
  connection (direction: Direction, endpoint?: Multiaddr): ConnectionAdmission | undefined {
    if (endpoint == null && !this.processMemory.exceeded && this.given.rates?.connections?.global === undefined) {
      return
    }

    return new AddressAdmission(direction, endpoint, this)
  }

  mustVerify (endpoint: Multiaddr): boolean {
    return this.verifier.mustVerify(ipOf(endpoint))
  }

  /**
   * Forgets what nobody has used for a while
   */
  removeIdle (): void {
    this.verifier.removeIdle()
    this.connectionRates.removeIdle()
    this.peerRates.removeIdle()
    this.protocolRates.removeIdle()
  }
}

type Gates = Pick<Admission, 'allowlist' | 'subnets' | 'connectionRates' | 'processMemory'>

/**
 * A connection of an address. Without one, and where it begins with no IP address,
 * there is no limit by address and no allowlist.
 */
class AddressAdmission implements ConnectionAdmission {
  readonly endpoint?: Multiaddr
  private readonly direction: Direction
  private readonly ip?: IpAddress
  private readonly gates: Gates
  private entered = false

  constructor (direction: Direction, endpoint: Multiaddr | undefined, gates: Gates) {
    this.direction = direction
    this.endpoint = endpoint
    this.ip = endpoint == null ? undefined : ipOf(endpoint)
    this.gates = gates
  }

  enter (moved: boolean): ResourceLimitExceededError | undefined {
    const refused = moved ? undefined : this.refuseNew()

    if (refused !== undefined || this.ip === undefined || this.entered) {
      return refused
    }

    const full = this.gates.subnets.add(this.ip)

    if (full === undefined) {
      this.entered = true

      return
    }

    return refusal({
      scope: `subnet:${full.network}`,
      kind: 'subnet',
      path: [`subnet:${full.network}`],
      resource: 'connections',
      direction: this.direction,
      current: full.current,
      attempted: 1,
      limit: full.limit,
      option: full.option
    })
  }

  private refuseNew (): ResourceLimitExceededError | undefined {
    const { processMemory, connectionRates } = this.gates

    return (this.direction === 'inbound' ? processMemory.refuseInbound() : undefined) ??
      rateRefusal('connectionsPerSecond', connectionRates.take(this.ip), this.direction)
  }

  enterAnyway (): void {
    if (!this.entered && this.ip !== undefined) {
      this.entered = true
      this.gates.subnets.count(this.ip)
    }
  }

  leave (): void {
    if (this.entered && this.ip !== undefined) {
      this.entered = false
      this.gates.subnets.remove(this.ip)
    }
  }

  allowsAddress (): boolean {
    return this.ip !== undefined && this.gates.allowlist.allows(this.ip)
  }

  allowsPeer (peer: PeerId): boolean {
    return this.ip !== undefined && this.gates.allowlist.allowsPeer(this.ip, peer)
  }
}

function rateRefusal (resource: RefusedResource, refused: RateRefusal | undefined, direction: Direction): ResourceLimitExceededError | undefined {
  if (refused === undefined) {
    return
  }

  return refusal({
    scope: `rate:${refused.bucket}`,
    kind: 'rate',
    path: [`rate:${refused.bucket}`],
    resource,
    direction,
    current: refused.rate.burst,
    attempted: 1,
    limit: refused.rate.perSecond,
    retryAfter: refused.retryAfter,
    option: refused.option
  })
}

function verify ({ subnets, rates }: AdmissionLimits): void {
  resolveSubnetLimits(subnets)

  if (rates === undefined) {
    return
  }

  assertFields(rates, 'limits.rates', ['connections', 'inboundStreamsOfPeer', 'inboundStreamsOfProtocol'])
  resolveConnectionRates(rates.connections, CONNECTIONS)
  resolveKeyedRates(rates.inboundStreamsOfPeer, OF_PEER)
  resolveKeyedRates(rates.inboundStreamsOfProtocol, OF_PROTOCOL)
}

function printable (given: KeyedRates | undefined, path: string): KeyedRates {
  const { default: rate, overrides } = resolveKeyedRates(given, path)
  const record = Object.create(null)

  for (const [key, override] of overrides) {
    record[key] = override
  }

  return { default: rate, overrides: record }
}
