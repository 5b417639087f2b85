/**
 * @file Writes refusals to the log: the first at once, and then now and then how
 * many more there were of the same limit, direction and peer. A flood of refusals
 * must not become a flood of lines, nor may what is kept of it grow.
 */

import { every } from '../core/every.ts'
import { printable } from '../core/printable.ts'
import type { RefusedResource, ResourceLimitExceededError } from '../core/errors.ts'
import type { Logger } from '@libp2p/interface'

/**
 * How many limits, directions and peers are told apart at a time. Of all others
 * the first of each kind of limit is told, and the rest is counted by kind: there
 * are as many peers as an attacker likes, but few kinds.
 */
const MOST_ENTRIES = 32

/**
 * How many kinds are named in the line about all others
 */
const MOST_KINDS = 5

type Refusal = ResourceLimitExceededError

interface Entry {
  last: Refusal
  /** How many have not been told yet, and how much they asked for */
  count: number
  attempted: number
}

export class RefusalLog {
  private readonly log: Logger
  /** In milliseconds */
  private readonly interval: number
  private readonly entries = new Map<string, Entry>()
  /** How many more of each kind have no entry */
  private readonly others = new Map<string, number>()
  private stopTimer?: () => void

  constructor (log: Logger, interval: number) {
    this.log = log
    this.interval = interval
  }

  /**
   * Nothing is kept, and no timer runs, while the logger is off or nothing is
   * refused
   */
  add (refusal: Refusal): void {
    if (!this.log.enabled) {
      return
    }

    const key = keyOf(refusal)
    const entry = this.entries.get(key)

    if (entry !== undefined) {
      entry.last = refusal
      entry.count++
      entry.attempted += refusal.attempted

      return
    }

    if (this.entries.size >= MOST_ENTRIES) {
      const kind = kindOf(refusal)
      const count = this.others.get(kind)

      if (count !== undefined) {
        this.others.set(kind, count + 1)

        return
      }

      this.others.set(kind, 0)
    } else {
      this.entries.set(key, { last: refusal, count: 0, attempted: 0 })
    }

    this.stopTimer ??= every(this.interval, () => { this.tell() })
    this.write(`${one(refusal)}${who(refusal)}${at(refusal)} ${verb(refusal, 1)}: ${refusal.message}`)
  }

  stop (): void {
    this.tell()
    this.forget()
  }

  private tell (): void {
    const within = `in ${this.interval / 1_000} s`

    for (const [key, entry] of this.entries) {
      const { last, count, attempted } = entry

      if (count === 0) {
        this.entries.delete(key)
        continue
      }

      this.write(`${count} more ${several(last, count, attempted)}${who(last)} ${verb(last, count)} ${within}, the last${at(last)}: ${last.message}`)
      entry.count = entry.attempted = 0
    }

    this.tellOthers(within)

    if (this.entries.size === 0 || !this.log.enabled) {
      this.forget()
    }
  }

  private tellOthers (within: string): void {
    const kinds = [...this.others].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a)
    const sum = kinds.reduce((sum, [, count]) => sum + count, 0)
    const named = kinds.slice(0, MOST_KINDS).map(([kind, count]) => `${count} by ${kind}`)

    if (kinds.length > MOST_KINDS) {
      named.push('…')
    }

    if (sum > 0) {
      this.write(`and ${sum} more of ${kinds.length} ${kinds.length === 1 ? 'kind' : 'kinds'}, of other peers or addresses, ${within}: ${named.join(', ')}`)
    }

    this.others.clear()
  }

  private forget (): void {
    this.entries.clear()
    this.others.clear()
    this.stopTimer?.()
    this.stopTimer = undefined
  }

  private write (line: string): void {
    this.log('%s', printable(line))
  }
}

/**
 * Every connection, stream and span has a name of its own: what they have in
 * common is the option. In a gate it is that of many addresses.
 */
function keyOf ({ kind, scope, option, direction, peer }: Refusal): string {
  const gate = kind === 'subnet' || kind === 'rate' ? scope : ''

  return `${option} ${direction ?? ''} ${peer?.toString() ?? ''} ${gate}`
}

function kindOf ({ kind, resource, direction }: Refusal): string {
  return `${direction === undefined ? '' : `${direction} `}${kind}.${resource}`
}

function one (refusal: Refusal): string {
  const { direction, attempted } = refusal

  return direction === undefined ? `a reservation of ${attempted} bytes` : `an ${direction} ${noun(refusal)}`
}

function several (refusal: Refusal, count: number, attempted: number): string {
  const { direction } = refusal
  const plural = count === 1 ? '' : 's'

  return direction === undefined ? `reservation${plural} of ${attempted} bytes in all` : `${direction} ${noun(refusal)}${plural}`
}

const NOUNS: Record<RefusedResource, string> = {
  streams: 'stream',
  inboundStreams: 'stream',
  outboundStreams: 'stream',
  inboundStreamsPerSecond: 'stream',
  connections: 'connection',
  inboundConnections: 'connection',
  outboundConnections: 'connection',
  fileDescriptors: 'connection',
  connectionsPerSecond: 'connection',
  // of the whole process: it asks both
  memory: 'request'
}

function noun ({ resource }: Refusal): string {
  return NOUNS[resource]
}

function who ({ direction, peer }: Refusal): string {
  return peer === undefined ? '' : ` ${direction === 'outbound' ? 'to' : 'of'} ${peer}`
}

function at ({ endpoint }: Refusal): string {
  return endpoint === undefined ? '' : ` at ${endpoint}`
}

function verb ({ enforced }: Refusal, count: number): string {
  if (!enforced) {
    return 'would have been refused'
  }

  return count === 1 ? 'was refused' : 'were refused'
}
