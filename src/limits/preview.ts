/**
 * @file What other limits would change, and whether more is in use than they
 * would let through.
 */

import { isPlain, RESOURCES } from '../core/limit.ts'
import { FALLBACK, NAMED_KEYS, NAMED_KIND, SCOPE_KEYS } from './limits.ts'
import type { ConcreteLimits, ScopeKey } from './limits.ts'
import type { AdmissionLimits, RateLimits } from '../admission/admission.ts'
import type { SubnetLimits } from '../admission/subnet-limits.ts'
import type { ScopeRegistry } from '../core/scope-registry.ts'
import type { Scope } from '../core/scope.ts'
import type { ConcreteLimit, Resource } from '../core/types.ts'

type Value = ConcreteLimit[Resource] | SubnetLimits | RateLimits

export interface LimitChange {
  /** What would change: `limits.subnets`, `limits.rates`, or a limit of scopes such as `limits.system.memory` */
  option: string
  from: Value
  to: Value
  /** The most that is in use by a scope that this is the limit of, unset if there is none */
  inUse?: number
  /** Whether that is more than would be let through: it stays, and nothing is added until there is less */
  exceeded: boolean
}

type AllLimits = ConcreteLimits & Required<AdmissionLimits>

/**
 * One limit before and after
 */
interface Change {
  option: string
  from: ConcreteLimit
  to: ConcreteLimit
  /** The scopes that have it after the change */
  scopes: Scope[]
}

export function limitChanges (before: AllLimits, after: AllLimits, registry: ScopeRegistry): LimitChange[] {
  const changes: LimitChange[] = []

  for (const { option, from, to, scopes } of changesOfScopes(before, after, registry)) {
    for (const resource of RESOURCES) {
      if (from[resource] !== to[resource]) {
        const inUse = mostInUse(scopes, resource)
        changes.push({ option: `${option}.${resource}`, from: from[resource], to: to[resource], inUse, exceeded: inUse !== undefined && inUse > to[resource] })
      }
    }
  }

  for (const key of ['subnets', 'rates'] as const) {
    if (!same(before[key], after[key])) {
      changes.push({ option: `limits.${key}`, from: before[key], to: after[key], exceeded: false })
    }
  }

  return changes
}

function changesOfScopes (before: ConcreteLimits, after: ConcreteLimits, registry: ScopeRegistry): Change[] {
  const changes = new Map<string, Change>()

  const compare = (option: string, from: ConcreteLimit, to: ConcreteLimit): void => {
    if (!same(from, to)) {
      changes.set(option, { option, from, to, scopes: [] })
    }
  }

  for (const key of SCOPE_KEYS) {
    compare(`limits.${key}`, before[key], after[key])
  }

  for (const key of NAMED_KEYS) {
    for (const name of Object.keys(after[key])) {
      compare(optionOfName(key, name), before[key][name] ?? before[FALLBACK[key]], after[key][name])
    }
  }

  if (changes.size > 0) {
    for (const scope of governed(registry)) {
      changes.get(optionOf(scope, after))?.scopes.push(scope)
    }
  }

  return [...changes.values()]
}

/**
 * All scopes but connections and streams whose limit was set by hand, which no
 * other limit changes
 */
function * governed (registry: ScopeRegistry): Generator<Scope> {
  const { connectionLimit, streamLimit } = registry

  for (const scope of registry.allScopes()) {
    const { kind, account: { enforced } } = scope

    if ((kind !== 'connection' || enforced === connectionLimit) && (kind !== 'stream' || enforced === streamLimit)) {
      yield scope
    }
  }
}

function optionOf (scope: Scope & { key?: string }, limits: ConcreteLimits): string {
  const key = NAMED_KIND[scope.kind]

  if (key === undefined) {
    return `limits.${scope.kind as ScopeKey}`
  }

  return scope.key !== undefined && limits[key][scope.key] !== undefined
    ? optionOfName(key, scope.key)
    : `limits.${FALLBACK[key]}`
}

function optionOfName (key: string, name: string): string {
  return `limits.${key}[${JSON.stringify(name)}]`
}

function mostInUse (scopes: Scope[], resource: Resource): number | undefined {
  return scopes.reduce<number | undefined>((most, { account }) => Math.max(most ?? 0, account.current(resource)), undefined)
}

/**
 * Whether two limits say the same, in whatever order they say it
 */
function same (a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((value, i) => same(value, b[i]))
  }

  if (!isPlain(a) || !isPlain(b)) {
    return a === b
  }

  const keys = Object.keys(a)

  return keys.length === Object.keys(b).length && keys.every(key => same((a as any)[key], (b as any)[key]))
}
