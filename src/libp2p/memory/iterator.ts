/**
 * @file `for await (const data of stream)` that holds back what it is not asked
 * for. That of js-libp2p queues all that comes while the loop is busy, however
 * much, and grants the remote a new window for it.
 */

import { StreamResetError } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { ownBytes } from './slices.ts'
import type { Stream, StreamMessageEvent } from '@libp2p/interface'

type Data = Uint8Array | Uint8ArrayList

/**
 * A late reader gets what has piled up in pieces: the application still holds the
 * last one while it waits for the next, in the variable of its loop, where nobody
 * can account for it. In bytes.
 */
const PIECE = 64 * 1024

type Waiting = PromiseWithResolvers<IteratorResult<Data, undefined>>

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
  private readonly stream: Stream & { listenerCount?(type: string): number }
  private readonly queued: Queued
  private readonly queue: Data[] = []
  private readonly waiting: Waiting[] = []
  private state: 'new' | 'reading' | 'over' = 'new'
  /** No more data will come from the remote */
  private ended = false
  private error?: Error
  /** This iterator has paused the stream */
  private paused = false
  /** The data that comes next has piled up */
  private late = false

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

    const next: Waiting = Promise.withResolvers()
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

      if (this.queued.lost != null) {
        throw this.queued.lost
      }

      return
    }

    this.state = 'reading'
    this.late = this.stream.readBufferLength > 0
    // may have been said before anybody listened
    this.ended = this.stream.remoteWriteStatus === 'closed'

    if (this.stream.status === 'reset') {
      this.error = new StreamResetError()
    }

    this.stream.addEventListener('message', this.onMessage)
    this.stream.addEventListener('close', this.onEnd)
    this.stream.addEventListener('remoteCloseWrite', this.onEnd)
  }

  private readonly onMessage = ({ data }: StreamMessageEvent): void => {
    const { late } = this
    this.late = false

    // Nobody who waits for what comes is late. js-libp2p sends up to a window in a
    // frame, and would make the window no larger if the rest of it had to wait.
    if (this.waiting.length > 0 && (!late || data.byteLength <= PIECE)) {
      this.waiting.shift()?.resolve({ done: false, value: data })

      return
    }

    const own = ownBytes(data)
    this.queue.push(own)
    this.queued.bytes += own.byteLength
    this.queued.changed()
    this.handOver()

    // nobody waits for the rest: what comes now stays in the buffer of the stream
    if (this.queue.length > 0 && this.stream.readStatus === 'readable') {
      this.paused = true
      this.stream.pause()
    }
  }

  private readonly onEnd = (event: Event & { error?: Error }): void => {
    this.ended = true
    this.error ??= this.queued.lost ?? event.error

    if (this.queued.lost != null) {
      this.discard()
    }

    this.deliver()
  }

  /**
   * Gives to those who wait what there is, in order
   */
  private deliver (): void {
    this.handOver()

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
      const value = this.takePiece()
      this.queued.bytes -= value.byteLength
      this.queued.changed()
      this.waiting.shift()?.resolve({ done: false, value })
    }
  }

  private takePiece (): Data {
    const data = this.queue[0]

    if (data.byteLength <= PIECE) {
      this.queue.shift()

      return data
    }

    const list = new Uint8ArrayList(data)
    this.queue[0] = list.sublist(PIECE)

    return list.sublist(0, PIECE)
  }

  private resume (): void {
    this.paused = false
    this.late = this.stream.readBufferLength > 0

    // it may have closed, or somebody else has resumed it
    if (this.stream.readStatus === 'paused') {
      this.stream.resume()
    }

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

  private discard (): void {
    for (const data of this.queue.splice(0)) {
      this.queued.bytes -= data.byteLength
    }

    this.queued.changed()
  }

  /**
   * Who reads the stream after this gets what was not asked for. Who listens to it
   * already has got it.
   */
  private giveBack (): void {
    if (!isReadable(this.stream) || (this.stream.listenerCount?.('message') ?? 0) > 0) {
      this.discard()

      return
    }

    for (const data of this.queue.splice(0).reverse()) {
      this.queued.bytes -= data.byteLength
      this.stream.unshift(data)
    }

    this.queued.changed()
  }
}

function isReadable (stream: Stream): boolean {
  return stream.readStatus === 'readable' || stream.readStatus === 'paused'
}
