/**
 * @file Backpressure before anything is refused: the remote is granted no more
 * window while there is unread data.
 */

import { lastGrant, restoreLastGrant, shrinkIfLate } from './window.ts'
import type { Stream } from '@libp2p/interface'

/**
 * Holds from the first unread byte on: by the time a whole window is unread, many
 * more are granted. What was granted before still comes, so an unread stream
 * holds one window.
 *
 * `sendPause` and `sendResume` are how js-libp2p's own `pause` and `resume` tell
 * the muxer. They are used without these because the data must still be emitted
 * as soon as somebody listens.
 */
export class Throttle {
  private on = false
  private paused: boolean
  private lastGrant?: number
  private readonly stream: Stream
  private readonly pauseMuxer?: () => void
  private readonly resumeMuxer?: () => void

  constructor (stream: Stream & Partial<Record<'sendPause' | 'sendResume', () => void>>) {
    this.stream = stream
    this.paused = stream.readStatus === 'paused'
    this.lastGrant = lastGrant(stream)

    // not every muxer has them
    if (stream.sendPause != null && stream.sendResume != null) {
      this.pauseMuxer = stream.sendPause.bind(stream)
      this.resumeMuxer = stream.sendResume.bind(stream)
      stream.sendPause = this.pause
      stream.sendResume = () => {
        // The application, or an iterator, has resumed the stream, which may still
        // have data that nobody reads. Or who got that data has paused it again:
        // js-libp2p emits it first, and would tell the muxer to go on all the same.
        if (!this.on && stream.readStatus !== 'paused') {
          this.resume(false)
        }
      }
    }
  }

  /**
   * `prompt` is whether a reader takes the data piece by piece as fast as it can
   */
  set (on: boolean, prompt: boolean): void {
    this.on = on

    // a stream that is paused is the affair of who has paused it; one that is closed
    // for reading throws away what comes, for which the remote needs a window
    if (this.stream.readStatus === 'paused') {
      return
    }

    if (on) {
      this.pause()
    } else {
      this.resume(prompt)
    }
  }

  private readonly pause = (): void => {
    if (!this.paused) {
      this.paused = true
      this.lastGrant = lastGrant(this.stream)
      this.pauseMuxer?.()
    }
  }

  private resume (prompt: boolean): void {
    const { status } = this.stream

    // to resume twice would make the window grow twice, and a stream that is gone
    // has nothing to tell
    if (!this.paused || (status !== 'open' && status !== 'closing')) {
      return
    }

    this.paused = false
    restoreLastGrant(this.stream, this.lastGrant)

    if (!prompt) {
      shrinkIfLate(this.stream)
    }

    try {
      this.resumeMuxer?.()
    } catch {
      // a connection that is closing can be told nothing more, and the reader
      // who made room must not hear of it
    }
  }
}
