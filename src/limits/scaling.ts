/**
 * @file Turns a table of base limits and increases into limits for a given
 * amount of memory and file descriptors.
 */

import { InvalidLimitError } from '../core/errors.ts'
import { resolveLimit } from '../core/limit.ts'
import { namesOf, SCOPE_KEYS, NAMED_KEYS, nullRecord } from './limits.ts'
import type { ConcreteLimits, NamedKey, ScopeKey } from './limits.ts'
import type { ConcreteLimit } from '../core/types.ts'

/**
 * What a scope may hold more of for every GiB of memory
 */
export interface LimitIncrease extends Omit<ConcreteLimit, 'fileDescriptors'> {
  /** The part of the file descriptors of the process that the scope may use, 0 to 1 */
  fileDescriptorFraction: number
}

export interface ScalingLimit {
  base: ConcreteLimit
  increase: LimitIncrease
}

/**
 * For each scope what it may hold on the smallest machine, and what is added
 */
export type ScalingLimits = Record<ScopeKey, ScalingLimit> & Partial<Record<NamedKey, Record<string, ScalingLimit>>>

export interface Resources {
  /** Bytes that the node may use */
  memory: number | bigint
  /** File descriptors that the node may use */
  fileDescriptors: number | bigint
}

const MiB = 2 ** 20
const BASE_MEMORY = 128 * MiB
const MAX_INT64 = 2n ** 63n - 1n

/**
 * Scales a table to a machine: up to 128 MiB of memory the base holds, above
 * that the increase is added for every GiB, pro rata per MiB, truncated.
 *
 * @throws {InvalidLimitError} if memory or file descriptors is not a number, or a
 * value of the table makes no sense
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/limit_defaults.go#L582
 */
export function scaleTable (resources: Resources, table: ScalingLimits): ConcreteLimits {
  const memory = integer('memory', resources.memory)
  const descriptors = Number(integer('fileDescriptors', resources.fileDescriptors))
  const mebibytes = memory > BASE_MEMORY ? memory / BigInt(MiB) : 0n

  const limits: Partial<ConcreteLimits> = {}

  for (const key of SCOPE_KEYS) {
    limits[key] = scaleOne(table[key], mebibytes, descriptors, key)
  }

  for (const key of NAMED_KEYS) {
    const entries = nullRecord<ConcreteLimit>()

    for (const [name, entry] of namesOf(table[key])) {
      entries[name] = scaleOne(entry, mebibytes, descriptors, `${key}[${JSON.stringify(name)}]`)
    }

    limits[key] = entries
  }

  return limits as ConcreteLimits
}

function scaleOne ({ base, increase }: ScalingLimit, mebibytes: bigint, descriptors: number, path: string): ConcreteLimit {
  const { fileDescriptorFraction, ...more } = increase

  // a table may be the user's own
  resolveLimit(base, base, `${path}.base`)
  resolveLimit(more, base, `${path}.increase`)

  if (!(fileDescriptorFraction >= 0 && fileDescriptorFraction <= 1)) {
    throw new InvalidLimitError(`${path}.increase.fileDescriptorFraction`, fileDescriptorFraction, 'a number from 0 to 1')
  }

  return Object.freeze({
    streams: grow('streams'),
    inboundStreams: grow('inboundStreams'),
    outboundStreams: grow('outboundStreams'),
    connections: grow('connections'),
    inboundConnections: grow('inboundConnections'),
    outboundConnections: grow('outboundConnections'),
    fileDescriptors: growDescriptors(),
    memory: grow('memory')
  })

  function grow (resource: keyof LimitIncrease & keyof ConcreteLimit): number | bigint {
    const from = base[resource]
    const by = increase[resource]

    // unlimited stays unlimited, however much is added to it
    if (from === Infinity || by === Infinity) {
      return Infinity
    }

    return narrow(BigInt(from) + ((BigInt(by) * mebibytes) >> 10n))
  }

  function growDescriptors (): number | bigint {
    if (increase.fileDescriptorFraction <= 0 || descriptors <= 0) {
      return base.fileDescriptors
    }

    const share = Math.trunc(increase.fileDescriptorFraction * descriptors)

    if (share <= base.fileDescriptors) {
      return base.fileDescriptors
    }

    return share === Infinity ? Infinity : narrow(BigInt(share))
  }
}

/**
 * A number where it is exact, never above what a 64-bit node could use
 */
function narrow (value: bigint): number | bigint {
  if (value > MAX_INT64) {
    return MAX_INT64
  }

  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

function integer (name: string, value: number | bigint): bigint {
  if (typeof value === 'bigint') {
    return value
  }

  if (typeof value === 'number' && Number.isFinite(value)) {
    return BigInt(Math.trunc(value))
  }

  throw new InvalidLimitError(name, value, 'a finite number or a bigint')
}
