/**
 * @file A backstop: accounting is never complete, so the memory that the process
 * really holds is looked at from time to time. Above a mark no new inbound work
 * is let in.
 */

import { refusal } from '../core/errors.ts'
import { every } from '../core/every.ts'
import type { ResourceLimitExceededError } from '../core/errors.ts'

/**
 * How often to look, in milliseconds
 */
const BEAT = 1_000

/**
 * Work is let in again when this part of the mark is left, so that it is not let
 * in and refused in turn
 */
const RESUME_AT = 0.95

export interface ProcessMemoryInit {
  /** Bytes, Infinity switches it off */
  limit: number
  /** How much memory the process holds, in bytes, undefined if that is not known now */
  read(): number | undefined
  /** Called when the mark was passed, one way or the other */
  onChange(): void
}

export class ProcessMemory {
  /** Whether new inbound work is to be refused */
  exceeded = false

  private current = 0
  private stopTimer?: () => void
  private readonly init: ProcessMemoryInit

  constructor (init: ProcessMemoryInit) {
    this.init = init
  }

  get limit (): number {
    return this.init.limit
  }

  start (): void {
    if (this.stopTimer != null || this.limit === Infinity) {
      return
    }

    this.stopTimer = every(BEAT, () => { this.look() })
    this.look()
  }

  /**
   * What nobody looks at any more refuses nothing
   */
  stop (): void {
    this.stopTimer?.()
    this.stopTimer = undefined

    if (this.exceeded) {
      this.exceeded = false
      this.init.onChange()
    }
  }

  look (): void {
    const { limit, read, onChange } = this.init
    const { exceeded } = this

    this.current = read() ?? this.current
    this.exceeded = this.current > (exceeded ? RESUME_AT * limit : limit)

    if (this.exceeded !== exceeded) {
      onChange()
    }
  }

  /**
   * The refusal of an inbound connection or stream, if it is to be refused
   */
  refuseInbound (): ResourceLimitExceededError | undefined {
    if (!this.exceeded) {
      return
    }

    return refusal({
      scope: 'process',
      kind: 'process',
      path: ['process'],
      resource: 'memory',
      direction: 'inbound',
      current: this.current,
      attempted: 0,
      limit: this.limit,
      option: 'maxProcessMemory'
    })
  }
}
