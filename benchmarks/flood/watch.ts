/**
 * @file The protected node alone, for somebody who wants to look at it: honest
 * clients are served all the time, and now and then it is attacked a little.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { ATTACKS, QUICK } from './plan.ts'
import { introduce, startChild } from './run.ts'
import type { Pages } from './messages.ts'

/** Between attacks, in milliseconds */
const PAUSE = 8_000

/** Of one attack, in milliseconds */
const ATTACK_TIME = 3_000

export interface WatchOptions {
  /** How long, in milliseconds */
  time: number
  onPages(pages: Pages): void
}

/**
 * @throws {Error} if one of the processes dies
 */
export async function watch ({ time, onPages }: WatchOptions): Promise<void> {
  const end = performance.now() + time
  const [node, steady, reconnect, attacker] = (['node', 'steady', 'reconnect', 'attacker'] as const)
    .map(role => startChild({ role, mode: 'protected', plan: QUICK, watch: true }))
  const children = [node, steady, reconnect, attacker]
  const sleep = async (time: number): Promise<void> => {
    await Promise.race([delay(Math.max(0, Math.min(time, end - performance.now()))), ...children.map(async child => child.exited)])

    const dead = children.find(child => !child.alive)

    if (dead != null) {
      throw new Error(dead.obituary)
    }
  }

  try {
    await introduce(node, [steady, reconnect, attacker], onPages)

    steady.send({ type: 'start' })
    reconnect.send({ type: 'start' })

    for (let i = 0; performance.now() < end; i++) {
      await sleep(PAUSE)
      attacker.send({ type: 'attack', attack: ATTACKS[i % ATTACKS.length] })
      await sleep(ATTACK_TIME)
      attacker.send({ type: 'halt' })
      await attacker.answer('halted')
    }
  } finally {
    await Promise.all(children.map(async child => child.kill()))
  }
}
