/**
 * @file Turns the highest use that was seen into limits to start from.
 */

import { RESOURCES } from '../core/limit.ts'
import { nullRecord } from './limits.ts'
import type { Limits, NamedKey, ScopeKey } from './limits.ts'
import type { Peak, Peaks } from '../core/observing.ts'
import type { Limit, Resource, ScopeKind } from '../core/types.ts'

const MiB = 2 ** 20

const SINGLE: Partial<Record<ScopeKind, ScopeKey>> = {
  system: 'system',
  transient: 'transient',
  allowlistedSystem: 'allowlistedSystem',
  allowlistedTransient: 'allowlistedTransient',
  peer: 'peerDefault'
}

const NAMED: Partial<Record<ScopeKind, NamedKey>> = {
  service: 'services',
  servicePeer: 'servicePeers',
  protocol: 'protocols',
  protocolPeer: 'protocolPeers'
}

/**
 * `headroom` is how many times the highest use a limit lets through
 */
export function suggestFrom (peaks: Peaks, headroom: number): Limits {
  const limits: Limits = {}

  for (const [kind, key] of Object.entries(SINGLE) as Array<[ScopeKind, ScopeKey]>) {
    for (const [, peak] of peaks.entries(kind)) {
      limits[key] = withHeadroom(peak, headroom)
    }
  }

  for (const [kind, key] of Object.entries(NAMED) as Array<[ScopeKind, NamedKey]>) {
    const entries = peaks.entries(kind)

    if (entries.length > 0) {
      limits[key] = nullRecord(Object.fromEntries(entries.map(([name, peak]) => [name, withHeadroom(peak, headroom)])))
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
 * What was never used keeps its default: a limit of 0 would block it for good, and
 * so would the sum of what was used. Memory is rounded up to mebibytes.
 */
function withHeadroom (peak: Peak, headroom: number): Limit {
  return Object.fromEntries(RESOURCES
    .filter(resource => (SUMS[resource] ?? [resource]).every(part => peak[part] > 0))
    .map(resource => [resource, resource === 'memory'
      ? Math.ceil(peak.memory * headroom / MiB) * MiB
      : Math.ceil(peak[resource] * headroom)]))
}
