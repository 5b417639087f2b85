/**
 * @file What the process that is measured and the one that measures it say to
 * each other.
 */

export const HELD = '/held/1.0.0'

export type Question = 'measure' | 'stop'

export interface Reading {
  /** Resident memory of the process, in bytes */
  rss: number
  /** `stat().system.memory` */
  accounted: number
  connections: number
  streams: number
  /** Bytes in the read buffers of the streams */
  unread: number
}
