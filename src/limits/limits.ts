/**
 * @file The one object that holds all limits: its shape, its validation, laying
 * what the user gives over the defaults, and looking a limit up.
 */

import { InvalidLimitError } from '../core/errors.ts'
import { isPlain, resolveLimit } from '../core/limit.ts'
import { ServiceNames } from '../core/service-names.ts'
import { normalisePeerId } from './peer-key.ts'
import type { AdmissionLimits } from '../admission/admission.ts'
import type { ConcreteLimit, Limit, Limiter, ScopeKind } from '../core/types.ts'

/**
 * Limits by scope, everything is optional: what is left out has the default,
 * scaled to the machine.
 *
 * A stream or connection is let through only if all scopes that it counts in
 * have room: the system, the peer, the protocol, and so on.
 */
export interface Limits extends AdmissionLimits {
  /** Everything together */
  system?: Limit
  /** Connections whose peer is not known yet, streams that are not negotiated yet */
  transient?: Limit
  /** A second system scope, for allowlisted addresses when the first is full */
  allowlistedSystem?: Limit
  /** A second transient scope, for allowlisted addresses when the first is full */
  allowlistedTransient?: Limit
  /** Each service that has no entry in `services` */
  serviceDefault?: Limit
  /** By service name: that of the scope, or the one that it has in the node */
  services?: Record<string, Limit>
  /** What one peer may use of each service that has no entry in `servicePeers` */
  servicePeerDefault?: Limit
  /** What one peer may use of a service, by service name */
  servicePeers?: Record<string, Limit>
  /** Each protocol that has no entry in `protocols` */
  protocolDefault?: Limit
  /** By protocol */
  protocols?: Record<string, Limit>
  /** What one peer may use of each protocol that has no entry in `protocolPeers` */
  protocolPeerDefault?: Limit
  /** What one peer may use of a protocol, by protocol */
  protocolPeers?: Record<string, Limit>
  /** Each peer that has no entry in `peers` */
  peerDefault?: Limit
  /** By peer ID */
  peers?: Record<string, Limit>
  /** Each connection by itself */
  connection?: Limit
  /** Each stream by itself */
  stream?: Limit
}

/**
 * Limits with nothing left to inherit. Records have no prototype, so that every
 * name is an ordinary one.
 */
export type ConcreteLimits = Record<ScopeKey, ConcreteLimit> & Record<NamedKey, Record<string, ConcreteLimit>>

/**
 * The keys of `Limits` that hold one limit
 */
export const SCOPE_KEYS = [
  'system',
  'transient',
  'allowlistedSystem',
  'allowlistedTransient',
  'serviceDefault',
  'servicePeerDefault',
  'protocolDefault',
  'protocolPeerDefault',
  'peerDefault',
  'connection',
  'stream'
] as const

/**
 * The keys of `Limits` that hold limits by name
 */
export const NAMED_KEYS = [
  'services',
  'servicePeers',
  'protocols',
  'protocolPeers',
  'peers'
] as const

export type ScopeKey = typeof SCOPE_KEYS[number]
export type NamedKey = typeof NAMED_KEYS[number]

/**
 * The keys of `Limits` that hold limits by the name of a service
 */
export const SERVICE_KEYS = [
  'services',
  'servicePeers'
] as const satisfies readonly NamedKey[]

export type ServiceKey = typeof SERVICE_KEYS[number]

/**
 * What a named entry takes its missing fields from, if the defaults have no
 * entry of that name
 */
export const FALLBACK: Record<NamedKey, ScopeKey> = {
  services: 'serviceDefault',
  servicePeers: 'servicePeerDefault',
  protocols: 'protocolDefault',
  protocolPeers: 'protocolPeerDefault',
  peers: 'peerDefault'
}

/**
 * The key of the limits by name of a kind of scope
 */
export const NAMED_KIND: Partial<Record<ScopeKind, NamedKey>> = {
  service: 'services',
  servicePeer: 'servicePeers',
  protocol: 'protocols',
  protocolPeer: 'protocolPeers',
  peer: 'peers'
}

// the last two are asked before there is a scope, and checked there
const KNOWN: ReadonlySet<string> = new Set([...SCOPE_KEYS, ...NAMED_KEYS, 'subnets', 'rates'])

/**
 * Lays limits over defaults. What a named entry leaves out comes from the entry
 * of that name in the defaults or, where there is none, from the default of its
 * kind as given here. Services may be given under any of their names, the result
 * has the name of their scope.
 *
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function resolveLimits (given: Limits | undefined, defaults: ConcreteLimits, names: ServiceNames = new ServiceNames()): ConcreteLimits {
  if (given === undefined) {
    return defaults
  }

  assertObject(given, 'limits', 'an object with limits by scope')

  for (const key of Object.keys(given)) {
    if (!KNOWN.has(key)) {
      throw new InvalidLimitError(`limits.${key}`, given[key as ScopeKey], `one of the scopes ${[...KNOWN].join(', ')}`)
    }
  }

  const limits: Partial<ConcreteLimits> = {}

  for (const key of SCOPE_KEYS) {
    limits[key] = resolveLimit(own(given, key), defaults[key], `limits.${key}`)
  }

  for (const key of NAMED_KEYS) {
    const entries = nullRecord<ConcreteLimit>(defaults[key])
    const path = `limits.${key}`
    const named = own(given, key)

    if (named !== undefined) {
      assertObject(named, path, 'an object with limits by name')
    }

    if (isServiceKey(key)) {
      assertDistinct(key, namesOf(named), names)
    }

    for (const [given, limit] of namesOf(named)) {
      const at = `${path}[${JSON.stringify(given)}]`
      const name = canonicalName(key, given, at, names)
      entries[name] = resolveLimit(limit, entries[name] ?? limits[FALLBACK[key]], at)
    }

    limits[key] = entries
  }

  return limits as ConcreteLimits
}

/**
 * Answers the core from an object with limits
 */
export class LimitTable implements Limiter {
  private readonly limits: ConcreteLimits

  constructor (limits: ConcreteLimits) {
    this.limits = limits
  }

  limitFor (kind: ScopeKind, name: string = ''): ConcreteLimit {
    const key = NAMED_KIND[kind]

    return key === undefined ? this.limits[kind as ScopeKey] : this.limits[key][name] ?? this.limits[FALLBACK[key]]
  }
}

/**
 * A record without a prototype, in which `__proto__` is a name like any other
 */
export function nullRecord<T> (from?: Record<string, T>): Record<string, T> {
  const record: Record<string, T> = Object.create(null)

  for (const [name, value] of namesOf(from)) {
    record[name] = value
  }

  return record
}

export function namesOf<T> (record?: Record<string, T>): Array<[string, T]> {
  return record == null ? [] : Object.entries(record)
}

function isServiceKey (key: NamedKey): key is ServiceKey {
  return (SERVICE_KEYS as readonly string[]).includes(key)
}

/**
 * The name that a scope is looked up by
 */
function canonicalName (key: NamedKey, name: string, path: string, names: ServiceNames): string {
  if (key === 'peers') {
    return peerKey(name, path)
  }

  return isServiceKey(key) ? names.canonical(name) : name
}

/**
 * @throws {InvalidLimitError} if two of the names are those of one service
 */
function assertDistinct (key: ServiceKey, entries: Array<[string, Limit]>, names: ServiceNames): void {
  const seen = new Map<string, string>()

  for (const [name, limit] of entries) {
    const canonical = names.canonical(name)
    const other = seen.get(canonical)

    // what is undefined is not given
    if (limit === undefined) {
      continue
    }

    if (other !== undefined) {
      throw sameService(key, name, limit, other)
    }

    seen.set(canonical, name)
  }
}

export function sameService (key: ServiceKey, name: string, limit: Limit, other: string): InvalidLimitError {
  return new InvalidLimitError(`limits.${key}[${JSON.stringify(name)}]`, limit, `none beside limits.${key}[${JSON.stringify(other)}], which is the same service`)
}

function peerKey (name: string, path: string): string {
  const key = normalisePeerId(name)

  if (key === undefined) {
    throw new InvalidLimitError(path, name, 'a peer ID in base58, or as a CID in any base')
  }

  return key
}

function own<K extends keyof Limits> (limits: Limits, key: K): Limits[K] {
  return Object.hasOwn(limits, key) ? limits[key] : undefined
}

function assertObject (value: unknown, path: string, allowed: string): void {
  if (!isPlain(value)) {
    throw new InvalidLimitError(path, value, allowed)
  }
}
