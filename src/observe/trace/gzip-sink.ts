/**
 * @file A trace into a web-standard stream, compressed.
 */

import { formatEvents } from './format.ts'
import { gzipMember } from './gzip-member.ts'
import { inPieces } from './pieces.ts'
import type { TraceEvent, TraceSink } from './event.ts'

/**
 * Writes a trace as gzip, as go-libp2p does: to a file of the browser, say, or the
 * body of a request. What was written is readable however the stream ends.
 *
 * Where the stream fails, so does the sink from then on, and so it does when the
 * node has stopped, which closes the stream: a node that starts again is not traced.
 */
export function gzipSink (writable: WritableStream<Uint8Array>): TraceSink {
  return new GzipSink(writable)
}

class GzipSink implements TraceSink {
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>
  /** After what was handed over before */
  private last: Promise<void> = Promise.resolve()
  private isEmpty = true
  private isClosed = false

  constructor (writable: WritableStream<Uint8Array>) {
    this.writer = writable.getWriter()
    // whoever writes hears of it
    this.writer.closed.catch(() => {})
  }

  async write (events: readonly TraceEvent[]): Promise<void> {
    if (this.isClosed) {
      throw new Error('The sink of the trace is closed')
    }

    const last = this.last.catch(() => {})
    this.last = last.then(async () => {
      for (const piece of inPieces(events)) {
        await this.append(formatEvents(piece))
      }
    })

    await this.last
  }

  async close (): Promise<void> {
    if (this.isClosed) {
      return
    }

    this.isClosed = true

    const last = this.last.catch(() => {})
    this.last = last.then(async () => {
      if (this.isEmpty) {
        // no bytes at all are no gzip file
        await this.append('')
      }

      await this.writer.close()
    })

    await this.last
  }

  private async append (text: string): Promise<void> {
    await this.writer.write(await gzipMember(text))
    this.isEmpty = false
  }
}
