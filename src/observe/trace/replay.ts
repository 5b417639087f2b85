/**
 * @file Replays a trace: what every scope held at a moment, and whether all that
 * the trace says fits together.
 */

import { readTrace } from './read-trace.ts'
import { TraceReplay } from './trace-replay.ts'
import type { TraceEvent } from './event.ts'
import type { Trace } from './read-trace.ts'
import type { Replay, TraceReplayInit } from './replay-state.ts'

export interface ReplayOptions extends TraceReplayInit {
  /**
   * Stops before what happened later than this, milliseconds since the epoch
   */
  until?: number

  /**
   * Called with every event, and the state after it
   */
  onEvent?(event: TraceEvent, state: Replay): void
}

export interface ReplayedTrace extends Replay {
  /**
   * Whether the trace ends in the midst: it was cut, as by the end of the process
   * that wrote it, or cannot be read any further
   */
  readonly isCut: boolean

  /**
   * Compares what scopes hold together once more, in the end. Call it for the trace
   * of a node that has stopped: another one may end in the midst of an operation.
   */
  check(): void
}

/**
 * @throws {TraceSyntaxError} naming the line that is not an event
 */
export async function replay (trace: Trace, { until = Infinity, onEvent, ...init }: ReplayOptions = {}): Promise<ReplayedTrace> {
  const state = new TraceReplay(init)
  const events = readTrace(trace)
  let isCut = false

  for (;;) {
    const { done, value } = await events.next()

    if (done === true) {
      isCut = value
      break
    }

    if (value.time > until) {
      await events.return(false)
      break
    }

    state.push(value)
    onEvent?.(value, state)
  }

  return Object.assign(state, { isCut })
}
