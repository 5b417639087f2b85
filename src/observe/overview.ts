/**
 * @file All that a manager does on one page, for a REPL.
 */

import { inWords, useOfLimit } from '../core/describe.ts'
import { RESOURCES } from '../core/limit.ts'
import type { RefusalCount } from './refusals.ts'
import type { ScopeRegistry } from '../core/scope-registry.ts'

/**
 * How many limits are named that have refused something
 */
const MOST_REFUSALS = 10

/**
 * Use and limits of the scopes at the top, how many others there are, and which
 * limits have refused something, the most often first
 */
export function overview (registry: ScopeRegistry, refusals: RefusalCount[], enforced: boolean): string {
  const { standard, allowlisted } = registry
  const roots = [standard.system, standard.transient, ...[allowlisted.system, allowlisted.transient].filter(({ account }) => !account.empty)]
  const rows = [
    ['', ...roots.map(({ name }) => name)],
    ...RESOURCES.map(resource => [inWords(resource), ...roots.map(({ account }) => useOfLimit(account, resource))])
  ]

  return [
    `resource manager${enforced ? '' : ', which only observes'}`,
    ...aligned(rows),
    countsOf(registry),
    ...refusalLines(refusals)
  ].map(line => `  ${line}`).join('\n').trimStart()
}

function aligned (rows: string[][]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))

  return rows.map(row => row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd())
}

function countsOf (registry: ScopeRegistry): string {
  const named = [...registry.namedScopes()]
  const kinds = (['service', 'protocol', 'peer'] as const).map(kind => counted(named.filter(scope => scope.kind === kind).length, kind))

  return [...kinds, counted(registry.connections.length, 'connection'), counted(registry.streams.length, 'stream')].join(', ')
}

function counted (count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function refusalLines (refusals: RefusalCount[]): string[] {
  if (refusals.length === 0) {
    return ['nothing refused so far']
  }

  const lines = refusals
    .sort((a, b) => b.count - a.count)
    .slice(0, MOST_REFUSALS)
    .map(({ direction, kind, resource, enforced, count }) => {
      const limit = `${kind}.${resource}`

      return `${count} ${enforced ? 'refused' : 'would have been refused'} by ${direction === undefined ? limit : `${direction} ${limit}`}`
    })

  return refusals.length > MOST_REFUSALS ? [...lines, `and by ${refusals.length - MOST_REFUSALS} other limits`] : lines
}
