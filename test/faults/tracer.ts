/**
 * @file Sees every step that a node takes, and makes one of them fail.
 *
 * A step is a call from one part of a node to another: of any method of any of
 * its components, of what they hand out (encrypters, muxers, connections, scopes)
 * or of what the application has registered. What a part calls on itself is its
 * own affair. Nothing here knows which steps there are: they are found by looking
 * at a node that works.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import type { Stream, StreamMuxer } from '@libp2p/interface'

export interface Step {
  /** Who calls what, and for the how many-th time */
  name: string

  /**
   * Whether a promise comes back, a result at once, or one after which an answer
   * of the remote is waited for
   */
  returns: 'promise' | 'at once' | 'and waits'
}

/**
 * What happens at a step in place of the call
 */
export type Fault = (call: () => any) => any

/**
 * A step that has begun
 */
interface Frame {
  tracer: Tracer
  label: string
  /** Not the object itself: a frame lives as long as any timer that began in it */
  part: symbol
  parent?: Frame
  /** What goes on after a step has ended is no part of it */
  over: boolean
}

const frames = new AsyncLocalStorage<Frame>()

/** Methods of event targets: whoever listens is called by an event, not by a part */
const EVENTS = new Set(['addEventListener', 'removeEventListener', 'dispatchEvent', 'safeDispatchEvent', 'listenerCount'])

/** Methods that listen to events; `onDrain` waits for one */
const LISTENER = /^_?on(?!Drain$)[A-Z]/

/** What is no part that could fail: data, and what every part uses to talk */
const NO_PARTS = new Set(['peerId', 'privateKey', 'nodeInfo', 'logger', 'events'])

/**
 * What gives back or tells what is held cannot fail, others rely on that
 */
const NO_STEPS = new Set(['done', 'stat', 'releaseMemory'])

/**
 * Memory is reserved when bytes come, and scopes are looked at for that, which no
 * two runs do alike. But what a connection or a stream costs from the beginning is
 * reserved when it opens, once.
 */
const WHEN_OPENING = new Set(['reserveMemory', 'viewSystem', 'viewPeer'])

/** What opens scopes in the source of this package */
const OPENING = /\.(withBase|openScope) \(/

/** What stands between the raw connection and a stream */
const PLUMBING = new Set(['maConn', 'protected', 'encrypted', 'muxer'])

const AsyncFunction = (async () => {}).constructor

/**
 * Whose step it is that is being taken
 */
export function currentTracer (): Tracer | undefined {
  return frames.getStore()?.tracer
}

export class Tracer {
  private steps?: Step[]
  private fault?: { name: string, apply: Fault }
  private readonly counts = new Map<string, number>()
  private readonly parts = new WeakMap<object, symbol>()
  private readonly onPart: (label: string, part: object) => void

  /**
   * `onPart` is told of every part there is
   */
  constructor (onPart: (label: string, part: object) => void) {
    this.onPart = onPart
  }

  /**
   * @returns all steps from now on, as they are taken
   */
  record (): Step[] {
    this.disarm()
    this.steps = []

    return this.steps
  }

  /**
   * Makes a step fail from now on
   */
  arm (name: string, apply: Fault): void {
    this.disarm()
    this.fault = { name, apply }
  }

  disarm (): void {
    this.counts.clear()
    this.fault = undefined
    this.steps = undefined
  }

  /**
   * All parts of a node, before anybody hooks into them
   */
  instrument (components: any): void {
    for (const transport of components.transportManager.getTransports()) {
      this.watch(transport, 'transport')
    }

    for (const encrypter of components.upgrader.getConnectionEncrypters().values()) {
      this.watch(encrypter, 'encrypter')
    }

    for (const factory of components.upgrader.getStreamMuxers().values()) {
      this.watch(factory, 'muxerFactory')
    }

    for (const [name, part] of Object.entries<any>(components.components)) {
      if (part === Object(part) && !NO_PARTS.has(name)) {
        this.watch(part, name)
      }
    }

    components.connectionGater = this.gater()
  }

  /**
   * A step of the application
   */
  enter<T> (label: string, call: () => T): T {
    return this.step(label, Symbol(label), call)
  }

  /**
   * The beginning of something that no step has led to
   */
  begin<T> (label: string, call: () => T): T {
    // it is over when whatever came of it is
    const frame: Frame = { tracer: this, label, part: Symbol(label), over: false }

    return frames.run(frame, call)
  }

  /**
   * Looks at all methods of a part, those of its classes included
   */
  watch (part: object, label: string, concerns: (name: string, method: unknown) => boolean = () => true): void {
    if (this.parts.has(part)) {
      return
    }

    const symbol = Symbol(label)
    this.parts.set(part, symbol)
    this.onPart(label, part)

    for (const name of methodsOf(part)) {
      if (!EVENTS.has(name) && concerns(name, part[name as keyof typeof part])) {
        this.watchMethod(part, symbol, label, name)
      }
    }
  }

  private watchMethod (part: any, symbol: symbol, label: string, name: string): void {
    const original = part[name]

    Object.defineProperty(part, name, {
      configurable: true,
      enumerable: Object.prototype.propertyIsEnumerable.call(part, name),
      writable: true,
      value: (...args: any[]) => {
        const caller = this.caller()

        // what an event brings about is no part of the step that it came up in
        if (LISTENER.test(name)) {
          return frames.exit(() => original.apply(part, args))
        }

        // an event without a step that has led to it is no step either
        if (caller == null || caller.part === symbol || !isStep(label, name, caller)) {
          return original.apply(part, args)
        }

        args.forEach(arg => { this.follow(arg) })

        return this.step(`${label}.${name}`, symbol, () => original.apply(part, args))
      }
    })
  }

  /**
   * A gater that has all methods there are, and lets everything pass
   */
  private gater (): any {
    const part = Symbol('connectionGater')

    return new Proxy({}, {
      get: (_, name) => {
        if (typeof name === 'string') {
          return async () => this.caller() == null ? false : this.step(`connectionGater.${name}`, part, async () => false)
        }
      }
    })
  }

  private caller (): Frame | undefined {
    let frame = frames.getStore()

    // a node may be called by another one in the same process
    while (frame != null && (frame.tracer !== this || frame.over)) {
      frame = frame.parent
    }

    return frame
  }

  private step (label: string, part: symbol, call: () => any): any {
    const frame: Frame = { tracer: this, label, part, parent: frames.getStore(), over: false }

    const name = label.split('.')[1]

    if (NO_STEPS.has(name) || (WHEN_OPENING.has(name) && !OPENING.test(new Error().stack ?? ''))) {
      return frames.run(frame, call)
    }

    const step = this.next(label)

    return frames.run(frame, () => {
      let result: any

      try {
        result = this.fault?.name === step.name ? this.fault.apply(call) : call()
      } catch (err) {
        frame.over = true
        throw err
      }

      if (typeof result?.then !== 'function') {
        frame.over = true
        this.follow(result, label)

        return result
      }

      step.returns = 'promise'

      return result.then((value: any) => {
        frame.over = true
        this.follow(value, label)

        return value
      }, (err: any) => {
        frame.over = true
        throw err
      })
    })
  }

  private next (label: string): Step {
    const caller = this.caller()
    const path = caller == null ? label : `${caller.label} > ${label}`
    const count = (this.counts.get(path) ?? 0) + 1
    this.counts.set(path, count)

    const step: Step = { name: count === 1 ? path : `${path} #${count}`, returns: label.endsWith('.send') ? 'and waits' : 'at once' }
    this.steps?.push(step)

    return step
  }

  /**
   * What a part hands out or is handed may be a part itself
   */
  private follow (thing: any, by?: string): void {
    if (thing !== Object(thing)) {
      return
    }

    if (by?.endsWith('.protect') === true) {
      this.watch(thing, 'protected', concernsOthers)
    } else if (thing.remotePeer != null && thing.connection != null) {
      this.watch(thing.connection, 'encrypted', concernsOthers)
    } else if (typeof thing.createStream === 'function') {
      this.watchMuxer(thing)
    } else if (typeof thing.newStream === 'function') {
      this.watch(thing, 'connection', concernsOthers)
    } else if (typeof thing.closeRead === 'function') {
      this.watch(thing, 'stream', concernsOthers)
    } else if (typeof thing.send === 'function' && thing.remoteAddr != null) {
      this.watch(thing, 'maConn', concernsOthers)
    } else if (typeof thing.setPeer === 'function') {
      this.watch(thing, 'connectionScope')
    } else if (typeof thing.setProtocol === 'function') {
      this.watch(thing, 'streamScope')
    }
  }

  /**
   * Inbound streams are the beginning of something, and come as events
   */
  private watchMuxer (muxer: StreamMuxer): void {
    if (this.parts.has(muxer)) {
      return
    }

    this.watch(muxer, 'muxer', concernsOthers)
    const addEventListener = muxer.addEventListener.bind(muxer)

    muxer.addEventListener = (type: any, listener: any, options?: any) => {
      addEventListener(type, type !== 'stream'
        ? listener
        : (event: CustomEvent<Stream>) => {
            this.follow(event.detail)
            this.begin('inbound stream', () => listener(event))
          }, options)
    }
  }
}

/**
 * Connections, streams and muxers call each other with every frame that comes or
 * goes. Others make them do what takes time, and send, after which they wait for
 * an answer.
 */
function concernsOthers (name: string, method: unknown): boolean {
  return name === 'send' || LISTENER.test(name) || method instanceof AsyncFunction
}

/**
 * What connections, streams and muxers do to each other is no step, and neither
 * is what comes up by an event only
 */
function isStep (label: string, name: string, { label: by }: Frame): boolean {
  const part = by.split('.')[0]

  return !PLUMBING.has(label) || (by !== part && part !== 'stream' && !PLUMBING.has(part) && !(label === 'muxer' && name === 'send'))
}

function methodsOf (part: object): Set<string> {
  const names = new Set<string>()

  for (let object = part; object !== Object.prototype && object != null; object = Object.getPrototypeOf(object)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
      // a log is a function with methods
      if (typeof value === 'function' && name !== 'constructor' && Object.keys(value).length === 0) {
        names.add(name)
      }
    }
  }

  return names
}
