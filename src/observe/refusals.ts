/**
 * @file Counts refusals by the kind of scope, the resource and the direction.
 * It is asked when somebody looks, and counting is all that happens before.
 */

import type { RefusalKind, RefusedResource, ResourceLimitExceededError } from '../core/errors.ts'
import type { Direction } from '../core/types.ts'

/**
 * How often a limit has refused something since the manager was made
 */
export interface RefusalCount {
  /** Which kind of scope refused, or which gate before the scopes */
  kind: RefusalKind
  /** The limit, as it is called in the configuration, or what is limited per second */
  resource: RefusedResource
  /** Of the streams or connections that were refused, unset for memory that was reserved by hand */
  direction?: Direction
  /** False if refusals are only observed: then nothing was refused */
  enforced: boolean
  /** How many refusals */
  count: number
  /** How much was asked for by all of them together; bytes for memory */
  attempted: number
}

/**
 * A limit of one kind of scope: what it refused inbound, outbound and without a
 * direction
 */
type Row = Record<Direction | 'none', RefusalCount>

export class RefusalCounts {
  // a map in a map: to put the key of one together would cost more than all the rest
  private readonly kinds = new Map<RefusalKind, Map<RefusedResource, Row>>()

  add (refusal: ResourceLimitExceededError): void {
    const { kind, resource } = refusal
    let resources = this.kinds.get(kind)

    if (resources === undefined) {
      resources = new Map()
      this.kinds.set(kind, resources)
    }

    let row = resources.get(resource)

    if (row === undefined) {
      row = newRow(refusal)
      resources.set(resource, row)
    }

    const entry = row[refusal.direction ?? 'none']
    entry.count++
    entry.attempted += refusal.attempted
  }

  entries (): RefusalCount[] {
    return [...this.kinds.values()]
      .flatMap(resources => [...resources.values()])
      .flatMap(row => [row.inbound, row.outbound, row.none])
      .filter(entry => entry.count > 0)
      .map(entry => ({ ...entry }))
  }
}

function newRow ({ kind, resource, enforced }: ResourceLimitExceededError): Row {
  const entry = { kind, resource, enforced, count: 0, attempted: 0 }

  return {
    inbound: { ...entry, direction: 'inbound' },
    outbound: { ...entry, direction: 'outbound' },
    none: entry
  }
}
