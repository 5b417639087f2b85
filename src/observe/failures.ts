/**
 * @file Counts the connections and streams that have failed, by what is known of
 * them before somebody looks.
 */

import type { Failure } from '../core/failure.ts'

/**
 * How many connections or streams have failed in one way since the manager was
 * made
 */
export interface FailureCount extends Pick<Failure, 'kind' | 'direction' | 'stage' | 'reason'> {
  count: number
}

/**
 * How many ways to fail are told apart. js-libp2p has some dozens, but the errors
 * of an application may have any name.
 */
const MOST_FAILURES = 100

/** The reason of all others together */
const OTHERS = '(others)'

export class FailureCounts {
  private readonly counts = new Map<string, FailureCount>()

  add ({ kind, direction, stage, reason }: Failure): void {
    const where = `${kind} ${direction} ${stage}`
    let entry = this.counts.get(`${where} ${reason}`)

    if (entry === undefined) {
      reason = this.counts.size < MOST_FAILURES ? reason : OTHERS
      entry = this.counts.get(`${where} ${reason}`) ?? { kind, direction, stage, reason, count: 0 }
      this.counts.set(`${where} ${reason}`, entry)
    }

    entry.count++
  }

  entries (): FailureCount[] {
    return [...this.counts.values()].map(entry => ({ ...entry }))
  }
}
