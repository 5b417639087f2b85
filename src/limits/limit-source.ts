/**
 * @file Where the scopes of a manager read their limits from: a table, or the
 * user's own limiter over a table of defaults; and what is enforced now.
 */

import { optionOf, resolveLimit } from '../core/limit.ts'
import { LimitTable, NAMED_KIND, nullRecord, resolveLimits } from './limits.ts'
import type { ConcreteLimits, Limits } from './limits.ts'
import type { ScopeRegistry } from '../core/scope-registry.ts'
import type { ConcreteLimit, Limit, Limiter, ScopeKind } from '../core/types.ts'

/**
 * The part of a user's own limiter that is asked
 */
export interface AskedLimiter {
  limitFor(kind: ScopeKind, name?: string): Limit | undefined
}

export class LimitSource implements Limiter {
  private table: LimitTable
  private limits: ConcreteLimits
  private readonly asked?: AskedLimiter

  constructor (limits: ConcreteLimits, asked?: AskedLimiter) {
    this.limits = limits
    this.table = new LimitTable(limits)
    this.asked = asked
  }

  /**
   * Whether limits come from functions, which may answer otherwise next time
   */
  get isAsked (): boolean {
    return this.asked !== undefined
  }

  limitFor (kind: ScopeKind, name?: string): ConcreteLimit {
    const limit = this.table.limitFor(kind, name)

    return this.asked === undefined ? limit : resolveLimit(this.asked.limitFor(kind, name), limit, optionOf(kind, name))
  }

  /**
   * Lays limits over those that are enforced
   *
   * @throws {InvalidLimitError} naming path, value and what is allowed
   */
  lay (limits: Limits, registry: ScopeRegistry): void {
    this.limits = resolveLimits(limits, this.enforced(registry))
    this.table = new LimitTable(this.limits)
  }

  /**
   * What is enforced now: the table, and over it what was set for a scope by
   * hand or given by the user's own limiter
   */
  enforced (registry: ScopeRegistry): ConcreteLimits {
    const { standard, allowlisted } = registry

    const limits: ConcreteLimits = {
      ...this.limits,
      system: standard.system.limit,
      transient: standard.transient.limit,
      allowlistedSystem: allowlisted.system.limit,
      allowlistedTransient: allowlisted.transient.limit,
      connection: this.limitFor('connection'),
      stream: this.limitFor('stream')
    }

    for (const scope of registry.namedScopes()) {
      const key = NAMED_KIND[scope.kind]

      if (key !== undefined && (scope.sticky || this.asked !== undefined)) {
        limits[key] = nullRecord(limits[key])
        limits[key][scope.key] = scope.limit
      }
    }

    return limits
  }
}
