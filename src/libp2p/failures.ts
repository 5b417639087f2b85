/**
 * @file Tells which connections and streams js-libp2p has ended because of what
 * the remote did, by the error that they end with.
 */

import { isResourceLimitExceeded } from '../core/errors.ts'
import { reasonOf } from '../core/failure.ts'
import { override } from './override.ts'
import type { ConnectionRecord, StreamRecord } from './scope-map.ts'
import type { Failure, FailureStage } from '../core/failure.ts'
import type { MultiaddrConnection, Stream, StreamCloseEvent, StreamMuxer } from '@libp2p/interface'

/**
 * Those of an application that wants something to end. An error with another name
 * says what went wrong.
 */
const NO_REASON: ReadonlySet<string> = new Set(['Error', 'AbortError'])

type Muxer = StreamMuxer & { onData?(data: unknown): void }

/**
 * Refusals are not failures, they are told of elsewhere. Nor is what ends without
 * an error.
 */
export class Failures {
  private readonly tell?: (failure: Failure) => void

  constructor (tell?: (failure: Failure) => void) {
    this.tell = tell
  }

  /**
   * What counts is the first error of a connection: an upgrade fails with another
   * one when its connection has failed
   */
  connection (record: ConnectionRecord, maConn: MultiaddrConnection, error: unknown, stage?: FailureStage): void {
    const { upgrading } = record

    if (error == null || record.failed === true) {
      return
    }

    record.failed = true

    // an upgrade that waited for the signal fails with an error that does not say so
    const isAborted = upgrading?.signal?.aborted === true
    const reason = reasonOf(isAborted ? upgrading.signal?.reason : error)
    const isWanted = isAborted ? reason !== 'TimeoutError' : record.abortedWith === error && NO_REASON.has(reason)

    if (this.tell == null || isWanted || isResourceLimitExceeded(error)) {
      return
    }

    this.tell({
      kind: 'connection',
      direction: maConn.direction,
      stage: stage ?? (upgrading == null ? 'open' : 'upgrade'),
      reason,
      error: error as Error,
      scope: record.scope.name,
      peer: record.peer,
      endpoint: maConn.remoteAddr
    })
  }

  /**
   * Called when its scope has ended
   */
  stream (record: StreamRecord, stream: Stream, { error, local }: StreamCloseEvent, muxer: StreamMuxer, connection: ConnectionRecord): void {
    // with a muxer all its streams end, which is one failure
    if (this.tell == null || muxer.status !== 'open' || isResourceLimitExceeded(error)) {
      return
    }

    const stage = record.scope.protocolScope == null ? 'negotiation' : 'open'
    const reason = reasonOf(error)

    // the application does not know of an inbound stream before it is negotiated
    if (local !== false && NO_REASON.has(reason) && !(stage === 'negotiation' && stream.direction === 'inbound')) {
      return
    }

    this.tell({
      kind: 'stream',
      direction: stream.direction,
      stage,
      reason,
      error: error as Error,
      scope: record.scope.name,
      peer: connection.peer,
      endpoint: connection.maConn?.remoteAddr
    })
  }

  /**
   * Whoever aborts a connection aborts its muxer with it. A muxer that aborts
   * itself because of what it receives leaves the connection open: what it throws
   * ends that. `onData` is public in `AbstractStreamMuxer`.
   */
  watchMuxer (muxer: Muxer, record: ConnectionRecord): void {
    if (this.tell == null) {
      return
    }

    override(muxer, 'abort', original => err => {
      record.abortedWith = err
      original(err)
    })

    const onData = muxer.onData?.bind(muxer)

    if (onData == null) {
      return
    }

    muxer.onData = data => {
      const before = record.abortedWith
      onData(data)
      const { abortedWith, maConn } = record

      // whose connection was aborted too has failed by now
      if (abortedWith !== before && maConn != null) {
        record.abortedWith = undefined
        this.connection(record, maConn, abortedWith)
      }
    }
  }
}
