/**
 * @file Which scopes use so much of a limit that it may soon refuse something.
 */

import { RESOURCES } from '../core/limit.ts'
import type { Scope } from '../core/scope.ts'
import type { ConcreteLimit, Resource, ScopeKind } from '../core/types.ts'

export interface NearLimit {
  /** Name of the scope */
  scope: string
  kind: ScopeKind
  resource: Resource
  /** In use; bytes for memory */
  current: number
  limit: ConcreteLimit[Resource]
  /** How much of the limit is in use, 1 is all of it */
  fraction: number
  /** What to change, such as `limits.system.memory` */
  option: string
}

/**
 * The fullest first. Nothing is near a limit of 0 that uses nothing of it.
 */
export function nearLimits (scopes: Iterable<Scope>, fraction: number): NearLimit[] {
  const near: NearLimit[] = []

  for (const scope of scopes) {
    for (const resource of RESOURCES) {
      // a connection is always one of one, and so is a stream
      if (resource !== 'memory' && (scope.kind === 'connection' || scope.kind === 'stream')) {
        continue
      }

      const current = scope.account.current(resource)
      const limit = scope.limit[resource]

      if (current > 0 && current >= fraction * Number(limit)) {
        near.push({ scope: scope.name, kind: scope.kind, resource, current, limit, fraction: current / Number(limit), option: `${scope.option}.${resource}` })
      }
    }
  }

  return near.sort((a, b) => b.fraction - a.fraction)
}
