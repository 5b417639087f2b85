/**
 * @file What `byteStream` of `@libp2p/utils`, and with it `lpStream` and
 * `pbStream`, has taken from a stream and nobody has read since. It listens for
 * messages and copies them into a buffer of its own, which nobody else can see.
 *
 * Two things show from outside. The listener has a name. And each `read` looks at
 * `closeRead` of the stream, when it begins and when it is woken by a message. A
 * `read` that waits has found less than it needs: a message without data wakes it,
 * and it looks. If nobody else has looked since data came, nothing was read, and it
 * waits for the rest of something large: that counts, and the remote must be let
 * to send the rest. Otherwise all but a little was read. Until one waits all that
 * was handed over counts as unread, for a part of it cannot be told from the rest.
 *
 * Nobody waits for more when there is no more to come. Little then counts as read,
 * for most requests and answers are little. Much is unread until somebody looks,
 * and then for as long as somebody may look again.
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
 * Who reads on after the end of a stream looks again after at most so long, or
 * twice the longest that it took before, in milliseconds
 */
const PATIENCE = 1_000

/**
 * For most of those who do not look again have read it all
 */
const MOST_PATIENCE = 10_000

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
  /** Of that, what a `read` has found and waits for more of */
  waitedFor: number
  /** Since data came, or since one was last known to wait */
  looks: number
  /** A look tells that one of them waits; `soon` is before that is tried */
  probing: 'no' | 'soon' | 'now'
  /** When something was unread first, somebody has looked since, or the stream has ended, in milliseconds */
  lookedAt: number
  /** The longest that a look has taken since, in milliseconds */
  slowest: number
  /** Runs while somebody is expected to look again */
  expecting?: ReturnType<typeof setTimeout>
  /** Nobody has looked since data came last */
  isUnread: boolean
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
      if (state.handedOver === 0) {
        state.lookedAt = performance.now()
      }

      state.isUnread = true
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
  /** Of that, what is no reason to hold the remote back, in bytes */
  readonly waitedFor: number
  /** The byte streams that take what comes */
  readonly listening?: ReadonlySet<unknown>
}

/**
 * @param stream - a stream that is managed
 * @param onChange - called when unread data has become less
 */
export function watchByteStreams (stream: Stream, onChange: () => void): HandedOver {
  const { addEventListener, removeEventListener, dispatchEvent, closeRead } = stream
  const state: Watched = { addEventListener, removeEventListener, dispatchEvent, closeRead, onChange, listening: undefined, handedOver: 0, waitedFor: 0, looks: 0, probing: 'no', lookedAt: 0, slowest: 0, isUnread: false }

  watched.set(stream, state)
  Object.defineProperties(stream, METHODS)

  return state
}

/**
 * Called when a stream has ended
 */
export function forgetWhenRead (stream: Stream): void {
  const state = watched.get(stream)

  if (state != null && (!state.isUnread || state.handedOver <= LITTLE)) {
    // who has not looked for long may still be at work
    noteTime(state)
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

  read(state)
}

function look (stream: Stream, state: Watched): void {
  if (state.handedOver === 0) {
    return
  }

  noteTime(state)
  state.isUnread = false

  if (state.probing === 'now') {
    foundWaiting(state)

    return
  }

  state.looks++

  if (stream.remoteWriteStatus !== 'writable') {
    readAtTheEnd(state)
  } else if (state.probing === 'no') {
    state.probing = 'soon'
    // when all that runs now is over, and with it this `read` unless it waits
    setTimeout(() => { void probe(state) }, 0)
  }
}

/**
 * Each `read` looks once at least, so one look is that of who waits
 */
function foundWaiting (state: Watched): void {
  if (state.looks > 1) {
    read(state)

    return
  }

  state.looks = 0
  state.waitedFor = state.handedOver
  state.onChange()
}

function noteTime (state: Watched): void {
  const now = performance.now()
  state.slowest = Math.max(state.slowest, now - state.lookedAt)
  state.lookedAt = now
}

function readAtTheEnd (state: Watched): void {
  if (state.handedOver <= LITTLE) {
    read(state)
  } else if (state.expecting == null) {
    expectLook(state)
  }
}

function expectLook (state: Watched): void {
  const timer: any = setTimeout(() => {
    state.expecting = undefined

    if (timeLeft(state) > 0) {
      expectLook(state)
    } else if (!state.isUnread) {
      read(state)
    }
  }, Math.max(0, timeLeft(state)))

  // a number in browsers
  timer.unref?.()
  state.expecting = timer
}

/**
 * Until nobody is expected to look again, in milliseconds
 */
function timeLeft ({ lookedAt, slowest }: Watched): number {
  return lookedAt + Math.min(Math.max(PATIENCE, 2 * slowest), MOST_PATIENCE) - performance.now()
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
    state.waitedFor = 0
    state.looks = 0
    state.onChange()
  }
}

function method (value: (this: Stream, ...args: any[]) => any): PropertyDescriptor {
  return { configurable: true, writable: true, value }
}
