/**
 * @file What a trace consists of, and where it goes.
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/trace.go
 */

import type { ConcreteLimit } from '../../core/types.ts'

export type TraceEventType = 'start' | 'create_scope' | 'destroy_scope' |
  'reserve_memory' | 'block_reserve_memory' | 'release_memory' |
  'add_stream' | 'block_add_stream' | 'remove_stream' |
  'add_conn' | 'block_add_conn' | 'remove_conn'

/**
 * One change of one scope. Numbers that an event does not speak of are 0.
 */
export interface TraceEvent {
  /** Milliseconds since the epoch, with a fraction */
  time: number
  type: TraceEventType
  /** Name of the scope, '' for `start` */
  name: string
  /** With `create_scope`: that of the scope; with `start`: all limits */
  limit?: ConcreteLimit | Record<string, unknown>
  /** Of a reservation of memory, 0 to 255 */
  priority: number
  /** Bytes, or descriptors in events of connections; negative where something is given back */
  delta: number
  deltaIn: number
  deltaOut: number
  /** Total after the event in bytes, only in events of memory */
  memory: number
  /** Totals after the event, only in events of streams */
  streamsIn: number
  streamsOut: number
  /** Totals after the event, only in events of connections */
  connsIn: number
  connsOut: number
  fd: number
}

/**
 * Where a trace is written to
 */
export interface TraceSink {
  /**
   * Gets all events in order, many at a time. While a promise that it returns is
   * pending no more are handed over. When it fails, or is so slow that too many
   * have to wait, events are lost, and the trace begins anew with a `start`: after
   * a failure a second later, after many of them within half a minute.
   */
  write(events: readonly TraceEvent[]): void | Promise<void>

  /**
   * The node has stopped, or the manager was closed. Should the node start again,
   * `write` is called again, with a new `start`.
   */
  close?(): void | Promise<void>
}
