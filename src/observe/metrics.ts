/**
 * @file Shows use, limits and refusals in the metrics of the node. Use and
 * limits are calculated when the metrics are read.
 */

import { RESOURCES } from '../core/limit.ts'
import type { ResourceLimitExceededError } from '../core/errors.ts'
import type { ScopeStats } from '../core/scope-registry.ts'
import type { ConcreteLimit, ResourceScope, ScopeStat } from '../core/types.ts'
import type { Metrics } from '@libp2p/interface'

/**
 * What the metrics are read from
 */
export interface Observed {
  stat(): ScopeStats
  viewSystem<T>(fn: (scope: ResourceScope) => T): T
  viewTransient<T>(fn: (scope: ResourceScope) => T): T
}

const PREFIX = 'libp2p_resource_manager'

/**
 * @returns counts a refusal
 */
export function registerMetrics (metrics: Metrics, observed: Observed): (refusal: ResourceLimitExceededError) => void {
  const gauge = (name: string, label: string, help: string, calculate: () => Record<string, number>): void => {
    metrics.registerMetricGroup(`${PREFIX}_${name}`, { label, help, calculate })
  }

  gauge('system', 'resource', 'What is in use in the whole node', () => observed.viewSystem(scope => use(scope.stat())))
  gauge('system_limit', 'resource', 'What the whole node may use', () => observed.viewSystem(scope => limits(scope.limit)))
  gauge('transient', 'resource', 'What is in use by connections and streams that are being set up', () => observed.viewTransient(scope => use(scope.stat())))
  gauge('transient_limit', 'resource', 'What connections and streams that are being set up may use', () => observed.viewTransient(scope => limits(scope.limit)))

  for (const [plural, label] of [['protocols', 'protocol'], ['services', 'service']] as const) {
    gauge(`${label}_inbound_streams`, label, `Inbound streams by ${label}`, () => byName(observed.stat()[plural], stat => stat.inboundStreams))
    gauge(`${label}_outbound_streams`, label, `Outbound streams by ${label}`, () => byName(observed.stat()[plural], stat => stat.outboundStreams))
    gauge(`${label}_memory_bytes`, label, `Reserved memory by ${label}`, () => byName(observed.stat()[plural], stat => stat.memory))
  }

  const refusals = metrics.registerCounterGroup(`${PREFIX}_refusals_total`, {
    label: 'limit',
    help: 'Reservations that were refused, by the kind of scope and the limit that refused them'
  })
  const observations = metrics.registerCounterGroup(`${PREFIX}_observed_refusals_total`, {
    label: 'limit',
    help: 'Reservations that would have been refused, if limits were enforced'
  })

  return ({ kind, resource, enforced }) => {
    (enforced ? refusals : observations).increment({ [`${kind}.${resource}`]: true })
  }
}

/**
 * The same eight words as in limits, so that use can be compared with them
 */
function use (stat: ScopeStat): Record<string, number> {
  return {
    ...stat,
    streams: stat.inboundStreams + stat.outboundStreams,
    connections: stat.inboundConnections + stat.outboundConnections
  }
}

function limits (limit: ConcreteLimit): Record<string, number> {
  return Object.fromEntries(RESOURCES.map(resource => [resource, Number(limit[resource])]))
}

function byName (stats: Map<string, ScopeStat>, read: (stat: ScopeStat) => number): Record<string, number> {
  return Object.fromEntries([...stats].map(([name, stat]) => [name, read(stat)]))
}
