/**
 * @file How far the window of a stream grows. yamux doubles it while a stream is
 * read, up to 16 MiB. All of that may be on its way in the moment in which the
 * reader becomes slow: js-libp2p then aborts the stream, since it lets 4 MiB be
 * unread, and so do our limits. To grow is optional, so the window is kept as it
 * is where the node could not hold all of a larger one.
 *
 * yamux reads its private `maxStreamWindowSize` exactly when a window is to grow.
 */

import type { Stream } from '@libp2p/interface'

interface Window {
  /** What yamux would let it grow to, in bytes */
  maximum: number
  mayBe(size: number): boolean
}

type WindowedStream = Stream & { recvWindow?: number, recvWindowCapacity?: number, maxStreamWindowSize?: number, epochStart?: number }

/**
 * What yamux grants a stream at first, in bytes
 */
const FIRST_WINDOW = 256 * 1024

const windows = new WeakMap<object, Window>()

/**
 * All streams share these functions, see `watch.ts`
 */
const ACCESSOR: PropertyDescriptorMap & ThisType<{ recvWindow: number }> = {
  maxStreamWindowSize: {
    configurable: true,
    enumerable: true,
    get () {
      const { maximum, mayBe } = windows.get(this) as Window
      const larger = Math.min(2 * this.recvWindow, maximum)

      return larger > this.recvWindow && mayBe(larger) ? maximum : this.recvWindow
    },
    set (maximum) {
      (windows.get(this) as Window).maximum = maximum
    }
  }
}

/**
 * `mayBe` says whether a window of so many bytes could be held
 */
export function limitWindow (stream: WindowedStream, mayBe: (size: number) => boolean): void {
  const { recvWindow, maxStreamWindowSize: maximum } = stream

  // not every muxer has windows
  if (recvWindow != null && maximum != null) {
    windows.set(stream, { maximum, mayBe })
    Object.defineProperties(stream, ACCESSOR)
  }
}

/**
 * When the remote was last granted more, `Date.now()`. yamux takes data that comes
 * while a stream is paused for such a moment, so that a reader who is late looks
 * as if it kept up, and gets ever more.
 */
export function lastGrant (stream: WindowedStream): number | undefined {
  return stream.epochStart
}

export function restoreLastGrant (stream: WindowedStream, at: number | undefined): void {
  if (at != null) {
    stream.epochStart = at
  }
}

/**
 * A reader who has let more than half of the window pile up is late. yamux doubles
 * the window with the next frame that is read at once, for a late reader as well:
 * one who reads all there is, and then waits, had a larger window every time. So
 * late ones begin anew. It takes those who keep up a few frames to be back.
 */
export function shrinkIfLate (stream: WindowedStream): void {
  const { recvWindow, recvWindowCapacity } = stream

  if (recvWindow != null && recvWindowCapacity != null && recvWindowCapacity < recvWindow / 2) {
    stream.recvWindow = Math.min(recvWindow, FIRST_WINDOW)
  }
}
