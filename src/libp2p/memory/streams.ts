/**
 * @file What a stream holds that nobody has read, or that could not be sent yet,
 * is reserved in its scope. A stream that is read promptly buffers nothing and
 * costs nothing but its base.
 */

import { ReservationPriority } from '../../core/types.ts'
import { drained } from './drain.ts'
import { holdBackIterator } from './iterator.ts'
import { Reservation } from './reservation.ts'
import { Joiner, ownBytes } from './slices.ts'
import { Throttle } from './throttle.ts'
import { watch } from './watch.ts'
import type { FairShare } from './fair-share.ts'
import type { Queued } from './iterator.ts'
import type { LeftBehind } from './left-behind.ts'
import type { ResourceScopeSpan } from '../../core/types.ts'
import type { StreamRecord } from '../scope-map.ts'
import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface StreamMemoryContext {
  share: FairShare
  leftBehind: LeftBehind
}

/**
 * Called after the listener was added that ends the record
 */
export function accountStream (stream: Stream, record: StreamRecord, context: StreamMemoryContext): void {
  accountReading(stream, record, context)
  accountWriting(stream, record)

  stream.onDrain = async options => drained(stream, options)
}

function accountReading (stream: Stream & { onData?(data: Uint8Array | Uint8ArrayList): void }, record: StreamRecord, { share, leftBehind }: StreamMemoryContext): void {
  const { peerScope } = record.scope
  const reservation = new Reservation(record.scope)
  const throttle = new Throttle(stream)
  const joiner = new Joiner(stream, 'readBuffer')
  let span: ResourceScopeSpan | undefined

  const queued: Queued = { bytes: 0, changed: () => { onChange() } }

  const onChange = (): void => {
    const unread = stream.readBufferLength + queued.bytes

    // the scope of the stream has given everything back, what is unread has a span
    if (record.ended && span == null) {
      return
    }

    if (unread === 0 && span != null) {
      leftBehind.end(span)
      span = undefined

      return
    }

    joiner.grown()

    // Unread bytes are here already. If they cannot be reserved the stream is
    // aborted, and throws them away.
    try {
      reservation.resize(unread, () => share.priorityFor(peerScope))
      throttle.set(unread > 0)
    } catch (err: any) {
      stream.abort(err)
    }
  }

  watch(stream, 'maxReadBufferLength', onChange)
  // the buffer has shrunk without a look at its maximum
  stream.addEventListener('end', onChange)

  const onClose = (): void => {
    const unread = stream.readBufferLength + queued.bytes

    if (unread === 0) {
      return
    }

    span = leftBehind.begin(stream, peerScope.peer)
    reservation.moveTo(span)

    // Garbage that has not been collected is reserved as well, and nobody knows
    // when it will be: it must not take all of the memory.
    try {
      reservation.resize(unread, () => ReservationPriority.Medium)
    } catch (err: any) {
      // there is no stream to abort any more, but the data can be thrown away
      leftBehind.end(span)
      span = undefined
      queued.lost = err
      stream.closeRead().catch(() => {})
    }
  }

  if (record.ended) {
    onClose()
  } else {
    stream.addEventListener('close', onClose)
  }

  // data that nobody listens for stays, so it must not keep more than itself
  const onData = stream.onData?.bind(stream) as ((data: Uint8Array | Uint8ArrayList) => void) | undefined
  const listenerCount = (stream as unknown as { listenerCount?(type: string): number }).listenerCount?.bind(stream)

  if (onData != null && listenerCount != null) {
    stream.onData = data => {
      onData(stream.readStatus === 'paused' || listenerCount('message') === 0 ? ownBytes(data) : data)
    }
  }

  holdBackIterator(stream, queued)
}

function accountWriting (stream: Stream, record: StreamRecord): void {
  const reservation = new Reservation(record.scope)
  const joiner = new Joiner(stream, 'writeBuffer')

  const onChange = (): void => {
    if (record.ended) {
      return
    }

    joiner.grown()

    try {
      // the application is writing, not the remote
      reservation.resize(stream.writeBufferLength, always)
    } catch (err: any) {
      stream.abort(err)
    }
  }

  watch(stream, 'maxWriteBufferLength', onChange)
  stream.addEventListener('idle', onChange)
  stream.addEventListener('drain', onChange)
}

function always (): number {
  return ReservationPriority.Always
}
