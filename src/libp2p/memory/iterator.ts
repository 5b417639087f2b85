/**
 * @file `for await (const data of stream)` that holds back what it is not asked
 * for. That of js-libp2p queues all that comes while the loop is busy, however
 * much, and grants the remote a new window for it.
 */

import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

type Data = Uint8Array | Uint8ArrayList

/**
 * An application that waits for the next piece still holds the last one: it is in
 * the variable of its loop, where nobody can account for it. In bytes.
 */
const PIECE = 64 * 1024

/**
 * What has left the buffer of a stream and was not asked for yet
 */
export interface Queued {
  bytes: number
  /** Why unread data of the stream was thrown away after it had closed */
  lost?: Error
  /** Called after `bytes` has changed */
  changed(): void
}

/**
 * Pauses the stream while nobody waits for data
 */
export class StreamIterator implements AsyncGenerator<Data, undefined> {
  private readonly stream: Stream
  private readonly queued: Queued
  private readonly queue: Data[] = []
  private readonly waiting: Array<PromiseWithResolvers<IteratorResult<Data, undefined>>> = []
  private state: 'new' | 'reading' | 'over' = 'new'
  /** No more data will come from the remote */
  private ended = false
  private error?: Error
  /** This iterator has paused the stream */
  private paused = false

  constructor (stream: Stream, queued: Queued) {
    this.stream = stream
    this.queued = queued
  }

  get [Symbol.toStringTag] (): string {
    return 'AsyncGenerator'
  }

  [Symbol.asyncIterator] (): this {
    return this
  }

  async next (): Promise<IteratorResult<Data, undefined>> {
    if (this.state === 'new') {
      this.start()
    }

    if (this.state === 'over') {
      return { done: true, value: undefined }
    }

    const next = Promise.withResolvers<IteratorResult<Data, undefined>>()
    this.waiting.push(next)
    this.deliver()

    return next.promise
  }

  async return (): Promise<IteratorResult<Data, undefined>> {
    this.finish()

    return { done: true, value: undefined }
  }

  async throw (err: any): Promise<IteratorResult<Data, undefined>> {
    this.finish()

    throw err
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    this.finish()
  }

  private start (): void {
    if (!isReadable(this.stream)) {
      this.state = 'over'

      return
    }

    this.state = 'reading'
    this.stream.addEventListener('message', this.onMessage)
    this.stream.addEventListener('close', this.onEnd)
    this.stream.addEventListener('remoteCloseWrite', this.onEnd)
  }

  private readonly onMessage = ({ data }: StreamMessageEvent): void => {
    if (this.waiting.length > 0 && data.byteLength <= PIECE) {
      this.waiting.shift()?.resolve({ done: false, value: data })

      return
    }

    this.queue.push(data)
    this.queued.bytes += data.byteLength
    this.handOver()
    this.queued.changed()

    if (this.queue.length === 0) {
      return
    }

    // nobody waits: what comes now stays in the buffer of the stream
    if (this.stream.readStatus === 'readable') {
      this.paused = true
      this.stream.pause()
    }
  }

  private readonly onEnd = (event: Event & { error?: Error }): void => {
    this.ended = true
    this.error ??= event.error
    this.deliver()
  }

  /**
   * Gives to those who wait what there is, in order
   */
  private deliver (): void {
    if (this.waiting.length > 0 && this.queue.length > 0) {
      this.handOver()
      this.queued.changed()
    }

    if (this.waiting.length === 0) {
      return
    }

    if (this.paused) {
      // emits what the stream has buffered, at once
      this.resume()
    } else if (this.ended && (this.stream.readBufferLength === 0 || !isReadable(this.stream))) {
      this.finish()
    }
  }

  private handOver (): void {
    while (this.waiting.length > 0 && this.queue.length > 0) {
      const data = this.queue[0]
      let piece = data

      if (data.byteLength > PIECE) {
        piece = data instanceof Uint8Array ? data.subarray(0, PIECE) : data.sublist(0, PIECE)
        this.queue[0] = data instanceof Uint8Array ? data.subarray(PIECE) : data.sublist(PIECE)
      } else {
        this.queue.shift()
      }

      this.queued.bytes -= piece.byteLength
      this.waiting.shift()?.resolve({ done: false, value: piece })
    }
  }

  private resume (): void {
    this.paused = false

    if (this.stream.readStatus !== 'paused') {
      return
    }

    this.stream.resume()

    // there was nothing, and nothing will come
    if (this.ended) {
      this.deliver()
    }
  }

  private finish (): void {
    const wasReading = this.state === 'reading'
    this.state = 'over'

    if (!wasReading) {
      return
    }

    this.stream.removeEventListener('message', this.onMessage)
    this.stream.removeEventListener('close', this.onEnd)
    this.stream.removeEventListener('remoteCloseWrite', this.onEnd)

    this.giveBack()

    if (this.paused) {
      this.resume()
    }

    this.error ??= this.queued.lost

    for (const next of this.waiting.splice(0)) {
      if (this.error == null) {
        next.resolve({ done: true, value: undefined })
      } else {
        next.reject(this.error)
        // as a generator does: it throws once, then it is done
        this.error = undefined
      }
    }
  }

  /**
   * Who reads the stream after this gets what was not asked for
   */
  private giveBack (): void {
    for (const data of this.queue.splice(0).reverse()) {
      this.queued.bytes -= data.byteLength

      if (isReadable(this.stream)) {
        this.stream.unshift(data)
      }
    }

    this.queued.changed()
  }
}

function isReadable (stream: Stream): boolean {
  return stream.readStatus === 'readable' || stream.readStatus === 'paused'
}
