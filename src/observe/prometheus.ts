/**
 * @packageDocumentation
 *
 * The metrics of go-libp2p's resource manager, with its names, labels and buckets,
 * in a registry of prom-client: dashboards that were made for a go-libp2p node
 * show a js-libp2p node as well. Everything is calculated when the registry is
 * scraped.
 *
 * @example
 *
 * ```TypeScript
 * import { createLibp2p } from 'libp2p-resource-manager'
 * import { registerPrometheusMetrics } from 'libp2p-resource-manager/prometheus'
 * import { register } from 'prom-client'
 *
 * const node = await createLibp2p()
 * const unregister = registerPrometheusMetrics(node.services.resourceManager, register)
 *
 * console.info(await register.metrics())
 *
 * // metrics answer after the node has stopped as well, until they are taken out
 * await node.stop()
 * unregister()
 * ```
 */

import { InvalidParametersError } from '@libp2p/interface'
import { Snapshots } from './observed.ts'
import { METRICS, MetricSet } from './prometheus-metrics.ts'
import type { Observed } from './observed.ts'
import type { Source } from './prometheus-metrics.ts'
import type { Registry } from 'prom-client'

export type { Observed } from './observed.ts'

export interface PrometheusMetricsOptions {
  /**
   * Labels for all metrics of this manager beside those of go-libp2p. Managers
   * that share a registry need the same names with other values.
   *
   * @default {}
   */
  labels?: Record<string, string>
}

/** What the metrics have themselves */
const TAKEN = new Set(['dir', 'scope', 'protocol', 'service', 'resource', 'le'])

const VALID = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/

const sets = new WeakMap<object, MetricSet>()

/**
 * Registers the metrics `libp2p_rcmgr_…` of a manager.
 *
 * @returns takes them out of the registry
 * @throws {InvalidParametersError} if the registry has metrics of these names with
 * the same labels, or a label makes no sense; nothing was registered then
 */
export function registerPrometheusMetrics (manager: Observed, registry: Registry<any>, options: PrometheusMetricsOptions = {}): () => void {
  const labels = { ...options.labels }
  assertLabels(labels)

  let set = sets.get(registry)

  // the registry may have been cleared
  if (set?.isIn(registry) !== true) {
    const taken = METRICS.find(name => registry.getSingleMetric(name) != null)

    if (taken !== undefined) {
      throw new InvalidParametersError(`The registry has a metric ${taken} of somebody else already, use another registry`)
    }

    set = new MetricSet(registry, Object.keys(labels).sort())
    sets.set(registry, set)
  }

  assertDistinct(labels, set)

  const source = { labels, now: new Snapshots(manager) }
  set.add(source)

  return () => {
    set.remove(source)

    if (set.isEmpty && set.isIn(registry)) {
      set.takeOut(registry)
    }
  }
}

function assertLabels (labels: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(labels)) {
    if (!VALID.test(name) || TAKEN.has(name)) {
      throw new InvalidParametersError(`A label is named ${JSON.stringify(name)}, allowed are letters, digits and underscores, but for ${[...TAKEN].join(', ')} and what begins with __`)
    }

    if (typeof value !== 'string') {
      throw new InvalidParametersError(`The label ${name} is no string`)
    }
  }
}

function assertDistinct (labels: Record<string, string>, { labelNames, sources }: MetricSet): void {
  const names = Object.keys(labels).sort()

  if (names.join() !== labelNames.join()) {
    throw new InvalidParametersError(`The other resource managers on this registry have the labels [${labelNames.join(', ')}], this one has [${names.join(', ')}]: ` +
      'all that share a registry need the same label names, or registries of their own')
  }

  if (sources.some((other: Source) => names.every(name => other.labels[name] === labels[name]))) {
    throw new InvalidParametersError('The registry has the metrics of a resource manager with the same labels already: ' +
      'give each one labels that tell them apart, such as { labels: { node: \'a\' } }, or a registry of its own')
  }
}
