/**
 * @file How much a yamux stream lets the remote send before it is read. yamux
 * doubles this for readers that keep up, which is work that is optional.
 *
 * What is reached for here is private to yamux, whose options hold for all
 * streams alike. Where it is not found nothing is done.
 */

interface Window {
  /** When the remote was last granted more, `Date.now()` */
  epochStart?: unknown
  /** What is granted at a time, in bytes */
  recvWindow?: unknown
  /** What is left of that, in bytes */
  recvWindowCapacity?: unknown
  /** What that may grow to */
  maxStreamWindowSize?: unknown
}

/**
 * When the remote was last granted more. yamux takes data that comes while a
 * stream is paused for such a moment, so that a reader who is late looks as if
 * it kept up, and gets ever more.
 */
export function lastGrant (stream: object): unknown {
  return (stream as Window).epochStart
}

export function restoreLastGrant (stream: object, at: unknown): void {
  if (typeof at === 'number') {
    (stream as Window).epochStart = at
  }
}

/**
 * What yamux grants a stream at first, in bytes
 */
const FIRST_WINDOW = 256 * 1024

/**
 * A reader who has let more than half of the window pile up is late. yamux doubles
 * the window with the next frame that is read at once, for a late reader as well:
 * one who reads all there is, and then waits, had a larger window every time. So
 * late ones begin anew. It takes those who keep up a few frames to be back.
 */
export function shrinkIfLate (stream: object): void {
  const window: Window = stream
  const { recvWindow, recvWindowCapacity } = window

  if (typeof recvWindow === 'number' && typeof recvWindowCapacity === 'number' && recvWindowCapacity < recvWindow / 2) {
    window.recvWindow = Math.min(recvWindow, FIRST_WINDOW)
  }
}

/**
 * The read buffer that yamux gives a stream unless it is configured, in bytes. A
 * window that has grown lets more than that through, so that a stream whose
 * reader then is late would be ended by what it has granted itself.
 */
const DEFAULT_READ_BUFFER = 4 * 1024 * 1024

/**
 * A maximum of the read buffer that has room for what was granted
 */
export function roomForWindow (stream: object, maximum: number): number {
  const { maxStreamWindowSize } = stream as Window

  return maximum === DEFAULT_READ_BUFFER && typeof maxStreamWindowSize === 'number' ? Math.max(maximum, 2 * maxStreamWindowSize) : maximum
}

/**
 * @returns lets it grow again as before
 */
export function limitWindow (stream: object, most: number): () => void {
  const window: Window = stream
  const { recvWindow, maxStreamWindowSize } = window

  if (typeof recvWindow !== 'number' || typeof maxStreamWindowSize !== 'number') {
    return () => {}
  }

  window.recvWindow = Math.min(recvWindow, most)
  window.maxStreamWindowSize = Math.min(maxStreamWindowSize, most)

  return () => {
    window.maxStreamWindowSize = maxStreamWindowSize
  }
}
