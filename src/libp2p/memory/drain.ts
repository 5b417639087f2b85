/**
 * @file `onDrain` that tells the truth.
 */

import { StreamStateError } from '@libp2p/interface'
import type { AbortOptions, Stream } from '@libp2p/interface'

/**
 * js-libp2p keeps the promise of the first drain for the life of the stream, so
 * a polite writer is told to go on although nothing drained the next time. Its
 * buffer then grows until it is refused. This one looks again after every drain.
 */
export async function drained (stream: Stream, options?: AbortOptions): Promise<void> {
  while (stream.writableNeedsDrain) {
    if (stream.writeStatus === 'closed') {
      throw new StreamStateError('The stream closed before it drained')
    }

    await new Promise<void>((resolve, reject) => {
      const onDrain = (): void => { settle(resolve) }
      const onClose = (event: { error?: Error }): void => {
        settle(() => { reject(event.error ?? new StreamStateError('The stream closed before it drained')) })
      }
      const onAbort = (): void => { settle(() => { reject(options?.signal?.reason) }) }

      const settle = (then: () => void): void => {
        stream.removeEventListener('drain', onDrain)
        stream.removeEventListener('close', onClose)
        options?.signal?.removeEventListener('abort', onAbort)
        then()
      }

      stream.addEventListener('drain', onDrain)
      stream.addEventListener('close', onClose)
      options?.signal?.addEventListener('abort', onAbort)

      if (options?.signal?.aborted === true) {
        onAbort()
      }
    })
  }
}
