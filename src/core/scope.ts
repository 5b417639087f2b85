/**
 * @file One node of the DAG: reserving and releasing memory in it and in all
 * scopes above it, and the spans below it.
 *
 * JavaScript runs a reservation to its end without interruption, so every scope
 * is checked first and then all are added to: a refusal has nothing to roll back.
 */

import { Account } from './account.ts'
import { InvalidReservationError, refusal, ScopeClosedError } from './errors.ts'
import { optionOf, resolveLimit } from './limit.ts'
import type { AccountHolder } from './account.ts'
import type { ResourceLimitExceededError } from './errors.ts'
import type { ConcreteLimit, Direction, Limit, Resource, ResourceScope, ResourceScopeSpan, ScopeKind, ScopeStat } from './types.ts'

/**
 * Hears what happens in the scopes of a manager
 */
export interface ScopeObserver {
  /**
   * A reservation was refused, the error is about to be thrown
   */
  blocked?(err: ResourceLimitExceededError): void

  /**
   * More was released than the scope had reserved: whoever did that has lost
   * count of its own reservations
   */
  overReleased?(scope: ResourceScope, released: number, held: number): void
}

/**
 * What all scopes of a manager share
 */
export interface ScopeEnvironment {
  observer?: ScopeObserver
}

const NONE: readonly Account[] = []

export abstract class Scope implements ResourceScope, AccountHolder {
  readonly account: Account
  readonly kind: ScopeKind

  /**
   * The accounts above, each once, in the order in which they are asked. A span
   * has none of its own: it counts in its owner and in all above that.
   */
  above: readonly Account[] = NONE

  /**
   * Live spans and running views, which keep a named scope from collection
   */
  holds = 0

  protected closed = false
  readonly environment: ScopeEnvironment
  readonly owner?: Scope

  /**
   * The part of the memory that was reserved in this very scope, and not in a
   * span or a scope below
   */
  private direct = 0
  private spansBegun = 0

  constructor (environment: ScopeEnvironment, kind: ScopeKind, limit: ConcreteLimit, owner?: Scope) {
    this.environment = environment
    this.kind = kind
    this.account = new Account(this, limit)
    this.owner = owner
  }

  abstract get name (): string

  /**
   * What the configuration calls the limit of this scope
   */
  get option (): string {
    return optionOf(this.kind)
  }

  get limit (): ConcreteLimit {
    return this.account.limit
  }

  setLimit (limit: Limit): void {
    this.assertOpen()
    this.account.limit = resolveLimit(limit, this.account.limit, this.option)
  }

  reserveMemory (size: number, priority: number = 255): void {
    // the scope itself and, for a span, its owners
    let scope: Scope = this

    for (;;) {
      if (scope.closed) {
        throw new ScopeClosedError(pathTo(this, scope))
      }

      assertSize(size)
      assertPriority(priority)

      if (!scope.account.fitsMemory(size, priority)) {
        refuse(this, scope.account, 'memory', size, undefined, priority)
      }

      if (scope.owner === undefined) {
        break
      }

      scope = scope.owner
    }

    const above = scope.above

    for (let i = 0; i < above.length; i++) {
      if (!above[i].fitsMemory(size, priority)) {
        refuse(this, above[i], 'memory', size, undefined, priority)
      }
    }

    // everybody agreed
    this.direct += size
    this.account.memory += size

    for (let owner = this.owner; owner !== undefined; owner = owner.owner) {
      owner.account.memory += size
    }

    for (let i = 0; i < above.length; i++) {
      above[i].memory += size
    }
  }

  releaseMemory (size: number): void {
    assertSize(size)

    if (this.closed) {
      return
    }

    if (size > this.direct) {
      this.environment.observer?.overReleased?.(this, size, this.direct)
      size = this.direct
    }

    this.direct -= size
    this.account.memory -= size

    let top: Scope = this

    for (let owner = this.owner; owner !== undefined; owner = owner.owner) {
      // an owner that has ended has given back what its spans held
      if (owner.closed) {
        return
      }

      owner.account.memory -= size
      top = owner
    }

    const above = top.above

    for (let i = 0; i < above.length; i++) {
      above[i].memory -= size
    }
  }

  stat (): ScopeStat {
    return this.account.stat()
  }

  beginSpan (): ResourceScopeSpan {
    this.assertOpen()
    this.holds++
    this.spansBegun++

    return new Span(this.environment, this, `${this.name}.span-${this.spansBegun}`)
  }

  protected assertOpen (): void {
    if (this.closed) {
      throw new ScopeClosedError([this.name])
    }
  }

  /**
   * Gives back all that is held, and accepts nothing from now on
   */
  protected end (): void {
    if (this.closed) {
      return
    }

    this.closed = true
    this.giveBack()
    this.account.clear()
    this.direct = 0

    if (this.owner !== undefined) {
      this.owner.holds--
    }
  }

  private giveBack (): void {
    let top: Scope = this

    for (let owner = this.owner; owner !== undefined; owner = owner.owner) {
      if (owner.closed) {
        return
      }

      owner.account.subtract(this.account)
      top = owner
    }

    const above = top.above

    for (let i = 0; i < above.length; i++) {
      above[i].subtract(this.account)
    }
  }
}

/**
 * A scope that somebody ends
 */
export abstract class EndableScope extends Scope implements ResourceScopeSpan {
  done (): void {
    this.end()
  }

  [Symbol.dispose] (): void {
    this.end()
  }
}

/**
 * A scope within a scope. It has, for itself, the limit that its owner had when
 * it began.
 */
export class Span extends EndableScope {
  readonly name: string

  constructor (environment: ScopeEnvironment, owner: Scope, name: string) {
    super(environment, owner.kind, owner.limit, owner)
    this.name = name
  }

  get option (): string {
    return this.owner?.option ?? super.option
  }
}

/**
 * Throws the refusal of a reservation, after the observer has heard of it.
 *
 * @param asked - the scope that was asked
 * @param by - the account, of that scope or of one above, that is in the way
 */
export function refuse (asked: Scope, by: Account, resource: Resource, attempted: number, direction?: Direction, priority?: number): never {
  const scope = by.holder as Scope

  const err = refusal({
    scope: scope.name,
    kind: scope.kind,
    path: pathTo(asked, scope),
    resource,
    direction,
    current: by.current(resource),
    attempted,
    limit: by.limit[resource],
    priority,
    option: `${scope.option}.${resource}`
  })

  asked.environment.observer?.blocked?.(err)

  throw err
}

/**
 * The names from a scope, through the owners of spans, to another one
 */
function pathTo (from: Scope, to: Scope): string[] {
  const path = [from.name]

  for (let scope = from; scope !== to;) {
    const owner = scope.owner

    if (owner === undefined) {
      path.push(to.name)
      break
    }

    path.push(owner.name)
    scope = owner
  }

  return path
}

function assertSize (size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new InvalidReservationError(`The size of a memory reservation is ${String(size)}, allowed is a number of bytes, an integer that is not negative`)
  }
}

function assertPriority (priority: number): void {
  if (!Number.isInteger(priority) || priority < 0 || priority > 255) {
    throw new InvalidReservationError(`The priority of a memory reservation is ${String(priority)}, allowed is an integer from 0 to 255`)
  }
}
