/**
 * @file What a connection holds that is on its way through it, below its streams:
 * what could not be sent yet, and what the muxer cannot read yet. A remote that
 * pings and does not read, or announces a large frame and never finishes it,
 * makes these grow.
 */

import { Reservation } from './reservation.ts'
import { Joiner } from './slices.ts'
import { watch } from './watch.ts'
import type { FairShare } from './fair-share.ts'
import type { ConnectionRecord } from '../scope-map.ts'
import type { MessageStream, StreamMuxer } from '@libp2p/interface'

/**
 * For each form that a connection takes: raw, protected, encrypted. What does not
 * fit ends the connection, for nothing can be taken out of the middle of it.
 */
export function accountConnection (connection: MessageStream, record: ConnectionRecord, share: FairShare): void {
  for (const [property, length, list] of [
    ['maxReadBufferLength', 'readBufferLength', 'readBuffer'],
    ['maxWriteBufferLength', 'writeBufferLength', 'writeBuffer']
  ] as const) {
    const reservation = new Reservation(record.scope)
    const joiner = new Joiner(connection, list)

    const onChange = (): void => {
      // the scope of a connection that has ended has given everything back
      if (record.ended) {
        return
      }

      joiner.grown()

      try {
        reservation.resize(connection[length], () => share.priorityFor(record.scope.peerScope))
      } catch (err: any) {
        connection.abort(err)
      }
    }

    watch(connection, property, onChange)

    if (property === 'maxWriteBufferLength') {
      // a buffer shrinks without a look at its maximum
      connection.addEventListener('idle', onChange)
      connection.addEventListener('drain', onChange)
    }
  }
}

/**
 * What a yamux stream may send before it is granted more, in bytes
 */
const WINDOW = 256 * 1024

/**
 * yamux keeps a frame until all of it is there, however large its header says it
 * is: only then does it compare it with the window. `onData` is public in
 * `AbstractStreamMuxer`; what it throws ends the connection.
 */
export function accountDecoder (muxer: StreamMuxer & { onData?(data: any): void, decoder?: object }, record: ConnectionRecord, share: FairShare): void {
  const onData = muxer.onData?.bind(muxer)
  const rest = new Joiner(muxer.decoder, 'buffer')
  const reservation = new Reservation(record.scope)

  if (onData == null) {
    return
  }

  const resize = (length: number): void => {
    if (record.ended) {
      return
    }

    const { peerScope } = record.scope

    try {
      reservation.resize(length, () => share.priorityFor(peerScope))
    } catch (err) {
      // when others have used up the memory, a frame as any stream may send it
      // must not cost all streams of the connection; its own will have to ask
      if (length > WINDOW || share.isExceededBy(peerScope)) {
        throw err
      }
    }
  }

  muxer.onData = data => {
    // a frame that is complete now moves to its stream, which reserves it again
    resize(0)
    onData(data)
    rest.grown()
    rest.shrunk()
    resize(rest.byteLength)
  }
}
