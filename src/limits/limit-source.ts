/**
 * @file Where the scopes of a manager read their limits from: a table, or the
 * user's own limiter over a table of defaults; and what is enforced now.
 */

import { optionOf, resolveLimit } from '../core/limit.ts'
import { ServiceNames } from '../core/service-names.ts'
import { FALLBACK, LimitTable, NAMED_KEYS, NAMED_KIND, nullRecord, resolveLimits, sameService, SERVICE_KEYS } from './limits.ts'
import { applyLimits } from './merge.ts'
import type { ConcreteLimits, Limits, ServiceKey } from './limits.ts'
import type { ScopeRegistry } from '../core/scope-registry.ts'
import type { NamedNode, RootNode } from '../core/scopes.ts'
import type { ConcreteLimit, Limit, Limiter, ScopeKind } from '../core/types.ts'

/**
 * The part of a user's own limiter that is asked
 */
export interface AskedLimiter {
  limitFor(kind: ScopeKind, name?: string): Limit | undefined
}

export interface LimitSourceInit {
  /** Asked for every scope, its answers are laid over the limits */
  asked?: AskedLimiter
  /** Of services */
  names?: ServiceNames
  /** What the limits have of services from the user, as it was given */
  given?: Pick<Limits, ServiceKey>
}

export class LimitSource implements Limiter {
  private readonly table: LimitTable
  private readonly limits: ConcreteLimits
  private readonly asked?: AskedLimiter
  private readonly names: ServiceNames
  private readonly given: Pick<Limits, ServiceKey>

  constructor (limits: ConcreteLimits, { asked, names = new ServiceNames(), given = {} }: LimitSourceInit = {}) {
    this.limits = limits
    this.table = new LimitTable(limits)
    this.asked = asked
    this.names = names
    this.given = given
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
    return this.changed(
      resolveLimits(limits, this.isAsked ? this.limits : this.enforced(registry), this.names),
      applyLimits({ services: limits.services, servicePeers: limits.servicePeers }, this.given)
    )
  }

  /**
   * The same limits when a name turns out to be another one of a service: what
   * was given under that name is laid over what the service has.
   *
   * @throws {InvalidLimitError} if limits were given under both
   */
  renamed (name: string, canonical: string): LimitSource {
    const limits = { ...this.limits }

    for (const key of SERVICE_KEYS) {
      const given = nullRecord(this.given[key])
      // not given: it was set for the scope by hand
      const limit = given[name] ?? limits[key][name]

      if (limit === undefined) {
        continue
      }

      const other = Object.keys(given).find(other => other !== name && given[other] !== undefined && this.names.canonical(other) === canonical)

      if (other !== undefined) {
        throw sameService(key, name, limit, other)
      }

      limits[key] = nullRecord(limits[key])
      limits[key][canonical] = resolveLimit(limit, limits[key][canonical] ?? limits[FALLBACK[key]], `limits.${key}[${JSON.stringify(name)}]`)
      delete limits[key][name]
    }

    return this.changed(limits, this.given)
  }

  private changed (limits: ConcreteLimits, given: Pick<Limits, ServiceKey>): LimitSource {
    return new LimitSource(limits, { asked: this.asked, names: this.names, given })
  }

  /**
   * What is enforced now: the table, and over it what was set for a scope by
   * hand or given by the user's own limiter
   */
  enforced (registry: ScopeRegistry): ConcreteLimits {
    return {
      ...this.withScopes(registry, ({ limit }) => limit),
      connection: registry.connectionLimit.concrete,
      stream: registry.streamLimit.concrete
    }
  }

  /**
   * What will be enforced once these limits are in place
   *
   * @throws {InvalidLimitError} if the user's own limiter answers nonsense
   */
  planned (registry: ScopeRegistry): ConcreteLimits {
    return {
      ...this.withScopes(registry, scope => scope.sticky && this.isAsked
        ? scope.limit
        : this.limitFor(scope.kind, 'key' in scope ? scope.key : undefined)),
      connection: this.limitFor('connection'),
      stream: this.limitFor('stream')
    }
  }

  private withScopes (registry: ScopeRegistry, limitOf: (scope: RootNode | NamedNode) => ConcreteLimit): ConcreteLimits {
    const { standard, allowlisted } = registry

    const limits: ConcreteLimits = {
      ...this.limits,
      system: limitOf(standard.system),
      transient: limitOf(standard.transient),
      allowlistedSystem: limitOf(allowlisted.system),
      allowlistedTransient: limitOf(allowlisted.transient)
    }

    // the records are copied, whoever prints them may also change them
    for (const key of NAMED_KEYS) {
      limits[key] = nullRecord(limits[key])
    }

    for (const scope of registry.namedScopes()) {
      const key = NAMED_KIND[scope.kind]

      if (key !== undefined && (scope.sticky || this.asked !== undefined)) {
        limits[key][scope.key] = limitOf(scope)
      }
    }

    return limits
  }
}
