/**
 * @file A timer that does not keep the process alive.
 */

/**
 * Calls a function again and again
 *
 * @param interval - in milliseconds
 * @returns ends it
 */
export function every (interval: number, fn: () => void): () => void {
  const timer = setInterval(fn, interval)

  // browsers have no such thing
  ;(timer as { unref?(): void }).unref?.()

  return () => { clearInterval(timer) }
}
