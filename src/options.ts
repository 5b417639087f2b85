/**
 * @file The options of the canonical resource manager, their defaults and their
 * validation.
 */

import { InvalidLimitError } from './core/errors.ts'
import type { Limit, ScopeKind } from './core/types.ts'
import type { ServiceProtocols } from './libp2p/services.ts'
import type { BaseMemory } from './limits/base-memory.ts'
import type { Limits } from './limits/limits.ts'
import type { TraceSink } from './observe/trace/event.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * @default 60_000
 */
export const DEFAULT_COLLECTION_INTERVAL = 60_000

/**
 * @default 10_000
 */
export const DEFAULT_LOG_INTERVAL = 10_000

/**
 * @default 60_000
 */
export const DEFAULT_MAX_TRANSIENT_AGE = 60_000

/**
 * The part of the memory of the machine or control group that the process may
 * hold
 *
 * @default 0.9
 */
export const DEFAULT_PROCESS_MEMORY = 0.9

/**
 * Limits that a program works out by itself
 */
export interface CustomLimiter {
  /**
   * Asked when a scope is made, every `collectionInterval`, and when
   * `refreshLimits` is called
   *
   * @param kind - which kind of scope asks
   * @param name - the name of the scope of the service (`libp2p.ping`, whatever it
   * is called in the node), the protocol, or the peer ID as a string
   * @returns what is left out has its default
   */
  limitFor(kind: ScopeKind, name?: string): Limit | undefined
}

export interface ResourceManagerInit {
  /**
   * What scopes may hold, how many connections an address may have, how often
   * connections and streams may be opened. What is left out has its default,
   * scaled to `memory` and `fileDescriptors`. A limiter of your own may be asked
   * instead.
   */
  limits?: Limits | CustomLimiter

  /**
   * Addresses that may still connect when the ordinary limits refuse: in scopes
   * of their own, without limits by address and rate. With `/ipcidr/…` an entry is
   * a network, with `/p2p/…` it holds for that peer only.
   *
   * @default []
   */
  allowlist?: Array<Multiaddr | string>

  /**
   * `false` refuses nothing: what would have been refused is counted, emitted and
   * logged, and the highest use is kept for `suggestLimits`
   *
   * @default true
   */
  enforce?: boolean

  /**
   * How many bytes of memory the default limits are scaled to
   *
   * @default an eighth of what this process may use
   */
  memory?: number

  /**
   * How many file descriptors the default limits are scaled to
   *
   * @default half of what this process may open
   */
  fileDescriptors?: number

  /**
   * The protocols of services, by service name, in place of what is known of them.
   * Streams of these protocols count in the scope of the service. Stock js-libp2p
   * services need no entry nor, with the `createLibp2p` of this package, do others.
   *
   * @default {}
   */
  services?: ServiceProtocols

  /**
   * What an open connection and an open stream cost before they buffer anything,
   * in bytes. It is reserved in their scopes, so that idle ones weigh something.
   *
   * @default { connection: 112 KiB, stream: 20 KiB }, measured
   */
  baseMemory?: Partial<BaseMemory>

  /**
   * How many bytes the process may really hold, whatever is accounted for: above
   * that no new inbound connections and streams are let in, until 5 % less are
   * held. It is looked at once a second. `Infinity` switches it off.
   *
   * @default 90 % of the memory of the machine or the control group; off in
   * browsers, and without a node
   */
  maxProcessMemory?: number

  /**
   * How often scopes of peers and protocols that nobody uses are removed, in
   * milliseconds
   *
   * @default 60_000
   */
  collectionInterval?: number

  /**
   * Where to write everything that happens in scopes
   */
  trace?: TraceSink

  /**
   * After how many milliseconds the log tells how often something was refused
   * since it was told first
   *
   * @default 10_000
   */
  logInterval?: number

  /**
   * For how many milliseconds a connection may have no peer, or a stream no
   * protocol, before it is logged as an error and told to those who listen to
   * `stale`: it has leaked. It is looked for every five seconds. `Infinity` switches
   * that off.
   *
   * @default 60_000
   */
  maxTransientAge?: number

  /**
   * A clock for rates, in milliseconds, that never goes back
   *
   * @default performance.now
   */
  now?(): number
}

/**
 * What a timer can hold, in milliseconds: with more it would run every millisecond
 */
const LONGEST_INTERVAL = 2 ** 31 - 1

type Check = (name: string, value: unknown) => void

const OPTIONS: Record<keyof ResourceManagerInit, Check> = {
  // these are checked where they are read
  limits: () => {},
  services: () => {},
  baseMemory: () => {},
  allowlist: assert(Array.isArray, 'a list of multiaddrs'),
  enforce: assert(value => typeof value === 'boolean', 'true or false'),
  memory: assertInteger(0),
  fileDescriptors: assertInteger(0),
  maxProcessMemory: assert(value => value === Infinity || (Number.isSafeInteger(value) && value as number >= 0), 'a number of bytes, or Infinity to switch it off'),
  collectionInterval: assertInteger(1, LONGEST_INTERVAL),
  logInterval: assertInteger(1, LONGEST_INTERVAL),
  maxTransientAge: assert(value => value === Infinity || (Number.isSafeInteger(value) && value as number >= 1), 'a number of milliseconds of at least 1, or Infinity to switch it off'),
  trace: assert(value => typeof (value as Partial<TraceSink>)?.write === 'function', 'a TraceSink'),
  now: assert(value => typeof value === 'function', 'a function that returns milliseconds')
}

/**
 * @throws {InvalidLimitError} naming the option, its value and what is allowed
 */
export function verifyOptions (init: ResourceManagerInit): void {
  if (init === null || typeof init !== 'object' || Array.isArray(init)) {
    throw new InvalidLimitError('the options of the resource manager', init, 'an object')
  }

  for (const [name, value] of Object.entries(init)) {
    if (!Object.hasOwn(OPTIONS, name)) {
      throw new InvalidLimitError(name, value, `one of the options ${Object.keys(OPTIONS).join(', ')}`)
    }

    if (value !== undefined) {
      OPTIONS[name as keyof ResourceManagerInit](name, value)
    }
  }
}

export function isCustomLimiter (limits?: Limits | CustomLimiter): limits is CustomLimiter {
  return typeof (limits as Partial<CustomLimiter> | null | undefined)?.limitFor === 'function'
}

function assertInteger (min: number, max: number = Number.MAX_SAFE_INTEGER): Check {
  return assert(value => Number.isSafeInteger(value) && value as number >= min && value as number <= max, `an integer from ${min} to ${max}`)
}

function assert (test: (value: unknown) => boolean, allowed: string): Check {
  return (name, value) => {
    if (!test(value)) {
      throw new InvalidLimitError(name, value, allowed)
    }
  }
}
