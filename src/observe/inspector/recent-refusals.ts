/**
 * @file The last refusals, those of one limit together: a flood is refused a
 * hundred thousand times a second, and nobody reads that.
 */

import { cut } from './cut.ts'
import { encodeLimit } from './inspected.ts'
import type { InspectedManager } from './inspected.ts'
import type { Refusal } from './page/messages.ts'
import type { ResourceLimitExceededError } from '../../core/errors.ts'

/** Different ones */
const LENGTH = 200

/** Characters of a message, which has names of remotes in it */
const LONGEST = 600

interface Entry {
  last: ResourceLimitExceededError
  count: number
  at: number
  /** When it changed, in rounds */
  round: number
}

export class RecentRefusals {
  /** Goes up whenever somebody has read: what came since is newer */
  private round = 1

  // in the order of the last refusal
  private readonly entries = new Map<string, Entry>()
  private readonly manager: InspectedManager
  private readonly onBlocked = ({ detail }: CustomEvent<ResourceLimitExceededError>): void => { this.add(detail) }

  constructor (manager: InspectedManager) {
    this.manager = manager
  }

  /**
   * What was logged before is gone: what happened while nobody looked would be
   * missing in the counts
   */
  start (): void {
    this.entries.clear()
    this.manager.addEventListener('blocked', this.onBlocked)
  }

  stop (): void {
    this.manager.removeEventListener('blocked', this.onBlocked)
  }

  /**
   * What has changed since a round, the latest first
   *
   * @returns with the round to ask from the next time
   */
  since (round: number): { round: number, refusals: Refusal[] } {
    const changed = [...this.entries].filter(([, entry]) => entry.round >= round).reverse()

    return { round: this.round + 1, refusals: changed.map(([key, entry]) => toRefusal(key, entry)) }
  }

  /**
   * Called when all who look have read
   */
  nextRound (): void {
    this.round++
  }

  private add (refusal: ResourceLimitExceededError): void {
    const key = keyOf(refusal)
    const entry = this.entries.get(key)

    if (entry !== undefined) {
      entry.last = refusal
      entry.count++
      entry.at = Date.now()
      entry.round = this.round
      // the latest is the last
      this.entries.delete(key)
      this.entries.set(key, entry)

      return
    }

    this.entries.set(key, { last: refusal, count: 1, at: Date.now(), round: this.round })

    if (this.entries.size > LENGTH) {
      const [oldest] = this.entries.keys()
      this.entries.delete(oldest)
    }
  }
}

/**
 * Of one limit of one scope. Connections and streams are refused once each, and
 * addresses are many.
 */
function keyOf ({ kind, scope, option, resource, direction, enforced }: ResourceLimitExceededError): string {
  const who = kind === 'connection' || kind === 'stream' ? '' : scope

  return `${enforced ? '' : '?'}${direction ?? ''} ${option} ${resource} ${who}`
}

function toRefusal (key: string, { last, count, at }: Entry): Refusal {
  return {
    key: cut(key, LONGEST),
    count,
    at,
    message: cut(last.message, LONGEST),
    scope: cut(last.scope),
    kind: last.kind,
    resource: last.resource,
    direction: last.direction,
    enforced: last.enforced,
    limit: encodeLimit(last.limit),
    current: last.current,
    option: cut(last.option, LONGEST),
    peer: last.peer?.toString(),
    endpoint: last.endpoint === undefined ? undefined : cut(last.endpoint.toString())
  }
}
