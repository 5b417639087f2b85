/**
 * @file An honest request: bytes that the node sends back.
 */

import { equals } from 'uint8arrays/equals'
import type { Stream } from '@libp2p/interface'

/**
 * Sends this many random bytes and waits for the same ones
 */
export async function exchange (stream: Stream, size: number, signal: AbortSignal): Promise<void> {
  const sent = crypto.getRandomValues(new Uint8Array(size))
  const received = new Uint8Array(size)
  let length = 0
  const answered = Promise.withResolvers<void>()
  // it may come to nothing before anybody waits for it
  answered.promise.catch(() => {})

  stream.addEventListener('message', ({ data }) => {
    if (length + data.byteLength > size) {
      answered.reject(new Error('The answer is longer than what was sent'))
      return
    }

    received.set(data.subarray(), length)
    length += data.byteLength

    if (length === size) {
      answered.resolve()
    }
  })
  stream.addEventListener('close', ({ error }) => { answered.reject(error ?? new Error('The stream closed before the answer was complete')) })
  signal.addEventListener('abort', () => { answered.reject(signal.reason) })

  try {
    stream.send(sent)
    await answered.promise

    if (!equals(received, sent)) {
      throw new Error('The answer is not what was sent')
    }
  } catch (err: any) {
    stream.abort(err)
    throw err
  }

  stream.close().catch(err => { stream.abort(err) })
}
