/**
 * @file What a manager tells those who listen.
 */

import type { ResourceLimitExceededError } from './core/errors.ts'
import type { Failure } from './core/failure.ts'
import type { OpenConnection, OpenStream } from './observe/open-scopes.ts'

export interface ResourceManagerEvents {
  /**
   * A reservation was refused, the detail says by which limit; with
   * `enforce: false`, and `enforced: false` in the detail, it would have been
   */
  blocked: CustomEvent<ResourceLimitExceededError>

  /**
   * A connection or stream has ended with an error, and not because a limit has
   * refused something
   */
  failed: CustomEvent<Failure>

  /**
   * A connection that shows no peer, or a stream that is not negotiated, for more
   * than `maxTransientAge`: each is told once, within seconds
   */
  stale: CustomEvent<OpenConnection | OpenStream>
}
