/**
 * @file One limit: its fields, how a value is checked, how what is given is laid
 * over what is inherited, and how the configuration calls it.
 */

import { InvalidLimitError } from './errors.ts'
import type { ConcreteLimit, Limit, Resource, ScopeKind } from './types.ts'

/**
 * Every field of a limit. What handles all fields loops over this, so that none
 * can be forgotten.
 */
export const RESOURCES = [
  'streams',
  'inboundStreams',
  'outboundStreams',
  'connections',
  'inboundConnections',
  'outboundConnections',
  'fileDescriptors',
  'memory'
] as const satisfies readonly Resource[]

const KNOWN: ReadonlySet<string> = new Set(RESOURCES)

const ALLOWED = 'a non-negative integer up to 2^53 - 1, a bigint, 0 to let nothing through, Infinity to let everything through, or undefined to inherit'

/**
 * Lays a limit over another one.
 *
 * @param given - What was configured, fields that are undefined inherit
 * @param base - What is inherited
 * @param path - Where `given` stands in the configuration, for errors
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function resolveLimit (given: Limit | undefined, base: ConcreteLimit, path: string): ConcreteLimit {
  if (given === undefined) {
    return base
  }

  if (!isPlain(given)) {
    throw new InvalidLimitError(path, given, `an object with the fields ${RESOURCES.join(', ')}`)
  }

  for (const key of Object.keys(given)) {
    if (!KNOWN.has(key)) {
      throw new InvalidLimitError(`${path}.${key}`, given[key as Resource], `one of the fields ${RESOURCES.join(', ')}`)
    }
  }

  // all limits are made here, with the same fields in the same order
  return Object.freeze({
    streams: value('streams'),
    inboundStreams: value('inboundStreams'),
    outboundStreams: value('outboundStreams'),
    connections: value('connections'),
    inboundConnections: value('inboundConnections'),
    outboundConnections: value('outboundConnections'),
    fileDescriptors: value('fileDescriptors'),
    memory: value('memory')
  })

  function value (resource: Resource): number | bigint {
    const v: unknown = Object.hasOwn(given as Limit, resource) ? (given as Limit)[resource] : undefined

    if (v === undefined) {
      return base[resource]
    }

    if (typeof v === 'bigint' && v >= 0n) {
      // a number is faster to compare with, and means the same
      return v <= Number.MAX_SAFE_INTEGER ? Number(v) : v
    }

    if (typeof v === 'number' && v >= 0 && (v === Infinity || Number.isSafeInteger(v))) {
      // -0 is 0
      return v + 0
    }

    throw new InvalidLimitError(`${path}.${resource}`, v, ALLOWED)
  }
}

/**
 * Whether something has its fields as properties: a Map would be taken for an
 * empty object
 */
export function isPlain (value: unknown): value is object {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Map) && !(value instanceof Set)
}

const OPTIONS: Record<ScopeKind, (name?: string) => string> = {
  system: () => 'limits.system',
  transient: () => 'limits.transient',
  allowlistedSystem: () => 'limits.allowlistedSystem',
  allowlistedTransient: () => 'limits.allowlistedTransient',
  service: name => `limits.services[${JSON.stringify(name)}]`,
  servicePeer: name => `limits.servicePeers[${JSON.stringify(name)}]`,
  protocol: name => `limits.protocols[${JSON.stringify(name)}]`,
  protocolPeer: name => `limits.protocolPeers[${JSON.stringify(name)}]`,
  peer: name => `limits.peers[${JSON.stringify(name)}]`,
  connection: () => 'limits.connection',
  stream: () => 'limits.stream'
}

/**
 * How the configuration calls the limit of a scope
 */
export function optionOf (kind: ScopeKind, name?: string): string {
  return OPTIONS[kind](name)
}
