/**
 * @file js-libp2p reads `maxReadBufferLength` and `maxWriteBufferLength`, both
 * public, whenever the buffer in question has grown. An accessor in their place
 * sees the growth exactly then.
 */

import type { MessageStream } from '@libp2p/interface'

export interface BufferWatcher {
  /** The read buffer may have grown, or was just emptied */
  onReadBuffer(): void
  /** The write buffer may have grown */
  onWriteBuffer(): void
}

interface Watched {
  watcher: BufferWatcher
  maxReadBufferLength: number
  maxWriteBufferLength?: number
}

const watched = new WeakMap<object, Watched>()

/**
 * All objects share the same two pairs of accessors: V8 gives an object with
 * accessors of its own a hidden class of its own, which costs kilobytes.
 */
const ACCESSORS: PropertyDescriptorMap = {
  maxReadBufferLength: {
    configurable: true,
    enumerable: true,
    get () {
      const state = watched.get(this)
      state?.watcher.onReadBuffer()

      return state?.maxReadBufferLength
    },
    set (value) {
      setMaximum(this, 'maxReadBufferLength', value)
    }
  },
  maxWriteBufferLength: {
    configurable: true,
    enumerable: true,
    get () {
      const state = watched.get(this)
      state?.watcher.onWriteBuffer()

      // js-libp2p does not look at a buffer that may grow without end
      return state?.maxWriteBufferLength ?? Infinity
    },
    set (value) {
      setMaximum(this, 'maxWriteBufferLength', value)
    }
  }
}

/**
 * Puts accessors in place of the maxima: reading one runs the watcher first,
 * writing one changes what is read.
 */
export function watchBuffers (stream: MessageStream, watcher: BufferWatcher): void {
  watched.set(stream, {
    watcher,
    maxReadBufferLength: stream.maxReadBufferLength,
    maxWriteBufferLength: stream.maxWriteBufferLength
  })
  Object.defineProperties(stream, ACCESSORS)
}

function setMaximum (stream: object, name: 'maxReadBufferLength' | 'maxWriteBufferLength', value: number): void {
  const state = watched.get(stream)

  if (state != null) {
    state[name] = value
  }
}
