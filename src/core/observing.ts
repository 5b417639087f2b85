/**
 * @file Scopes that refuse nothing: they tell what they would have refused, and
 * keep the highest use that was ever seen.
 */

import { Account } from './account.ts'
import { RESOURCES } from './limit.ts'
import { ScopeEnvironment } from './scope.ts'
import type { EnforcedLimit } from './account.ts'
import type { Remote, ResourceLimitExceededError } from './errors.ts'
import type { Scope } from './scope.ts'
import type { Resource, ScopeKind } from './types.ts'

/**
 * The highest use of each resource
 */
export type Peak = Record<Resource, number>

/**
 * The highest use of every kind of scope, by the name of the service or
 * protocol. All peers share one entry, that of the peer that used most.
 */
export class Peaks {
  private readonly kinds = new Map<ScopeKind, Map<string, Peak>>()

  of (kind: ScopeKind, name: string = ''): Peak {
    let names = this.kinds.get(kind)

    if (names === undefined) {
      names = new Map()
      this.kinds.set(kind, names)
    }

    let peak = names.get(name)

    if (peak === undefined) {
      peak = Object.fromEntries(RESOURCES.map(resource => [resource, 0])) as Peak
      names.set(name, peak)
    }

    return peak
  }

  entries (kind: ScopeKind): Array<[string, Peak]> {
    return [...this.kinds.get(kind) ?? []]
  }
}

export class ObservingEnvironment extends ScopeEnvironment {
  readonly peaks = new Peaks()

  enforces (refusal: ResourceLimitExceededError, remote?: Remote): boolean {
    refusal.enforced = false
    this.concern(refusal, remote)

    return false
  }

  newAccount (holder: Scope, limit: EnforcedLimit): Account {
    return new PeakAccount(holder, limit, this.peaks)
  }
}

class PeakAccount extends Account {
  private readonly peaks: Peaks
  private peak?: Peak

  constructor (holder: Scope, limit: EnforcedLimit, peaks: Peaks) {
    super(holder, limit)
    this.peaks = peaks
  }

  /**
   * Whatever the answer, the memory will be taken
   */
  fitsMemory (size: number, priority: number): boolean {
    const peak = this.seen()
    peak.memory = Math.max(peak.memory, this.memory + size)

    return super.fitsMemory(size, priority)
  }

  add (leaf: Account): void {
    super.add(leaf)
    const peak = this.seen()

    for (const resource of RESOURCES) {
      peak[resource] = Math.max(peak[resource], this.current(resource))
    }
  }

  /**
   * The holder is not complete yet when it makes its account
   */
  private seen (): Peak {
    if (this.peak === undefined) {
      const { kind, key } = this.holder as Scope & { key?: string }
      this.peak = this.peaks.of(kind, kind === 'peer' ? '' : key)
    }

    return this.peak
  }
}
