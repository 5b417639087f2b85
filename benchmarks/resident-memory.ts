/**
 * @file How much memory a process holds that is at rest.
 */

import { setTimeout as delay } from 'node:timers/promises'

/**
 * What is still resident when no garbage is left to collect: the least of a few
 * readings. Needs `--expose-gc`.
 */
export async function residentMemory (readings: number, interval: number): Promise<number> {
  let least = Infinity

  for (let i = 0; i < readings; i++) {
    globalThis.gc?.()
    await delay(interval)
    least = Math.min(least, process.memoryUsage.rss())
  }

  return least
}
