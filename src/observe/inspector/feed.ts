/**
 * @file The stream of events to those who look at the page: snapshots, numbers of
 * the last minutes, refusals. While nobody looks only the numbers are kept.
 */

import { every } from '../../core/every.ts'
import { History } from './history.ts'
import { toJSON } from './inspected.ts'
import { messageOf } from './message-of.ts'
import { Pace } from './pace.ts'
import { RecentRefusals } from './recent-refusals.ts'
import { snapshotOf } from './snapshot.ts'
import type { InspectedManager } from './inspected.ts'
import type { Welcome } from './page/messages.ts'
import type { ServerResponse } from 'node:http'

/** How many may look at a time */
export const MOST_CLIENTS = 16

/** In milliseconds; whoever reads nothing for so long has gone */
const PATIENCE = 30_000

const SECOND = 1_000

interface Client {
  response: ServerResponse
  /** Samples that it has */
  samples: number
  /** Refusals that it has */
  round: number
  /** Since when it does not take what is sent, as `Date.now()` has it */
  stuckSince?: number
}

export class Feed {
  private readonly manager: InspectedManager
  private readonly interval: number
  private readonly history: History
  private readonly refusals: RecentRefusals
  private readonly clients = new Set<Client>()
  private readonly stopHistory: () => void
  private timer?: ReturnType<typeof setTimeout>
  private readonly pace = new Pace()

  constructor (manager: InspectedManager, interval: number) {
    this.manager = manager
    this.interval = interval
    this.history = new History(manager)
    this.refusals = new RecentRefusals(manager)
    this.stopHistory = every(SECOND, () => { harmless(() => { this.history.take() }) })
  }

  get isFull (): boolean {
    return this.clients.size >= MOST_CLIENTS
  }

  /**
   * Sends events in a response until either end closes it
   */
  add (response: ServerResponse, welcome: Welcome): void {
    const client: Client = { response, samples: 0, round: 0 }

    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.on('drain', () => { client.stuckSince = undefined })
    response.on('close', () => { this.remove(client) })
    this.write(client, event('welcome', welcome))
    this.clients.add(client)

    if (this.clients.size === 1) {
      this.refusals.start()
    }

    // who comes again and again gets no more of them than who stays
    this.sendIn(this.pace.rest)
  }

  close (): void {
    this.stopHistory()

    for (const client of this.clients) {
      this.remove(client)
      client.response.end()
    }
  }

  private remove (client: Client): void {
    if (this.clients.delete(client) && this.clients.size === 0) {
      clearTimeout(this.timer)
      this.refusals.stop()
    }
  }

  /**
   * Who has not taken the last snapshot gets no other before it has: nothing piles
   * up for a reader that is slow
   */
  private send (): void {
    const ready = [...this.clients].filter(client => this.isReady(client))

    if (ready.length > 0) {
      const trouble = this.pace.spend(() => harmless(() => { this.sendTo(ready) }))

      if (trouble !== undefined) {
        ready.forEach(client => { this.write(client, event('trouble', { message: trouble })) })
      }
    }

    if (this.clients.size > 0) {
      this.sendIn(Math.max(this.interval, this.pace.rest))
    }
  }

  /**
   * @param delay - in milliseconds
   */
  private sendIn (delay: number): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => { this.send() }, delay)
    this.timer.unref()
  }

  private sendTo (clients: Client[]): void {
    const snapshot = event('snapshot', snapshotOf(this.manager))

    for (const client of clients) {
      const { round, refusals } = this.refusals.since(client.round)
      const samples = this.history.since(client.samples)

      this.write(client, `${event('refusals', refusals)}${event('samples', samples)}${snapshot}`)
      client.round = round
      client.samples = this.history.count
    }

    this.refusals.nextRound()
  }

  private isReady (client: Client): boolean {
    if (client.stuckSince === undefined) {
      return true
    }

    if (Date.now() - client.stuckSince > PATIENCE) {
      client.response.destroy()
    }

    return false
  }

  private write (client: Client, text: string): void {
    if (!client.response.write(text)) {
      client.stuckSince ??= Date.now()
    }
  }
}

/**
 * A manager of the user's own may throw. That must not end the node, which it would
 * within a timer.
 *
 * @returns what was thrown
 */
function harmless (act: () => void): string | undefined {
  try {
    act()
  } catch (err) {
    return messageOf(err)
  }
}

/**
 * JSON has no line ends, which is all that could end an event early
 */
function event (type: string, data: unknown): string {
  return `event: ${type}\ndata: ${toJSON(data)}\n\n`
}
