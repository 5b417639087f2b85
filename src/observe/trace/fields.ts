/**
 * @file What the fields of an event are called in go-libp2p's trace.
 */

import type { TraceEvent } from './event.ts'

/**
 * The numbers of an event, in the order in which go writes them
 */
export const EVENT_FIELDS = {
  priority: 'Priority',
  delta: 'Delta',
  deltaIn: 'DeltaIn',
  deltaOut: 'DeltaOut',
  memory: 'Memory',
  streamsIn: 'StreamsIn',
  streamsOut: 'StreamsOut',
  connsIn: 'ConnsIn',
  connsOut: 'ConnsOut',
  fd: 'FD'
} as const satisfies Partial<Record<keyof TraceEvent, string>>
