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
 * The application still holds what it got last while it waits for more, in the
 * variable of its loop, where nobody can account for it. js-libp2p sends up to a
 * whole window at once, so that would be far more than the stream itself. Large
 * data is handed over in pieces of at most this many bytes ...
 */
const PIECE = 64 * 1024

/** ... and what is no more than this in one piece ... */
const SMALL = 16 * 1024

/** ... and what is more ends with a piece of this many, a copy of its own */
const LAST = 4 * 1024

type Waiting = PromiseWithResolvers<IteratorResult<Data, undefined>>

/**
 * What has left the buffer of a stream and was not asked for yet
 */
export interface Queued {
  bytes: number
  /** Iterators that have got it just now, and may be asked for it at once */
  prompt: number
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
  /** Until it is over, this iterator is prompt */
  private grace?: ReturnType<typeof setTimeout>

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

    if (this.waiting.length > 0 && data.byteLength <= SMALL) {
      this.waiting.shift()?.resolve({ done: false, value: ownBytes(data) })

      return
    }

    // who takes the other pieces as soon as it can is not late
    if (this.waiting.length > 0 && !late) {
      this.beginGrace()
    } else {
      this.endGrace()
    }

    const own = ownBytes(data)
    this.queue.push(own)
    this.account(own.byteLength)
    this.handOver()

    if (this.grace == null) {
      this.hold()
    }
  }

  /**
   * What is queued is not asked for: what comes now stays in the buffer of the
   * stream
   */
  private readonly hold = (): void => {
    this.endGrace()

    if (this.queue.length > 0 && this.stream.readStatus === 'readable') {
      this.paused = true
      this.stream.pause()
    }
  }

  private beginGrace (): void {
    if (this.grace == null) {
      this.grace = setTimeout(this.hold, 0)
      this.queued.prompt++
    }
  }

  private endGrace (): void {
    if (this.grace != null) {
      clearTimeout(this.grace)
      this.grace = undefined
      this.queued.prompt--
    }
  }

  private account (bytes: number): void {
    this.queued.bytes += bytes
    this.queued.changed()
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
      this.account(-value.byteLength)
      this.waiting.shift()?.resolve({ done: false, value })
    }
  }

  private takePiece (): Data {
    const data = this.queue[0]
    const { byteLength } = data
    const last = this.queue.length === 1

    if (byteLength <= SMALL || (byteLength <= PIECE && !last)) {
      this.queue.shift()

      return ownBytes(data)
    }

    const list = new Uint8ArrayList(data)
    const length = byteLength > PIECE ? PIECE : byteLength - LAST
    this.queue[0] = list.sublist(length)

    return list.sublist(0, length)
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
    this.endGrace()
    this.account(-this.queue.splice(0).reduce((sum, data) => sum + data.byteLength, 0))
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

    const queue = new Uint8ArrayList(...this.queue.splice(0))
    this.endGrace()
    // moved in one: what seemed gone in between would have to be reserved again,
    // and would not be for a stream that has closed
    this.queued.bytes -= queue.byteLength

    if (queue.byteLength > 0) {
      this.stream.unshift(queue)
    }

    this.queued.changed()
  }
}

function isReadable (stream: Stream): boolean {
  return stream.readStatus === 'readable' || stream.readStatus === 'paused'
}
