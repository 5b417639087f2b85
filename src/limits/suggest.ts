/**
 * @file Turns the highest use that was seen into limits to start from.
 */

import { RESOURCES } from '../core/limit.ts'
import { FALLBACK, nullRecord } from './limits.ts'
import type { ConcreteLimits, Limits, ScopeKey } from './limits.ts'
import type { Peak, Peaks } from '../core/observing.ts'
import type { ConcreteLimit, Limit, Resource, ScopeKind } from '../core/types.ts'

const MiB = 2 ** 20

/** Of one direction, so that the sum is exact */
const MOST_COUNTED = Number.MAX_SAFE_INTEGER / 2

const SINGLE: Partial<Record<ScopeKind, ScopeKey>> = {
  system: 'system',
  transient: 'transient',
  allowlistedSystem: 'allowlistedSystem',
  allowlistedTransient: 'allowlistedTransient',
  peer: 'peerDefault'
}

const NAMED: Partial<Record<ScopeKind, keyof typeof FALLBACK>> = {
  service: 'services',
  servicePeer: 'servicePeers',
  protocol: 'protocols',
  protocolPeer: 'protocolPeers'
}

/**
 * `headroom` is how many times the highest use a limit lets through, `now` what
 * holds for what is not suggested
 */
export function suggestFrom (peaks: Peaks, headroom: number, now: ConcreteLimits): Limits {
  const limits: Limits = {}

  for (const [kind, key] of Object.entries(SINGLE) as Array<[ScopeKind, ScopeKey]>) {
    for (const [, peak] of peaks.entries(kind)) {
      limits[key] = withHeadroom(peak, headroom, now[key])
    }
  }

  for (const [kind, key] of Object.entries(NAMED) as Array<[ScopeKind, keyof typeof FALLBACK]>) {
    const entries = peaks.entries(kind)

    if (entries.length > 0) {
      limits[key] = nullRecord(Object.fromEntries(entries.map(([name, peak]) => [name, withHeadroom(peak, headroom, now[key][name] ?? now[FALLBACK[key]])])))
    }
  }

  return limits
}

/** What is the sum of two, of which one may never have been used */
const SUMS: Partial<Record<Resource, [Resource, Resource]>> = {
  streams: ['inboundStreams', 'outboundStreams'],
  connections: ['inboundConnections', 'outboundConnections']
}

/**
 * What was never used keeps its limit: one of 0 would block it for good, and so
 * would the sum of what was used, which has room for it. Memory is rounded up to
 * mebibytes.
 */
function withHeadroom (peak: Peak, headroom: number, now: ConcreteLimit): Limit {
  const limit: Limit = {}

  for (const resource of RESOURCES) {
    const unit = resource === 'memory' ? MiB : 1
    const wanted = Math.ceil(peak[resource] * headroom / unit) * unit
    const unused = SUMS[resource]?.find(part => peak[part] === 0)

    if (wanted > 0 && (unused === undefined || now[resource] < wanted)) {
      limit[resource] = wanted + (unused === undefined ? 0 : countable(now[unused]))
    }
  }

  return limit
}

/** More than a number can count is no limit */
function countable (value: number | bigint): number {
  return value <= MOST_COUNTED ? Number(value) : Infinity
}
