/**
 * @file What a connection holds that is on its way through it, below its streams:
 * what could not be sent yet, and what the muxer cannot read yet. A remote that
 * pings and does not read, or announces a large frame and never finishes it,
 * makes these grow.
 */

import { Buffered } from './buffered.ts'
import { CONTROL_FRAMES } from './overdraft.ts'
import { Joiner } from './slices.ts'
import { watchBuffers } from './watch.ts'
import type { FairShare } from './fair-share.ts'
import type { Overdraft } from './overdraft.ts'
import type { BufferWatcher } from './watch.ts'
import type { ConnectionRecord } from '../scope-map.ts'
import type { MessageStream, StreamMuxer } from '@libp2p/interface'

/**
 * For each form that a connection takes: raw, protected, encrypted. What does not
 * fit ends the connection, for nothing can be taken out of the middle of it.
 */
export function accountConnection (connection: MessageStream, record: ConnectionRecord, share: FairShare): void {
  watchBuffers(connection, new ConnectionBuffers(connection, record, share))
}

class ConnectionBuffers implements BufferWatcher {
  private readonly connection: MessageStream
  private readonly record: ConnectionRecord
  private readonly share: FairShare
  // hardly any connection buffers anything
  private reading?: Buffered
  private writing?: Buffered

  constructor (connection: MessageStream, record: ConnectionRecord, share: FairShare) {
    this.connection = connection
    this.record = record
    this.share = share
  }

  onReadBuffer (): void {
    const length = this.connection.readBufferLength

    if (this.reading == null && length > 0) {
      this.reading = new Buffered(this.connection, 'readBuffer', this.record.scope)
    }

    this.resize(this.reading, length)
  }

  onWriteBuffer (): void {
    const length = this.connection.writeBufferLength

    if (this.writing == null && length > 0 && !this.record.ended) {
      this.writing = new Buffered(this.connection, 'writeBuffer', this.record.scope)
      // the buffer shrinks without a look at its maximum
      this.connection.addEventListener('idle', () => { this.onWriteBuffer() })
      this.connection.addEventListener('drain', () => { this.onWriteBuffer() })
      // can never be sent, but js-libp2p keeps it
      this.connection.addEventListener('close', () => { this.writing?.joiner.discard() }, { once: true })
    }

    this.resize(this.writing, length)
  }

  private resize (buffered: Buffered | undefined, length: number): void {
    // the scope of a connection that has ended has given everything back
    if (buffered == null || this.record.ended) {
      return
    }

    buffered.joiner.grown()

    try {
      buffered.reservation.resize(length, () => this.share.priorityForConnection(this.record.scope.peerScope))
    } catch (err: any) {
      if (length - buffered.reservation.held > CONTROL_FRAMES) {
        this.connection.abort(err)
      }
    }
  }
}

/**
 * noise keeps a message until all of it is there: 64 KiB, but each byte may come
 * by itself and cost two hundred.
 *
 * @param raw - the encrypter listens to it already
 */
export function joinCiphertext (raw: MessageStream, encrypted: MessageStream & { decoder?: object }): void {
  // not every encrypter is written in JavaScript, and a connection may have died
  // in its handshake
  if (encrypted.decoder == null || (raw.status !== 'open' && raw.status !== 'closing')) {
    return
  }

  const rest = new Joiner(encrypted.decoder, 'buffer')

  const onMessage = (): void => {
    rest.grown()
    rest.shrunk()
  }

  raw.addEventListener('message', onMessage)
  raw.addEventListener('close', () => { raw.removeEventListener('message', onMessage) }, { once: true })
}

/**
 * A yamux frame with all that a stream may send before it is granted more, in
 * bytes
 */
const FRAME = 12 + 256 * 1024

/**
 * yamux keeps a frame until all of it is there, however large its header says it
 * is: only then does it compare it with the window. mplex keeps up to 4 MiB.
 * `onData` is public in `AbstractStreamMuxer`; what it throws ends the connection.
 */
export function accountDecoder (muxer: StreamMuxer & { onData?(data: any): void, decoder?: object }, record: ConnectionRecord, share: FairShare, overdraft: Overdraft): void {
  const onData = muxer.onData?.bind(muxer)

  if (onData == null) {
    return
  }

  const name = muxer.decoder != null && '_buffer' in muxer.decoder ? '_buffer' : 'buffer'
  const { joiner: rest, reservation } = new Buffered(muxer.decoder, name, record.scope)

  let isOverdrawn = false

  const resize = (length: number): void => {
    if (record.ended) {
      return
    }

    const { peerScope } = record.scope

    try {
      reservation.resize(length, () => share.priorityForConnection(peerScope))

      if (isOverdrawn) {
        isOverdrawn = false
        overdraft.set(record, 0)
      }
    } catch (err) {
      // when others have used up the memory, a frame as any stream may send it
      // must not cost all streams of the connection; its own will have to ask
      isOverdrawn = length <= FRAME && !share.isExceededBy(peerScope) && overdraft.set(record, length - reservation.held)

      if (!isOverdrawn) {
        rest.discard()
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
