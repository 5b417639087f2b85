/**
 * @file Child processes: started here, and ended here whatever happens.
 */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ChildProcess } from 'node:child_process'

/** For a process to answer that has nothing to wait for, in milliseconds */
const ANSWER_TIMEOUT = 15_000

const running = new Set<ChildProcess>()

/**
 * Without waiting, for the last moment of this process
 */
export function killAll (): void {
  for (const child of running) {
    child.kill('SIGKILL')
  }
}

export interface ChildInit {
  /** What it is called when it dies */
  role: string
  file: URL
  /** What it is handed over */
  options: unknown
  /** In addition to the arguments of this process */
  execArgv?: string[]
}

interface Message {
  type: string
}

export type Answer<M extends Message, T extends M['type']> = Extract<M, { type: T }>

export class Child<ToChild, FromChild extends Message> {
  readonly role: string
  readonly exited: Promise<void>
  alive = true

  /** The last that it wrote to stderr */
  complaint = ''

  private readonly process: ChildProcess
  private readonly listeners = new Set<(message: FromChild) => void>()

  constructor ({ role, file, options, execArgv = [] }: ChildInit) {
    this.role = role
    this.process = fork(fileURLToPath(file), [JSON.stringify(options)], {
      execPath: process.execPath,
      execArgv: [...process.execArgv, ...execArgv],
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
      this.process.send(message as object, () => {})
    }
  }

  onMessage (listener: (message: FromChild) => void): void {
    this.listeners.add(listener)
  }

  /**
   * The next message of a type
   *
   * @throws {Error} if the process ends or takes longer than this many milliseconds
   */
  async answer<T extends FromChild['type']> (type: T, timeout: number = ANSWER_TIMEOUT): Promise<Answer<FromChild, T>> {
    const message = await this.next(type, timeout)

    if (message == null) {
      throw new Error(this.alive ? `The ${this.role} process did not answer in ${timeout / 1000} s` : this.obituary)
    }

    return message
  }

  get obituary (): string {
    return `The ${this.role} process died. ${this.complaint.trim()}`.trim()
  }

  async kill (): Promise<void> {
    this.process.kill('SIGKILL')
    await this.exited
  }

  /**
   * Undefined if there is none
   */
  private async next<T extends FromChild['type']> (type: T, timeout: number): Promise<Answer<FromChild, T> | undefined> {
    if (!this.alive) {
      return
    }

    const answer = Promise.withResolvers<Answer<FromChild, T> | undefined>()
    const listener = (message: FromChild): void => {
      if (message.type === type) {
        answer.resolve(message as Answer<FromChild, T>)
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
}
