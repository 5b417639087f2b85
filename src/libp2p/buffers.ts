/**
 * @file What a stream holds that nobody has read, or that could not be sent yet,
 * is reserved in its scope. A stream that is read promptly buffers nothing and
 * costs nothing.
 *
 * js-libp2p reads `maxReadBufferLength` and `maxWriteBufferLength`, both public,
 * whenever the buffer in question has grown. An accessor in their place sees the
 * growth exactly then.
 */

import { StreamStateError } from '@libp2p/interface'
import type { StreamRecord } from './scope-map.ts'
import type { StreamManagementScope } from '../core/types.ts'
import type { AbortOptions, Stream } from '@libp2p/interface'

/**
 * Reserving in steps keeps a stream that grows by small chunks cheap
 */
const STEP = 4096

export function accountBuffers (stream: Stream, record: StreamRecord): void {
  const readable = new BufferReservation(record.scope)
  const writable = new BufferReservation(record.scope)
  const throttle = new Throttle(stream)

  const onRead = (): void => {
    const unread = stream.readBufferLength

    if (fit(readable, unread)) {
      throttle.set(unread > 0)
    }
  }

  const onWrite = (): void => {
    fit(writable, stream.writeBufferLength)
  }

  watch(stream, 'maxReadBufferLength', onRead)
  watch(stream, 'maxWriteBufferLength', onWrite)

  // ways in which a buffer shrinks without a look at its maximum
  stream.addEventListener('end', onRead)
  stream.addEventListener('idle', onWrite)
  stream.addEventListener('drain', onWrite)

  stream.onDrain = async options => drained(stream, options)

  /**
   * Unread bytes are here already, so they are reserved at the highest priority.
   * If even that is refused the stream is aborted, and throws its buffers away.
   */
  function fit (reservation: BufferReservation, length: number): boolean {
    // the scope of a stream that has ended has given everything back
    if (record.ended) {
      return false
    }

    try {
      reservation.resize(length)

      return true
    } catch (err: any) {
      stream.abort(err)

      return false
    }
  }
}

class BufferReservation {
  private held = 0
  private readonly scope: StreamManagementScope

  constructor (scope: StreamManagementScope) {
    this.scope = scope
  }

  resize (length: number): void {
    const wanted = Math.ceil(length / STEP) * STEP

    if (wanted > this.held) {
      this.scope.reserveMemory(wanted - this.held)
    } else if (wanted < this.held) {
      this.scope.releaseMemory(this.held - wanted)
    }

    this.held = wanted
  }
}

/**
 * Stops granting the remote more window while there is unread data, from the
 * first byte on: by the time a whole window is unread, many more are granted.
 * What was granted before still comes, so an unread stream holds one window.
 *
 * `sendPause` and `sendResume` are how js-libp2p's own `pause` and `resume` tell
 * the muxer. They are used without these because the data must still be emitted
 * as soon as somebody listens.
 */
class Throttle {
  private on = false
  private readonly stream: Stream & Partial<Record<'sendPause' | 'sendResume', () => void>>

  constructor (stream: Stream) {
    this.stream = stream
  }

  set (on: boolean): void {
    const wasOn = this.on
    this.on = on

    // a stream that the application has paused is its own affair
    if (this.stream.readStatus !== 'readable') {
      return
    }

    try {
      if (on) {
        // again and again: `resume` of the application has undone it meanwhile
        this.stream.sendPause?.()
      } else if (wasOn && this.stream.status === 'open') {
        this.stream.sendResume?.()
      }
    } catch {
      // a connection that is closing can be told nothing more, and the reader
      // who made room must not hear of it
    }
  }
}

/**
 * Puts an accessor in place of a property: reading it runs a callback first,
 * writing it changes what is read.
 */
function watch (stream: Stream, property: 'maxReadBufferLength' | 'maxWriteBufferLength', onAsked: () => void): void {
  let value = stream[property]

  Object.defineProperty(stream, property, {
    configurable: true,
    enumerable: true,
    get () {
      onAsked()

      // js-libp2p does not look at a buffer that may grow without end
      return value ?? Infinity
    },
    set (v) {
      value = v
    }
  })
}

/**
 * js-libp2p keeps the promise of the first drain for the life of the stream, so
 * a polite writer is told to go on although nothing drained the next time. Its
 * buffer then grows until it is refused. This one looks again after every drain.
 */
async function drained (stream: Stream, options?: AbortOptions): Promise<void> {
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
