/**
 * @file A reservation as large as a buffer.
 */

import type { ResourceScope } from '../../core/types.ts'

/**
 * Reserving in steps keeps a buffer that grows by small chunks cheap, in bytes
 */
export const STEP = 4096

export class Reservation {
  /** In bytes */
  held = 0
  private scope: ResourceScope

  constructor (scope: ResourceScope) {
    this.scope = scope
  }

  /**
   * `priority` is asked only if the buffer has grown by a step
   *
   * @throws {ResourceLimitExceededError} then the reservation is as large as before
   */
  resize (length: number, priority: () => number): void {
    const wanted = Math.ceil(length / STEP) * STEP

    if (wanted > this.held) {
      this.scope.reserveMemory(wanted - this.held, priority())
    } else if (wanted < this.held) {
      this.scope.releaseMemory(this.held - wanted)
    }

    this.held = wanted
  }

  /**
   * Goes on in another scope, with nothing held: the old scope has ended and
   * given everything back
   */
  moveTo (scope: ResourceScope): void {
    this.scope = scope
    this.held = 0
  }
}
