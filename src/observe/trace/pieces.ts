/**
 * @file A large batch of events in pieces: what is formatted and compressed at a
 * time is in memory, and keeps all else waiting.
 */

import type { TraceEvent } from './event.ts'

/** Events, about a megabyte of text */
const PIECE = 4096

export function * inPieces (events: readonly TraceEvent[]): Generator<TraceEvent[]> {
  for (let i = 0; i < events.length; i += PIECE) {
    yield events.slice(i, i + PIECE)
  }
}
