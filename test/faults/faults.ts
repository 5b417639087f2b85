/**
 * @file The kinds of faults, what each does at a step, and what comes of it.
 */

import pWaitFor from 'p-wait-for'
import { leftovers } from './leftovers.ts'
import type { Pair, Side, Stage } from './pair.ts'
import type { Step } from './tracer.ts'

export const KINDS = ['throws', 'throws late', 'abort', 'reset', 'silence', 'stop'] as const
export type Kind = typeof KINDS[number]

export interface Outcome {
  /** Whether the step was reached */
  hit: boolean
  /** What the application was at when it failed */
  stage: Stage
  /** What should not be there any more */
  left: string[]
}

type Strike = (call: () => any, step: Step, pair: Pair, side: Side) => any

const STRIKES: Record<Kind, Strike> = {
  throws: (call, { returns }) => {
    const err = new Error('Thrown on purpose')

    if (returns === 'promise') {
      return Promise.reject(err)
    }

    throw err
  },

  // it has done its work, and nobody gets what came of it
  'throws late': async call => {
    await call()

    throw new Error('Thrown on purpose')
  },

  abort: (call, step, pair, side) => {
    const result = call()
    const controller = side === 'dialer' ? pair.controller : pair.listener.accepting
    controller.abort()

    return result
  },

  reset: (call, { returns }, pair, side) => {
    pair.wire?.cut()

    // the connection is gone before the step begins
    return returns === 'promise' ? untilGone(pair, side).then(call) : call()
  },

  silence: (call, step, pair) => {
    pair.wire?.silence()

    return call()
  },

  stop: (call, step, pair, side) => {
    const result = call()
    pair.stopping.push(Promise.resolve(pair[side].node.stop()))

    return result
  }
}

/**
 * Has the two nodes do what they do, makes a step fail, and looks at what is left
 */
export async function runCase (pair: Pair, side: Side, step: Step, kind: Kind): Promise<Outcome> {
  await pair.start()

  const { tracer } = pair[side]
  let hit = false

  tracer.arm(step.name, call => {
    hit = true

    return STRIKES[kind](call, step, pair, side)
  })

  const stage = await pair.run(kind === 'silence')
  const left = await leftovers(pair)
  await Promise.all(pair.stopping)
  pair.forget()

  return { hit, stage, left }
}

/**
 * Not for ever: that the remote is gone may show only when something is sent
 */
async function untilGone (pair: Pair, side: Side): Promise<void> {
  const { maConns } = pair[side]

  await pWaitFor(() => maConns.every(({ status }) => status !== 'open'), { interval: 5, timeout: 250 }).catch(() => {})
}
