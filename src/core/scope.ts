/**
 * @file One node of the DAG: reserving and releasing memory in it and in all
 * scopes above it, and the spans below it.
 *
 * JavaScript runs a reservation to its end without interruption, so every scope
 * is checked first and then all are added to: a refusal has nothing to roll back.
 */

import { Account, EnforcedLimit } from './account.ts'
import { describe, inspect } from './describe.ts'
import { InvalidReservationError, refusal, ScopeClosedError, show } from './errors.ts'
import { optionOf, resolveLimit } from './limit.ts'
import type { AccountHolder } from './account.ts'
import type { RefusalKind, Remote, ResourceLimitExceededError } from './errors.ts'
import type { ScopeTracer } from './tracer.ts'
import type { ConcreteLimit, Direction, Limit, Resource, ResourceScope, ResourceScopeSpan, ScopeKind, ScopeStat } from './types.ts'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Hears what happens in the scopes of a manager
 */
export interface ScopeObserver {
  /**
   * A reservation was refused and the error is about to be thrown or, where
   * refusals are only observed, would have been refused and was made
   */
  blocked?(err: ResourceLimitExceededError): void

  /**
   * More was released than the scope had reserved: whoever did that has lost
   * count of its own reservations
   */
  overReleased?(scope: ResourceScope, released: number, held: number): void
}

/**
 * What refuses before there is a scope
 */
const GATES: readonly RefusalKind[] = ['subnet', 'rate', 'process']

/**
 * What all scopes of a manager share
 */
export class ScopeEnvironment {
  /** Undefined unless somebody traces, so that it costs nothing */
  readonly tracer?: ScopeTracer
  private readonly observer: ScopeObserver

  constructor (observer: ScopeObserver = {}, tracer?: ScopeTracer) {
    this.observer = observer
    this.tracer = tracer
  }

  /**
   * Asked with every refusal before anything changes: true means that it is to be
   * thrown. Observers hear of it now.
   */
  enforces (refusal: ResourceLimitExceededError, remote?: Remote): boolean {
    this.concern(refusal, remote)
    this.report(refusal)

    return true
  }

  /**
   * Called with a refusal that was not enforced once everything has changed:
   * observers may do what they like, so they must not run in between
   */
  observed (refusal: ResourceLimitExceededError): void {
    this.report(refusal)
  }

  protected concern (refusal: ResourceLimitExceededError, remote?: Remote): void {
    refusal.peer = remote?.peer
    refusal.endpoint = remote?.endpoint
  }

  private report (refusal: ResourceLimitExceededError): void {
    if (this.tracer !== undefined && GATES.includes(refusal.kind)) {
      this.tracer.blocked(refusal)
    }

    this.observer.blocked?.(refusal)
  }

  overReleased (scope: ResourceScope, released: number, held: number): void {
    this.observer.overReleased?.(scope, released, held)
  }

  newAccount (holder: Scope, limit: EnforcedLimit): Account {
    return new Account(holder, limit)
  }
}

export abstract class Scope implements ResourceScope, AccountHolder, Remote {
  readonly account: Account

  /**
   * An owner is given to a span only
   */
  constructor (environment: ScopeEnvironment, limit: EnforcedLimit, owner?: Account) {
    this.account = owner === undefined ? environment.newAccount(this, limit) : new Account(this, limit, owner)
  }

  abstract get environment (): ScopeEnvironment

  abstract get kind (): ScopeKind

  abstract get name (): string

  get peer (): PeerId | undefined {
    return undefined
  }

  get endpoint (): Multiaddr | undefined {
    return undefined
  }

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
    this.account.enforced = new EnforcedLimit(resolveLimit(limit, this.limit, this.option))
  }

  reserveMemory (size: number, priority: number = 255): void {
    const own = this.account

    if (own.closed) {
      throw new ScopeClosedError([this.name])
    }

    assertSize(size)
    assertPriority(priority)

    let refusal: ResourceLimitExceededError | undefined

    if (!own.fitsMemory(size, priority)) {
      refusal = this.refuseMemory(own, size, priority, refusal)
    }

    // of a span, its owners
    let top = own

    while (top.owner !== undefined) {
      top = top.owner

      if (top.closed) {
        throw new ScopeClosedError(pathTo(own, top))
      }

      if (!top.fitsMemory(size, priority)) {
        refusal = this.refuseMemory(top, size, priority, refusal)
      }
    }

    const above = top.above

    for (let i = 0; i < above.length; i++) {
      if (!above[i].fitsMemory(size, priority)) {
        refusal = this.refuseMemory(above[i], size, priority, refusal)
      }
    }

    // everybody agreed
    own.direct += size
    own.memory += size

    for (let owner = own.owner; owner !== undefined; owner = owner.owner) {
      owner.memory += size
    }

    for (let i = 0; i < above.length; i++) {
      above[i].memory += size
    }

    const { tracer } = this.environment

    if (tracer !== undefined) {
      tracer.reserved(own, size, priority)
    }

    if (refusal !== undefined) {
      this.environment.observed(refusal)
    }
  }

  releaseMemory (size: number): void {
    assertSize(size)

    const own = this.account

    if (own.closed) {
      return
    }

    if (size > own.direct) {
      this.environment.overReleased(this, size, own.direct)
      size = own.direct
    }

    own.direct -= size
    own.memory -= size
    releaseAbove(own, size)

    const { tracer } = this.environment

    if (tracer !== undefined) {
      tracer.released(own, size)
    }
  }

  stat (): ScopeStat {
    return this.account.stat()
  }

  beginSpan (): ResourceScopeSpan {
    this.assertOpen()
    this.account.holds++
    this.account.spansBegun++

    const span = new Span(this, `${this.name}.span-${this.account.spansBegun}`)
    this.environment.tracer?.created(span.account)

    return span
  }

  /**
   * Name, use and limits
   */
  toString (): string {
    return describe(this.account)
  }

  [inspect] (): string {
    return describe(this.account)
  }

  /**
   * Throws, or returns the refusal that came first
   */
  private refuseMemory (by: Account, size: number, priority: number, first?: ResourceLimitExceededError): ResourceLimitExceededError {
    const refusal = first ?? refusedBy(this, by, 'memory', size, undefined, priority)

    if (this.environment.enforces(refusal, this)) {
      throw refusal
    }

    return refusal
  }

  protected assertOpen (): void {
    if (this.account.closed) {
      throw new ScopeClosedError([this.name])
    }
  }

  /**
   * Gives back all that is held, and accepts nothing from now on
   */
  protected end (): void {
    const own = this.account

    if (own.closed) {
      return
    }

    const { tracer } = this.environment

    own.closed = true
    giveBack(own)

    if (tracer !== undefined) {
      tracer.ended(own)
    }

    own.clear()
    own.direct = 0

    if (own.owner !== undefined) {
      own.owner.holds--
    }
  }
}

function releaseAbove (own: Account, size: number): void {
  let top = own

  while (top.owner !== undefined) {
    top = top.owner

    // an owner that has ended has given back what its spans held
    if (top.closed) {
      return
    }

    top.memory -= size
  }

  const above = top.above

  for (let i = 0; i < above.length; i++) {
    above[i].memory -= size
  }
}

function giveBack (own: Account): void {
  let top = own

  while (top.owner !== undefined) {
    top = top.owner

    if (top.closed) {
      return
    }

    top.subtract(own)
  }

  const above = top.above

  for (let i = 0; i < above.length; i++) {
    above[i].subtract(own)
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
    this.done()
  }
}

/**
 * A scope within a scope. It has, for itself, the limit that its owner had when
 * it began.
 */
export class Span extends EndableScope {
  readonly name: string
  private readonly owner: Scope

  constructor (owner: Scope, name: string) {
    super(owner.environment, new EnforcedLimit(owner.limit), owner.account)
    this.owner = owner
    this.name = name
  }

  get environment (): ScopeEnvironment {
    return this.owner.environment
  }

  get kind (): ScopeKind {
    return this.owner.kind
  }

  get peer (): PeerId | undefined {
    return this.owner.peer
  }

  get endpoint (): Multiaddr | undefined {
    return this.owner.endpoint
  }

  get option (): string {
    return this.owner.option
  }
}

/**
 * Makes the error of a refusal. Whether it takes effect is for the caller to find
 * out, and to throw: V8 counts how hot a function is when it returns, one that
 * always throws stays in the interpreter, without inline caches.
 *
 * `asked` is the scope that was asked, `by` the account, of that scope or of one
 * above, that is in the way.
 */
export function refusedBy (asked: Scope, by: Account, resource: Resource, attempted: number, direction?: Direction, priority?: number, fileDescriptors?: number): ResourceLimitExceededError {
  const scope = by.holder as Scope
  const path = pathTo(asked.account, by)

  const refused = refusal({
    scope: path[path.length - 1],
    kind: scope.kind,
    path,
    resource,
    direction,
    current: by.current(resource),
    attempted,
    limit: by.limit[resource],
    priority,
    option: `${scope.option}.${resource}`
  })

  asked.environment.tracer?.blocked(refused, by, fileDescriptors)

  return refused
}

/**
 * The names from a scope, through the owners of spans, to another one
 */
function pathTo (from: Account, to: Account): string[] {
  if (from === to) {
    return [to.holder.name]
  }

  if (from.owner === undefined) {
    return [from.holder.name, to.holder.name]
  }

  return [from.holder.name, ...pathTo(from.owner, to)]
}

function assertSize (size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new InvalidReservationError(`The size of a memory reservation is ${show(size)}, allowed is a number of bytes, an integer that is not negative`)
  }
}

function assertPriority (priority: number): void {
  if (!Number.isInteger(priority) || priority < 0 || priority > 255) {
    throw new InvalidReservationError(`The priority of a memory reservation is ${show(priority)}, allowed is an integer from 0 to 255`)
  }
}
