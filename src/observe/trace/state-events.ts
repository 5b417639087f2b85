/**
 * @file The state of a trace as events, so that another trace can begin with it.
 */

import type { TraceEvent, TraceEventType } from './event.ts'
import type { Replay } from './replay-state.ts'
import type { ScopeStat } from '../../core/types.ts'

/**
 * Events that rebuild a state from nothing: a `start`, every scope, what each of
 * them holds. A trace can go on from there.
 *
 * @param state - What there is
 * @param time - Milliseconds since the epoch
 */
export function * stateEvents (state: Pick<Replay, 'scopes' | 'limits'>, time: number): Generator<TraceEvent> {
  const { scopes, limits } = state

  yield event('start', '', { limit: limits })

  for (const { name, limit } of scopes.values()) {
    yield event('create_scope', name, { limit })
  }

  for (const scope of scopes.values()) {
    yield * totals(scope.name, scope)
  }

  function * totals (name: string, stat: ScopeStat): Generator<TraceEvent> {
    const { memory, inboundStreams: streamsIn, outboundStreams: streamsOut, inboundConnections: connsIn, outboundConnections: connsOut, fileDescriptors: fd } = stat

    if (memory > 0) {
      yield event('reserve_memory', name, { priority: 255, delta: memory, memory })
    }

    if (streamsIn + streamsOut > 0) {
      yield event('add_stream', name, { deltaIn: streamsIn, deltaOut: streamsOut, streamsIn, streamsOut })
    }

    if (connsIn + connsOut + fd > 0) {
      yield event('add_conn', name, { delta: fd, deltaIn: connsIn, deltaOut: connsOut, connsIn, connsOut, fd })
    }
  }

  function event (type: TraceEventType, name: string, rest: Partial<TraceEvent>): TraceEvent {
    return { time, type, name, priority: 0, delta: 0, deltaIn: 0, deltaOut: 0, memory: 0, streamsIn: 0, streamsOut: 0, connsIn: 0, connsOut: 0, fd: 0, ...rest }
  }
}
