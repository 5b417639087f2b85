/**
 * @file What a stream holds that nobody has read, or that could not be sent yet,
 * is reserved in its scope. A stream that is read promptly buffers nothing and
 * costs nothing but its base.
 */

import { ReservationPriority } from '../../core/types.ts'
import { Buffered } from './buffered.ts'
import { discardHandedOver, forgetNames, forgetWhenRead, watchByteStreams } from './byte-streams.ts'
import { drained } from './drain.ts'
import { StreamIterator } from './iterator.ts'
import { ownBytes } from './slices.ts'
import { Throttle } from './throttle.ts'
import { watchBuffers } from './watch.ts'
import { limitWindow } from './window.ts'
import type { HandedOver } from './byte-streams.ts'
import type { FairShare } from './fair-share.ts'
import type { Queued } from './iterator.ts'
import type { LeftBehind } from './left-behind.ts'
import type { BufferWatcher } from './watch.ts'
import type { ResourceScopeSpan } from '../../core/types.ts'
import type { StreamRecord } from '../scope-map.ts'
import type { AbortOptions, Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface StreamMemoryContext {
  share: FairShare
  leftBehind: LeftBehind
}

type Data = Uint8Array | Uint8ArrayList

/**
 * A stream as js-libp2p makes it has more than its interface shows. One that has
 * not goes without.
 */
type ManagedStream = Stream & {
  onData?(data: Data): void
  listenerCount?(type: string): number
}

const memories = new WeakMap<object, StreamMemory>()

/**
 * What managed streams have in place of their own methods. All share these
 * functions: with some of its own a stream would have a hidden class of its own
 * in V8, which costs kilobytes.
 */
async function onDrain (this: Stream, options?: AbortOptions): Promise<void> {
  return drained(this, options)
}

function onData (this: Stream, data: Data): void {
  memories.get(this)?.onData(data)
}

function iterate (this: Stream): AsyncGenerator<Data> {
  return new StreamIterator(this, (memories.get(this) as StreamMemory).queued)
}

/**
 * Called when the listener is there that ends the record
 */
export function accountStream (stream: ManagedStream, record: StreamRecord, context: StreamMemoryContext): StreamMemory {
  const memory = new StreamMemory(stream, record, context)
  memories.set(stream, memory)
  watchBuffers(stream, memory)
  limitWindow(stream, memory.mayHaveWindow)

  if (stream.onData != null && stream.listenerCount != null) {
    stream.onData = onData
  }

  Object.defineProperties(stream, {
    onDrain: { configurable: true, writable: true, value: onDrain },
    [Symbol.asyncIterator]: { configurable: true, writable: true, value: iterate }
  })

  return memory
}

export class StreamMemory implements BufferWatcher {
  private readonly stream: ManagedStream
  private readonly record: StreamRecord
  private readonly context: StreamMemoryContext
  private readonly passOn?: (data: Data) => void
  /** What byte streams have taken and nobody has read */
  private readonly taken: HandedOver
  // hardly any stream buffers anything
  private reading?: Buffered & { throttle: Throttle }
  private writing?: Buffered
  private span?: ResourceScopeSpan
  private queue?: Queued

  constructor (stream: ManagedStream, record: StreamRecord, context: StreamMemoryContext) {
    this.stream = stream
    this.record = record
    this.context = context
    this.passOn = stream.onData
    this.taken = watchByteStreams(stream, () => { this.onReadBuffer() })
  }

  /**
   * What has left the buffer of the stream and waits in one of ours
   */
  get queued (): Queued {
    this.queue ??= { bytes: 0, prompt: 0, changed: () => { this.onReadBuffer() } }

    return this.queue
  }

  /**
   * Data that nobody listens for stays, and so may what a byte stream takes: it
   * must not keep more than itself
   */
  onData (data: Data): void {
    const { stream, taken } = this
    const stays = stream.readStatus === 'paused' || stream.listenerCount?.('message') === 0 || (taken.listening?.size ?? 0) > 0

    this.passOn?.call(stream, stays ? ownBytes(data) : data)
  }

  onReadBuffer (): void {
    const { unread } = this

    if (unread === 0 && this.reading == null) {
      return
    }

    // The scope of the stream has given everything back, what is unread has a span.
    // A stream that is being aborted says once more that it has ended.
    if ((this.record.ended || this.isLost) && this.span == null) {
      return
    }

    if (unread === 0 && this.span != null) {
      this.context.leftBehind.end(this.span)
      this.span = undefined

      return
    }

    this.reading ??= this.startReading()
    this.reading.joiner.grown()

    // Unread bytes are here already. If they cannot be reserved the stream is
    // aborted, and throws them away.
    try {
      this.reading.reservation.resize(unread, this.priority)
      this.reading.throttle.set(unread > this.taken.waitedFor && this.isNegotiated, this.isPrompt)
    } catch (err: any) {
      this.queued.lost = err
      this.stream.abort(err)
      discardHandedOver(this.stream)
    }
  }

  onWriteBuffer (): void {
    const length = this.stream.writeBufferLength

    if ((length === 0 && this.writing == null) || this.record.ended) {
      return
    }

    this.writing ??= this.startWriting()
    this.writing.joiner.grown()

    try {
      this.writing.reservation.resize(length, this.priority)
    } catch (err: any) {
      this.stream.abort(err)
    }
  }

  /**
   * Called when the scope of the stream has ended
   */
  onClose (): void {
    // can never be sent, but js-libp2p keeps it for as long as the application
    // refers to the stream
    this.writing?.joiner.discard()

    if (this.isNegotiated) {
      forgetWhenRead(this.stream)
    } else {
      forgetNames(this.stream)
    }

    const { unread } = this

    if (unread === 0 || this.isLost) {
      return
    }

    this.reading ??= this.startReading()

    // Garbage that has not been collected is reserved as well, and nobody knows
    // when it will be: it must not take all of the memory.
    try {
      // a manager of the user may refuse even that
      this.span = this.context.leftBehind.begin(this.stream, this.record.scope.peerScope.peer)
      this.reading.reservation.moveTo(this.span)
      this.reading.reservation.resize(unread, leftBehindPriority)
    } catch (err: any) {
      // there is no stream to abort any more, but the data can be thrown away
      if (this.span != null) {
        this.context.leftBehind.end(this.span)
        this.span = undefined
      }

      this.queued.lost = err
      this.stream.closeRead().catch(() => {})
      discardHandedOver(this.stream)
    }
  }

  /**
   * One window may be unread, and another one wait in an iterator, which puts it
   * back into the buffer when it ends
   */
  readonly mayHaveWindow = (size: number): boolean => {
    return 2 * size <= this.stream.maxReadBufferLength && this.context.share.hasPlentyOfRoom(this.record.scope, 2 * size)
  }

  private get unread (): number {
    return this.stream.readBufferLength + (this.queue?.bytes ?? 0) + this.taken.handedOver
  }

  /**
   * Before that nothing is held back: yamux has not acknowledged the stream yet,
   * and would forget to when it is paused, while negotiating reads all there is
   */
  private get isNegotiated (): boolean {
    return this.record.scope.protocolScope != null
  }

  /**
   * What is unread could not be reserved, and is thrown away
   */
  private get isLost (): boolean {
    return this.queue?.lost != null
  }

  private get isPrompt (): boolean {
    return this.queue !== undefined && this.queue.prompt > 0
  }

  /**
   * What is unsent is what the remote does not take, and may have asked for
   */
  private readonly priority = (): number => this.context.share.priorityFor(this.record.scope.peerScope)

  private startReading (): Buffered & { throttle: Throttle } {
    // the buffer shrinks without a look at its maximum
    this.stream.addEventListener('end', () => { this.onReadBuffer() })

    return Object.assign(new Buffered(this.stream, 'readBuffer', this.record.scope), { throttle: new Throttle(this.stream) })
  }

  private startWriting (): Buffered {
    // the buffer shrinks without a look at its maximum
    this.stream.addEventListener('idle', () => { this.onWriteBuffer() })
    this.stream.addEventListener('drain', () => { this.onWriteBuffer() })

    return new Buffered(this.stream, 'writeBuffer', this.record.scope)
  }
}

function leftBehindPriority (): number {
  return ReservationPriority.Medium
}
