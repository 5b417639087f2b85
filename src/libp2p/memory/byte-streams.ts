/**
 * @file What `byteStream` of `@libp2p/utils`, and with it `lpStream` and
 * `pbStream`, has taken from a stream and nobody has read since. It listens for
 * messages and copies them into a buffer of its own, which nobody else can see.
 *
 * Two things show from outside. The listener has a name. And each `read` looks at
 * `closeRead` of the stream, when it begins and when it is woken by a message: so
 * what was handed over after the last look is certainly unread. What was handed
 * over before may be unread as well, but cannot be told from what was read.
 */

import { limitWindow } from './yamux-window.ts'
import type { Stream } from '@libp2p/interface'

const LISTENER = 'byteStreamOnMessageListener'

/**
 * A byte stream ends the stream with 4 MiB that are not read, so that no more may
 * come at once. In bytes.
 */
const WINDOW = 2 * 1024 * 1024

/**
 * The methods of js-libp2p's emitter that are seen through
 */
type Emitter = Pick<Stream, 'addEventListener' | 'removeEventListener' | 'dispatchEvent' | 'closeRead'>

export interface ByteStreamWatcher {
  /** Whether byte streams are to be watched now */
  isActive(): boolean
  /** Called when unread data has become less */
  onChange(): void
}

interface Watched extends Emitter, ByteStreamWatcher {
  /** The byte streams that listen now, with what undoes the limit of the window */
  listening?: Map<object, () => void>
  /** Bytes handed over since one of them has last looked for more */
  handedOver: number
}

const watched = new WeakMap<object, Watched>()

/**
 * All streams share these, for the reason that stands in `watch.ts`
 */
const METHODS: PropertyDescriptorMap = {
  addEventListener: method(function (this: Stream, type: any, listener: any, options?: any) {
    const state = watched.get(this) as Watched

    if (type === 'message' && listener?.name === LISTENER && state.isActive()) {
      state.listening ??= new Map()
      state.listening.set(listener, limitWindow(this, WINDOW))
    }

    state.addEventListener.call(this, type, listener, options)
  }),

  removeEventListener: method(function (this: Stream, type: any, listener: any, options?: any) {
    const state = watched.get(this) as Watched

    const undo = state.listening?.get(listener)

    if (type === 'message' && undo != null) {
      state.listening?.delete(listener)
      undo()
      read(state)
    }

    state.removeEventListener.call(this, type, listener, options)
  }),

  dispatchEvent: method(function (this: Stream, event: any) {
    const state = watched.get(this) as Watched

    if (state.listening !== undefined && state.listening.size > 0 && event.type === 'message') {
      state.handedOver += event.data.byteLength
    }

    return state.dispatchEvent.call(this, event)
  }),

  closeRead: {
    configurable: true,
    get () {
      const state = watched.get(this) as Watched
      read(state)

      return state.closeRead
    },
    set (value) {
      (watched.get(this) as Watched).closeRead = value
    }
  }
}

/**
 * @returns how many bytes were handed over that nobody has looked for since
 */
export function watchByteStreams (stream: Stream, { isActive, onChange }: ByteStreamWatcher): () => number {
  const { addEventListener, removeEventListener, dispatchEvent, closeRead } = stream
  const state: Watched = { addEventListener, removeEventListener, dispatchEvent, closeRead, isActive, onChange, listening: undefined, handedOver: 0 }

  watched.set(stream, state)
  Object.defineProperties(stream, METHODS)

  return () => state.handedOver
}

function read (state: Watched): void {
  if (state.handedOver > 0) {
    state.handedOver = 0
    state.onChange()
  }
}

function method (value: (this: Stream, ...args: any[]) => any): PropertyDescriptor {
  return { configurable: true, writable: true, value }
}
