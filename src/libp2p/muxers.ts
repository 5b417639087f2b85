/**
 * @file Streams of a connection open through its muxer: outbound ones ask before
 * the muxer opens them, inbound ones before anybody sees them.
 */

import { ConnectionClosedError } from '@libp2p/interface'
import { replaceAll } from './encrypters.ts'
import { accountDecoder } from './memory/connections.ts'
import { Overdraft } from './memory/overdraft.ts'
import { accountStream } from './memory/streams.ts'
import { facade, override } from './override.ts'
import { endWithObject } from './scope-map.ts'
import type { Failures } from './failures.ts'
import type { StreamMemoryContext } from './memory/streams.ts'
import type { ConnectionRecord, ScopeMap, StreamRecord } from './scope-map.ts'
import type { Direction, ResourceManager, StreamManagementScope } from '../core/types.ts'
import type { Stream, StreamMuxer, StreamMuxerFactory, Upgrader } from '@libp2p/interface'

export interface MuxerHooksInit extends StreamMemoryContext {
  manager: ResourceManager
  scopes: ScopeMap
  failures: Failures
  /** What a stream costs before it buffers anything, in bytes */
  streamMemory: number
}

export class MuxerHooks {
  private readonly init: MuxerHooksInit
  private readonly decorated = new WeakMap<StreamMuxerFactory, StreamMuxerFactory>()
  private readonly muxers = new WeakSet<StreamMuxer>()
  private readonly refused = new WeakSet<Stream>()
  private readonly overdraft = new Overdraft()

  constructor (init: MuxerHooksInit) {
    this.init = init
  }

  install (upgrader: Upgrader): () => void {
    return replaceAll(upgrader.getStreamMuxers(), this.decorateFactory)
  }

  /**
   * A factory that is decorated already comes back as it is: an encrypter that
   * negotiates the muxer takes it from the upgrader
   */
  readonly decorateFactory = (factory: StreamMuxerFactory): StreamMuxerFactory => {
    let decorated = this.decorated.get(factory)

    if (decorated == null) {
      decorated = facade(factory, {
        createStreamMuxer: (connection) => {
          const muxer = factory.createStreamMuxer(connection)
          const record = this.init.scopes.connection(connection)

          if (record != null) {
            this.hookMuxer(muxer, record)
          }

          return muxer
        }
      })
      this.decorated.set(factory, decorated)
      this.decorated.set(decorated, decorated)
    }

    return decorated
  }

  /**
   * A muxer lives as long as its connection, so there is nothing to undo
   */
  private hookMuxer (muxer: StreamMuxer, connection: ConnectionRecord): void {
    if (this.muxers.has(muxer)) {
      return
    }

    this.muxers.add(muxer)
    accountDecoder(muxer, connection, this.init.share, this.overdraft)
    this.init.failures.watchMuxer(muxer, connection)

    override(muxer, 'createStream', original => async options => {
      const scope = this.openScope(connection, 'outbound')
      let stream: Stream | undefined

      try {
        stream = await original(options)
        this.manage(stream, scope, muxer, connection)

        return stream
      } catch (err: any) {
        stream?.abort(err)
        scope.done()
        throw err
      }
    })

    // A 'stream' listener of our own, added here, would make the muxer hand out
    // the streams it holds back before the connection listens. So the listener
    // that the connection adds is wrapped.
    const wrappers = new WeakMap<object, (event: CustomEvent<Stream>) => void>()

    override(muxer, 'addEventListener', original => (type: any, listener: any, options?: any) => {
      if (type !== 'stream' || listener == null) {
        original(type, listener, options)
        return
      }

      let wrapper = wrappers.get(listener)

      if (wrapper == null) {
        wrapper = event => {
          if (this.accept(event.detail, muxer, connection)) {
            typeof listener === 'function' ? listener.call(muxer, event) : listener.handleEvent(event)
          }
        }
        wrappers.set(listener, wrapper)
      }

      original(type, wrapper, options)
    })

    override(muxer, 'removeEventListener', original => (type: any, listener: any, options?: any) => {
      original(type, wrappers.get(listener) ?? listener, options)
    })
  }

  /**
   * Whether the node gets to see an inbound stream
   */
  private accept (stream: Stream, muxer: StreamMuxer, connection: ConnectionRecord): boolean {
    // a second listener sees what the first one has let in, and nothing else
    if (this.init.scopes.stream(stream) != null) {
      return true
    }

    if (this.refused.has(stream)) {
      return false
    }

    try {
      this.manage(stream, this.openScope(connection, 'inbound'), muxer, connection)

      return true
    } catch (err: any) {
      this.refused.add(stream)
      stream.abort(err)

      return false
    }
  }

  private openScope (connection: ConnectionRecord, direction: Direction): StreamManagementScope {
    if (connection.peer == null) {
      throw new ConnectionClosedError('A stream was opened on a connection whose peer is not known')
    }

    const { manager, share, streamMemory } = this.init
    const scope = manager.openStream(connection.peer, direction)

    try {
      // an outbound one is opened by this node
      scope.reserveMemory(streamMemory, direction === 'inbound' ? share.priorityFor(scope.peerScope) : undefined)

      return scope
    } catch (err) {
      scope.done()
      throw err
    }
  }

  private manage (stream: Stream, scope: StreamManagementScope, muxer: StreamMuxer, connection: ConnectionRecord): void {
    const record: StreamRecord = { scope, ended: false }

    this.init.scopes.addStream(stream, record)
    const memory = accountStream(stream, record, this.init)
    endWithObject(record, stream, event => {
      memory.onClose()

      if (event?.error != null) {
        this.init.failures.stream(record, stream, event, muxer, connection)
      }
    })
  }
}
