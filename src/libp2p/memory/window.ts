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

type WindowedStream = Stream & { recvWindow?: number, maxStreamWindowSize?: number }

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
