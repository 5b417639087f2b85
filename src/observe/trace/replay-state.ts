/**
 * @file What a replay tells: the scopes that are live, what was refused, what in
 * the trace does not fit together.
 */

import type { TraceEvent } from './event.ts'
import type { TraceClass } from './names.ts'
import type { ConcreteLimit, ScopeStat } from '../../core/types.ts'

/**
 * What a scope holds at a moment of the trace
 */
export interface ScopeState extends ScopeStat {
  readonly name: string
  readonly class: TraceClass
  /** The one that it was made with */
  readonly limit?: ConcreteLimit
}

/**
 * How often a class of scopes was in the way
 */
export interface BlockedCounts {
  memory: number
  streams: number
  connections: number
}

export interface TraceProblem {
  /** The number of the event, from 1 */
  event: number
  /** Milliseconds since the epoch */
  time: number
  /** Name of the scope, '' if it is about all of them */
  scope: string
  message: string
}

/**
 * The state at a moment of a trace
 */
export interface Replay {
  /** That of the last event, milliseconds since the epoch; 0 if there was none */
  readonly time: number
  /** How many there were */
  readonly events: number
  /** All limits, as the last `start` has them */
  readonly limits?: Record<string, unknown>
  /** What is live, by name */
  readonly scopes: ReadonlyMap<string, Readonly<ScopeState>>
  /** What was refused since the trace began, by what was in the way */
  readonly blocked: ReadonlyMap<TraceClass, Readonly<BlockedCounts>>
  /** What does not fit together, the first thousand */
  readonly problems: readonly TraceProblem[]
  /** All of them */
  readonly problemCount: number
}

export interface TraceReplayInit {
  /**
   * True for the trace of a node whose operations run at the same time, as those
   * of go do. What several scopes hold together is not compared then: in the midst
   * of an operation it differs.
   *
   * @default false
   */
  concurrent?: boolean
}

export type Count = keyof ScopeStat

/**
 * What a scope holds, and what an event calls it
 */
export const COUNTS: ReadonlyArray<readonly [Count, TotalField]> = [
  ['memory', 'memory'],
  ['inboundStreams', 'streamsIn'],
  ['outboundStreams', 'streamsOut'],
  ['inboundConnections', 'connsIn'],
  ['outboundConnections', 'connsOut'],
  ['fileDescriptors', 'fd']
]

export type TotalField = keyof TraceEvent & ('memory' | 'streamsIn' | 'streamsOut' | 'connsIn' | 'connsOut' | 'fd')

export function emptyStat (): ScopeStat {
  return { inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0, memory: 0 }
}
