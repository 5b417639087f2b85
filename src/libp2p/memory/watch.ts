/**
 * @file js-libp2p reads `maxReadBufferLength` and `maxWriteBufferLength`, both
 * public, whenever the buffer in question has grown. An accessor in their place
 * sees the growth exactly then.
 */

import type { MessageStream } from '@libp2p/interface'

export type BufferMaximum = 'maxReadBufferLength' | 'maxWriteBufferLength'

/**
 * Puts an accessor in place of a maximum: reading it runs a callback first,
 * writing it changes what is read.
 */
export function watch (stream: MessageStream, property: BufferMaximum, onAsked: () => void): void {
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
