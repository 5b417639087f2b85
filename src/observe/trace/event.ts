/**
 * @file What is traced: the events of go-libp2p's trace, and where they go.
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/trace.go
 */

import type { ConcreteLimit } from '../../core/types.ts'

export type TraceEventType = 'start' | 'create_scope' | 'destroy_scope' | 'reserve_memory' | 'block_reserve_memory' | 'release_memory' | 'add_stream' | 'block_add_stream' | 'remove_stream' | 'add_conn' | 'block_add_conn' | 'remove_conn'

export interface TraceEvent {
  /** Milliseconds since the epoch, with a fraction */
  time: number
  type: TraceEventType
  /** Name of the scope, '' for `start` */
  name: string
  /** With `create_scope`: that of the scope; with `start`: all limits */
  limit?: ConcreteLimit | Record<string, unknown>
  priority: number
  /** Bytes, or descriptors in events of connections; negative in releases and removals */
  delta: number
  deltaIn: number
  deltaOut: number
  /** Totals after the event, of what the event is about */
  memory: number
  streamsIn: number
  streamsOut: number
  connsIn: number
  connsOut: number
  fd: number
}

export interface TraceSink {
  /** Events in order. While a promise that it returns is pending no more are handed over; if it throws or rejects the trace goes on without them. */
  write(events: readonly TraceEvent[]): void | Promise<void>
  close?(): void | Promise<void>
}
