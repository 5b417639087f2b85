/**
 * @file Timers that the source of this package has set and listeners that it has
 * added, told apart from all others by who called.
 */

import { getEventListeners } from 'node:events'

const SOURCE = new URL('../../src/', import.meta.url).href

/**
 * What a call passes through: event targets, what js-libp2p makes of them, what
 * looks at it, and what we have in its place that passes on all listeners
 */
const PASSED_THROUGH = /addEventListener \(|main-event|node:internal|\/test\/faults\/(ours|tracer)\.|\/src\/libp2p\/memory\/byte-streams\./

interface Listener {
  type: string
  listener: any
}

const timers = new Map<unknown, string>()
const listeners = new WeakMap<EventTarget, Listener[]>()
let undo: Array<() => void> = []

/**
 * Sees all timers and listeners from now on
 */
export function watchOurs (): void {
  for (const [set, clear] of [['setTimeout', 'clearTimeout'], ['setInterval', 'clearInterval']] as const) {
    replace(globalThis, set, original => (fn: (...args: any[]) => void, ...rest: any[]) => {
      const by = ours()

      if (by == null) {
        return original(fn, ...rest)
      }

      const timer = original((...args: any[]) => {
        if (set === 'setTimeout') {
          timers.delete(timer)
        }

        fn(...args)
      }, ...rest)
      timers.set(timer, by)

      return timer
    })
    replace(globalThis, clear, original => (timer: any) => {
      timers.delete(timer)
      original(timer)
    })
  }

  replace(EventTarget.prototype, 'addEventListener', original => function (this: EventTarget, type: any, listener: any, options: any) {
    if (ours() != null) {
      const all = listeners.get(this) ?? []
      all.push({ type, listener })
      listeners.set(this, all)
    }

    original.call(this, type, listener, options)
  })
}

export function unwatchOurs (): void {
  undo.reverse().forEach(fn => { fn() })
  undo = []
}

/**
 * Who has set timers that have not run and are not cleared
 */
export function ourTimers (): string[] {
  return [...timers.values()]
}

/**
 * How many of our listeners a target still has for an event
 */
export function ourListeners (target: EventTarget, type: string): number {
  const now = getEventListeners(target, type)

  return (listeners.get(target) ?? []).filter(added => added.type === type && now.includes(added.listener)).length
}

/**
 * Where in the source of this package the call comes from, if it does
 */
function ours (): string | undefined {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 12
  const stack = new Error().stack ?? ''
  Error.stackTraceLimit = stackTraceLimit

  const caller = stack.split('\n').slice(1).find(line => !PASSED_THROUGH.test(line))

  return caller?.includes(SOURCE) === true ? caller.trim() : undefined
}

function replace (object: any, name: string, make: (original: any) => any): void {
  const original = object[name]
  object[name] = Object.assign(make(original), original)
  undo.push(() => { object[name] = original })
}
