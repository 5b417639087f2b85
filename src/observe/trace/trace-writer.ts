/**
 * @file Takes events to where a trace is written, at its own pace: whatever a sink
 * does, the node does not wait for it and holds only so many events.
 */

import { every } from '../../core/every.ts'
import { Tracer } from './tracer.ts'
import type { TraceEvent, TraceSink } from './event.ts'
import type { Logger } from '@libp2p/interface'

/**
 * How often events are handed over, in milliseconds
 */
const BEAT = 1_000

/**
 * So many are handed over as soon as nothing else runs
 */
const BATCH = 4_096

/**
 * So many wait for a sink at most, about 10 MiB
 */
const MOST_WAITING = 65_536

/**
 * How long a node that stops waits for a sink, in milliseconds
 */
const PATIENCE = 2_000

/**
 * All there is, which a trace begins anew with, may be much. A sink that fails is
 * tried less and less often, this many beats apart in the end.
 */
const LONGEST_REST = 32

export interface TraceWriterInit {
  sink: TraceSink
  /** All limits, read when a trace begins */
  limits(): Record<string, unknown>
  log?: Logger
}

export class TraceWriter {
  readonly tracer = new Tracer(event => { this.add(event) })

  private readonly init: TraceWriterInit
  private waiting: TraceEvent[] = []
  /** Events are missing, or there are none yet: what comes next must be all there is */
  private complete = false
  private lost = 0
  private writing?: Promise<void>
  private beginning = false
  /** So many that wait only say again what there is */
  private repeated = 0
  /** In a row */
  private failures = 0
  /** Beats until the next try */
  private rest = 0
  private soon?: ReturnType<typeof setTimeout>
  private stopTimer?: () => void
  private stopped?: Promise<void>

  constructor (init: TraceWriterInit) {
    this.init = init
  }

  start (): void {
    if (!this.isRunning) {
      this.stopTimer = every(BEAT, () => { this.beat() })
      this.begin()
    }
  }

  private beat (): void {
    if (--this.rest <= 0) {
      this.flush()
    }
  }

  private get isRunning (): boolean {
    return this.stopTimer != null
  }

  /**
   * Hands over what is left and closes the sink, which must not keep a node from
   * stopping
   */
  async stop (): Promise<void> {
    if (this.isRunning) {
      this.stopTimer?.()
      this.stopTimer = undefined
      clearTimeout(this.soon)
      this.soon = undefined
      this.stopped = this.close()
    }

    return this.stopped
  }

  private async close (): Promise<void> {
    let patience: ReturnType<typeof setTimeout> | undefined

    await Promise.race([
      this.end(),
      new Promise<void>(resolve => { patience = setTimeout(resolve, PATIENCE) })
    ])
    clearTimeout(patience)

    // should it start again, unless it has already
    if (!this.isRunning) {
      this.complete = false
      this.waiting = []
      this.rest = 0
    }
  }

  private async end (): Promise<void> {
    try {
      await this.writing

      if (this.waiting.length > 0) {
        this.flush()
        await this.writing
      }

      // a sink that took long may find the node running again
      if (!this.isRunning) {
        await this.init.sink.close?.()
      }
    } catch (err) {
      this.tell('the trace could not be closed', err)
    }
  }

  /**
   * Called in the midst of operations
   */
  private add (event: TraceEvent): void {
    if (!this.complete) {
      this.lost += this.isRunning ? 1 : 0

      return
    }

    const length = this.waiting.push(event)

    if (length >= BATCH) {
      this.hasMuch(length)
    }
  }

  private hasMuch (length: number): void {
    // what a trace begins with is all there is, however much
    if (length >= MOST_WAITING && !this.beginning) {
      this.complete = false
    }

    if (this.soon == null && this.writing == null && !this.beginning) {
      this.soon = setTimeout(() => {
        this.soon = undefined

        // a sink that has failed meanwhile rests
        if (this.waiting.length > 0) {
          this.flush()
        }
      }, 0)
    }
  }

  private begin (): void {
    if (!this.complete) {
      this.complete = true
      this.beginning = true
      this.tracer.snapshot(this.init.limits())
      this.beginning = false
      this.repeated = this.waiting.length

      // while it fails it begins anew with every attempt
      if (this.lost > 0 && this.failures === 0) {
        this.init.log?.error('the trace has lost %d events and begins anew', this.lost)
        this.lost = 0
      }
    }
  }

  private flush (): void {
    if (this.writing != null) {
      return
    }

    // what was kept from before goes first
    if (this.waiting.length === 0) {
      this.begin()
    }

    const { waiting: events, repeated } = this
    this.waiting = []
    this.repeated = 0

    if (events.length > 0) {
      this.writing = this.write(events, events.length - repeated).finally(() => { this.writing = undefined })
    }
  }

  private async write (events: TraceEvent[], news: number): Promise<void> {
    try {
      await this.init.sink.write(events)

      if (this.failures > 0) {
        this.failures = 0
        this.init.log?.('the trace is written again, %d events were lost', this.lost)
        this.lost = 0
      }
    } catch (err) {
      this.lost += news + this.waiting.length
      // nobody knows how much of it was written
      this.complete = false
      this.waiting = []
      this.rest = Math.min(2 ** this.failures, LONGEST_REST)

      if (this.failures++ === 0) {
        this.tell('the trace cannot be written, events are lost', err)
      }
    }
  }

  /**
   * What was thrown may be anything, also what no logger can print
   */
  private tell (message: string, err: unknown): void {
    try {
      this.init.log?.error(`${message} - %e`, err)
    } catch {
      this.init.log?.error(message)
    }
  }
}
