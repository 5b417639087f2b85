/**
 * @file What a tracer is told: every change of every scope, in the order in which
 * it happens, so that all counts can be rebuilt from it.
 */

import type { Account } from './account.ts'
import type { ResourceLimitExceededError } from './errors.ts'

/**
 * Called in the midst of an operation, so it must not throw, and must not use the
 * scopes: whatever it does with what it is told, it does later. The name of
 * a scope is that of its account.
 */
export interface ScopeTracer {
  /** A scope was made, nothing counts in it yet */
  created(account: Account): void

  /** A connection or stream counts in itself and in all above it from now on */
  taken(leaf: Account): void

  /** All that a leaf holds counts in other scopes than before, it is not in itself that anything changes */
  moved(leaf: Account, from: readonly Account[], to: readonly Account[]): void

  /** Bytes were reserved in this very scope, and count in all above it */
  reserved(account: Account, size: number, priority: number): void

  /** Bytes were released in this very scope, and in all above it that have not ended */
  released(account: Account, size: number): void

  /**
   * A scope has ended, and all that it still shows counts above it no more; or it
   * was made and is not used, since it was refused
   */
  ended(account: Account): void

  /**
   * A limit was in the way. What was asked for may still be made, in other scopes
   * or because refusals are only observed. `by` is unset if it was a gate before the
   * scopes.
   */
  blocked(refusal: ResourceLimitExceededError, by?: Account, fileDescriptors?: number): void

  /** A scope has another name from now on */
  renamed(account: Account, before: string): void
}
