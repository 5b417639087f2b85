/**
 * @file Child processes: started here, and ended here whatever happens.
 */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ChildOptions, FromChild, ToChild } from './messages.ts'
import type { ChildProcess } from 'node:child_process'

const FILES: Record<ChildOptions['role'], string> = {
  node: 'node.ts',
  steady: 'honest.ts',
  reconnect: 'honest.ts',
  attacker: 'attacker.ts'
}

const running = new Set<ChildProcess>()

/**
 * Without waiting, for the last moment of this process
 */
export function killAll (): void {
  for (const child of running) {
    child.kill('SIGKILL')
  }
}

export type Answer<T extends FromChild['type']> = Extract<FromChild, { type: T }>

export class Child {
  readonly role: ChildOptions['role']
  readonly exited: Promise<void>
  alive = true

  /** The last that it wrote to stderr */
  complaint = ''

  private readonly process: ChildProcess
  private readonly listeners = new Set<(message: FromChild) => void>()

  constructor (options: ChildOptions) {
    this.role = options.role
    this.process = fork(fileURLToPath(new URL(FILES[options.role], import.meta.url)), [JSON.stringify(options)], {
      execPath: process.execPath,
      // lets the node collect garbage before it is measured idle
      execArgv: options.role === 'node' ? [...process.execArgv, '--expose-gc'] : process.execArgv,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc']
    })
    running.add(this.process)

    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.complaint = (this.complaint + text).slice(-4096)
    })
    this.process.on('message', message => {
      for (const listener of this.listeners) {
        listener(message as FromChild)
      }
    })
    // it is gone, or going, and `exited` tells
    this.process.on('error', () => {})

    this.exited = new Promise(resolve => {
      this.process.once('exit', () => {
        this.alive = false
        running.delete(this.process)
        resolve()
      })
    })
  }

  send (message: ToChild): void {
    if (this.alive && this.process.connected) {
      this.process.send(message, () => {})
    }
  }

  onMessage (listener: (message: FromChild) => void): void {
    this.listeners.add(listener)
  }

  /**
   * The next message of a type, undefined if the process ends or takes longer
   * than this many milliseconds
   */
  async next<T extends FromChild['type']> (type: T, timeout: number): Promise<Answer<T> | undefined> {
    if (!this.alive) {
      return
    }

    const answer = Promise.withResolvers<Answer<T> | undefined>()
    const listener = (message: FromChild): void => {
      if (message.type === type) {
        answer.resolve(message as Answer<T>)
      }
    }
    const timer = setTimeout(() => { answer.resolve(undefined) }, timeout)
    this.listeners.add(listener)

    try {
      return await Promise.race([answer.promise, this.exited.then(() => undefined)])
    } finally {
      clearTimeout(timer)
      this.listeners.delete(listener)
    }
  }

  async kill (): Promise<void> {
    this.process.kill('SIGKILL')
    await this.exited
  }
}
