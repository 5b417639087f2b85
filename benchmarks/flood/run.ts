/**
 * @file One run: a node in one mode, two honest clients and an attacker, all in
 * processes of their own, and the attacks one after the other.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { Child } from '../children.ts'
import { ATTACKS } from './plan.ts'
import type { ChildOptions, FromChild, Pages, Request, Sample, ToChild } from './messages.ts'
import type { Attack, Mode, Plan } from './plan.ts'

/** Kept free at the end of a run for the answers that are under way, in milliseconds */
const END_TIME = 500

const FILES: Record<ChildOptions['role'], string> = {
  node: 'node.ts',
  steady: 'honest.ts',
  reconnect: 'honest.ts',
  attacker: 'attacker.ts'
}

export interface AttackResult {
  attack: Attack
  /** As `Date.now()` has it */
  from: number
  to: number
  /** Connections or streams that the attacker tried */
  tried: number
}

export interface RunResult {
  mode: Mode
  milliseconds: number
  idleRss: number
  /** The last that was heard of the node */
  sample: Sample
  attacks: AttackResult[]
  requests: Request[]
  reconnects: Request[]
  /** Why the run is not complete, undefined if it is */
  failure?: string
}

/**
 * What is known while a run is going on
 */
export interface Progress {
  mode: Mode
  milliseconds: number
  attack?: Attack
  idleRss: number
  sample?: Sample
  requests: Request[]
}

export interface RunOptions {
  mode: Mode
  plan: Plan
  /** When it must be over, as `performance.now()` has it */
  deadline: number
  /** The node shows itself */
  onPages(pages: Pages): void
  onProgress(progress: Progress): void
  onAttackOver(progress: Progress, result: AttackResult): void
}

export async function run ({ mode, plan, deadline, onPages, onProgress, onAttackOver }: RunOptions): Promise<RunResult> {
  const start = performance.now()
  const progress: Progress = { mode, milliseconds: 0, idleRss: 0, requests: [] }
  const reconnects: Request[] = []
  const attacks: AttackResult[] = []
  let failure: string | undefined

  const [node, steady, reconnect, attacker] = (['node', 'steady', 'reconnect', 'attacker'] as const)
    .map(role => startChild({ role, mode, plan }))
  const children = [node, steady, reconnect, attacker]

  for (const child of children) {
    child.onMessage(message => {
      if (message.type === 'sample') {
        progress.sample = message
      } else if (message.type === 'request') {
        (message.role === 'steady' ? progress.requests : reconnects).push(message)
      }
    })
  }

  const timer = setInterval(() => {
    progress.milliseconds = performance.now() - start
    onProgress(progress)
  }, 250)

  try {
    await introduce(node, [steady, reconnect, attacker], onPages)

    node.send({ type: 'idle' })
    progress.idleRss = (await node.answer('idle')).rss

    steady.send({ type: 'start' })
    reconnect.send({ type: 'start' })
    await delay(plan.calm)

    for (const attack of ATTACKS) {
      const result: AttackResult = { attack, from: Date.now(), to: 0, tried: 0 }
      attacks.push(result)
      progress.attack = attack
      attacker.send({ type: 'attack', attack })
      await Promise.race([delay(attackTime(plan, attack, deadline)), ...children.map(async child => child.exited)])
      attacker.send({ type: 'halt' })
      result.tried = (await attacker.answer('halted')).tried
      await delay(plan.pause)
      result.to = Date.now()
      onAttackOver(progress, result)

      const dead = children.find(child => !child.alive)

      if (dead != null) {
        throw new Error(dead.obituary)
      }
    }

    progress.attack = undefined
    steady.send({ type: 'finish' })
    reconnect.send({ type: 'finish' })
    await Promise.all([steady.answer('finished'), reconnect.answer('finished')])
    node.send({ type: 'finish' })
    await node.answer('finished')
  } catch (err: any) {
    failure = node.alive ? err.message : node.obituary
  } finally {
    clearInterval(timer)
    await Promise.all(children.map(async child => child.kill()))
  }

  const begin = attacks[0]?.from ?? Infinity

  return {
    mode,
    milliseconds: performance.now() - start,
    idleRss: progress.idleRss,
    sample: progress.sample ?? { type: 'sample', rss: 0, mostRss: 0, connections: 0, streams: 0, unread: 0, mostUnread: 0, scopes: [], excesses: [] },
    attacks,
    requests: progress.requests.filter(request => request.at >= begin),
    reconnects: reconnects.filter(request => request.at >= begin),
    failure
  }
}

/**
 * What is planned, or its share of the time that is left if that is less
 */
function attackTime (plan: Plan, attack: Attack, deadline: number): number {
  const left = ATTACKS.slice(ATTACKS.indexOf(attack))
  const planned = left.reduce((sum, attack) => sum + plan.attacks[attack], 0)
  const available = deadline - performance.now() - left.length * plan.pause - END_TIME

  return plan.attacks[attack] * Math.min(1, Math.max(0, available / planned))
}

/**
 * Tells the clients and the attacker where the node listens, when all are ready
 */
export async function introduce (node: ReturnType<typeof startChild>, others: Array<ReturnType<typeof startChild>>, onPages: (pages: Pages) => void): Promise<void> {
  const { address = '', pages } = await node.answer('ready')

  if (pages != null) {
    onPages(pages)
  }

  await Promise.all(others.map(async child => {
    child.send({ type: 'target', address })
    await child.answer('ready')
  }))
}

export function startChild (options: ChildOptions): Child<ToChild, FromChild> {
  const { role } = options

  return new Child({
    role,
    file: new URL(FILES[role], import.meta.url),
    options,
    // lets the node collect garbage before it is measured idle
    execArgv: role === 'node' ? ['--expose-gc'] : []
  })
}
