/**
 * @file What a tracer is told: every change of every scope, in the order in which
 * it happens, so that all counts can be rebuilt from it.
 */

import type { Account } from './account.ts'
import type { ResourceLimitExceededError } from './errors.ts'

/**
 * Called in the midst of an operation, so it must not throw, and must not use the
 * scopes: whatever it does with what it is told, it does later. Names are read
 * from `account.holder`.
 */
export interface ScopeTracer {
  /** A scope was made, nothing counts in it yet */
  created(account: Account): void

  /** A scope has ended, what counted in it was taken out before */
  ended(account: Account): void

  /** Bytes were reserved in this very scope, and count in all above it */
  reserved(account: Account, size: number, priority: number): void

  /** Bytes were released in this very scope, and in all above it that have not ended */
  released(account: Account, size: number): void

  /** All that a connection or stream holds counts in another scope, or itself, from now on */
  added(to: Account, leaf: Account): void

  /** All that a scope holds counts in one above it no more */
  removed(from: Account, leaf: Account): void

  /**
   * A limit was in the way. What was asked for may still be made, in other scopes
   * or because refusals are only observed.
   *
   * @param by - unset if it was a gate before the scopes
   */
  blocked(refusal: ResourceLimitExceededError, by?: Account, fileDescriptors?: number): void

  /** A scope has another name from now on */
  renamed(account: Account, before: string): void
}
