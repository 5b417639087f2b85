/**
 * @file Where the scopes of a manager read their limits from: a table, or the
 * user's own limiter over a table of defaults; and what is enforced now.
 */

import { optionOf, resolveLimit } from '../core/limit.ts'
import { LimitTable, NAMED_KEYS, NAMED_KIND, nullRecord, resolveLimits } from './limits.ts'
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
  private readonly table: LimitTable
  private readonly limits: ConcreteLimits
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
   * Limits laid over these ones and what was set for scopes by hand. What the
   * user's own limiter has answered is not made permanent by that.
   *
   * @throws {InvalidLimitError} naming path, value and what is allowed
   */
  with (limits: Limits, registry: ScopeRegistry): LimitSource {
    return new LimitSource(resolveLimits(limits, this.isAsked ? this.limits : this.enforced(registry)), this.asked)
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

    // the records are copied, whoever prints them may also change them
    for (const key of NAMED_KEYS) {
      limits[key] = nullRecord(limits[key])
    }

    for (const scope of registry.namedScopes()) {
      const key = NAMED_KIND[scope.kind]

      if (key !== undefined && (scope.sticky || this.asked !== undefined)) {
        limits[key][scope.key] = scope.limit
      }
    }

    return limits
  }
}
