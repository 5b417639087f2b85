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
