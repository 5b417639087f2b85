/**
 * @file The child's end of the line to the process that made it. A child never
 * outlives its parent.
 */

import type { ChildOptions, FromChild, ToChild } from './messages.ts'

/**
 * What the parent handed over, from a child that ends when its parent does
 */
export function childOptions (): ChildOptions {
  if (process.send == null || process.argv[2] == null) {
    process.stderr.write('This file is run by index.ts\n')
    process.exit(2)
  }

  process.on('disconnect', () => { process.exit() })

  // Ctrl-C reaches the whole group, the parent decides what it means
  process.on('SIGINT', () => {})

  if (!process.connected) {
    process.exit()
  }

  return JSON.parse(process.argv[2])
}

export function onMessage (listener: (message: ToChild) => void | Promise<void>): void {
  process.on('message', message => {
    Promise.resolve(listener(message as ToChild)).catch(err => {
      process.stderr.write(`${err.stack}\n`)
      process.exit(1)
    })
  })
}

export function tell (message: FromChild): void {
  if (process.connected) {
    // the parent may be gone a moment before this process hears of it
    process.send?.(message, undefined, undefined, () => {})
  }
}
