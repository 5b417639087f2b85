/**
 * @file What a manager does by itself from time to time, between its start and its
 * stop.
 */

import { every } from './core/every.ts'

/**
 * A function and after how many milliseconds it is called again and again
 */
export type Recurring = [interval: number, fn: () => void]

export class Timers {
  private readonly recurring: Recurring[]
  private ends?: Array<() => void>

  constructor (recurring: Recurring[]) {
    this.recurring = recurring
  }

  start (): void {
    this.ends ??= this.recurring.map(([interval, fn]) => every(interval, fn))
  }

  stop (): void {
    this.ends?.forEach(end => { end() })
    this.ends = undefined
  }
}
