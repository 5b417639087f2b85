/**
 * @file What `byteStream` of `@libp2p/utils`, and with it `lpStream` and
 * `pbStream`, has taken from a stream and nobody has read since. It listens for
 * messages and copies them into a buffer of its own, which nobody else can see.
 *
 * Two things show from outside. The listener has a name. And each `read` looks at
 * `closeRead` of the stream, when it begins and when it is woken by a message. A
 * `read` that waits has found less than it needs, so whether one waits is what
 * tells that everything was read: a message without data wakes it, and it looks.
 * Until then all that was handed over counts as unread, for a part of it cannot
 * be told from the rest.
 *
 * Nobody waits for more when there is no more to come. Little then counts as read,
 * for most requests and answers are little. Much is read for as long as somebody
 * looks.
 */

import { Uint8ArrayList } from 'uint8arraylist'
import type { Stream } from '@libp2p/interface'

const LISTENER = 'byteStreamOnMessageListener'

/**
 * In bytes
 */
const LITTLE = 16 * 1024

/**
 * What a message costs besides its bytes, in bytes. Byte streams keep each by
 * itself, and their lists cannot be reached to join them.
 */
const MESSAGE = 256

/**
 * Who reads on after the end of a stream looks at least this often, in milliseconds
 */
const LOOK_INTERVAL = 1_000

/**
 * So many steps of promises are between a message and the look of the `read` that
 * it wakes, and some more
 */
const STEPS = 16

/**
 * The methods of js-libp2p's emitter that are seen through
 */
type Emitter = Pick<Stream, 'addEventListener' | 'removeEventListener' | 'dispatchEvent' | 'closeRead'>

type Listener = (event: { data: Uint8ArrayList }) => void

interface Watched extends Emitter {
  /** Called when unread data has become less */
  onChange(): void
  /** The byte streams that listen now */
  listening?: Set<Listener>
  /** What was handed over costs, since one of them has last waited for more, in bytes */
  handedOver: number
  /** A look tells that one of them waits; `soon` is before that is tried */
  probing: 'no' | 'soon' | 'now'
  /** Whether there was a look since the last check, undefined while there are no checks */
  looked?: boolean
}

const watched = new WeakMap<object, Watched>()

/**
 * All streams share these, for the reason that stands in `watch.ts`
 */
const METHODS: PropertyDescriptorMap = {
  addEventListener: method(function (this: Stream, type: any, listener: any, options?: any) {
    const state = watched.get(this) as Watched

    if (type === 'message' && listener?.name === LISTENER) {
      state.listening ??= new Set()
      state.listening.add(listener)
    }

    state.addEventListener.call(this, type, listener, options)
  }),

  removeEventListener: method(function (this: Stream, type: any, listener: any, options?: any) {
    const state = watched.get(this) as Watched

    if (type === 'message' && state.listening?.delete(listener) === true) {
      read(state)
    }

    state.removeEventListener.call(this, type, listener, options)
  }),

  dispatchEvent: method(function (this: Stream, event: any) {
    const state = watched.get(this) as Watched

    if (state.listening !== undefined && state.listening.size > 0 && event.type === 'message') {
      state.handedOver += MESSAGE + event.data.byteLength
    }

    return state.dispatchEvent.call(this, event)
  }),

  closeRead: {
    configurable: true,
    get (this: Stream) {
      const state = watched.get(this) as Watched
      look(this, state)

      return state.closeRead
    },
    set (value) {
      (watched.get(this) as Watched).closeRead = value
    }
  }
}

export interface HandedOver {
  /** In bytes, of which some may be read */
  readonly handedOver: number
  /** The byte streams that take what comes */
  readonly listening?: ReadonlySet<unknown>
}

/**
 * @param stream - a stream that is managed
 * @param onChange - called when unread data has become less
 */
export function watchByteStreams (stream: Stream, onChange: () => void): HandedOver {
  const { addEventListener, removeEventListener, dispatchEvent, closeRead } = stream
  const state: Watched = { addEventListener, removeEventListener, dispatchEvent, closeRead, onChange, listening: undefined, handedOver: 0, probing: 'no' }

  watched.set(stream, state)
  Object.defineProperties(stream, METHODS)

  return state
}

/**
 * Called when a stream has ended
 */
export function forgetWhenRead (stream: Stream): void {
  const state = watched.get(stream)

  if (state != null) {
    readAtTheEnd(state)
  }
}

/**
 * Called when a stream has ended before its protocol was negotiated. Who negotiates
 * reads what has come, an agreement maybe. Names of protocols are little: much is
 * nothing that anybody waits for, and js-libp2p would keep it until its timeout.
 */
export function forgetNames (stream: Stream): void {
  const state = watched.get(stream)

  if (state != null && state.handedOver <= LITTLE) {
    read(state)
  } else {
    discardHandedOver(stream)
  }
}

/**
 * Throws away what the byte streams of a stream hold. Who reads from them all the
 * same gets an error. A byte stream does that itself when it has got more than it
 * may hold, so it gets a message that says it is longer than any.
 */
export function discardHandedOver (stream: Stream): void {
  const state = watched.get(stream)

  if (state == null || state.handedOver === 0) {
    return
  }

  const data = new Uint8ArrayList()
  data.length = Number.MAX_SAFE_INTEGER

  for (const listener of state.listening ?? []) {
    listener({ data })
  }

  state.handedOver = 0
}

function look (stream: Stream, state: Watched): void {
  if (state.handedOver === 0) {
    return
  }

  if (state.probing === 'now') {
    read(state)
  } else if (stream.remoteWriteStatus !== 'writable') {
    readAtTheEnd(state)
  } else if (state.probing === 'no') {
    state.probing = 'soon'
    // when all that runs now is over, and with it this `read` unless it waits
    setTimeout(() => { void probe(state) }, 0)
  }
}

function readAtTheEnd (state: Watched): void {
  if (state.handedOver <= LITTLE) {
    read(state)
  } else if (state.looked == null) {
    waitForLooks(state)
  } else {
    state.looked = true
  }
}

function waitForLooks (state: Watched): void {
  state.looked = false

  const timer: any = setTimeout(() => {
    if (state.looked === true) {
      waitForLooks(state)
    } else {
      state.looked = undefined
      read(state)
    }
  }, LOOK_INTERVAL)

  // a number in browsers
  timer.unref?.()
}

/**
 * Nothing but what this wakes runs before it is over
 */
async function probe (state: Watched): Promise<void> {
  state.probing = 'now'

  for (const listener of state.listening ?? []) {
    listener({ data: new Uint8ArrayList() })
  }

  for (let i = 0; i < STEPS; i++) {
    await Promise.resolve()
  }

  state.probing = 'no'
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
