/**
 * @file Records the steps of nodes that are set up in different ways, and runs
 * all faults at all of them.
 */

import { generateKey, preSharedKey } from '@libp2p/pnet'
import { yamux } from '@libp2p/yamux'
import { eventually } from '../fixtures/nodes.ts'
import { KINDS, runCase } from './faults.ts'
import { Pair, SIDES } from './pair.ts'
import { reasonAgainst } from './steps.ts'
import type { Kind, Outcome } from './faults.ts'
import type { PairInit, Side } from './pair.ts'
import type { Step } from './tracer.ts'

const psk = new Uint8Array(95)
generateKey(psk)

/**
 * Between them they take every way through an upgrade
 */
export const SETUPS: Record<string, PairInit> = {
  // js-libp2p never stops the timer of a muxer whose connection is gone before it
  // is made, which would look like something of ours that is left
  'TCP, noise with early negotiation, yamux': { transport: 'tcp', encrypter: 'noise', options: { streamMuxers: [yamux({ enableKeepAlive: false })] } },
  'TCP in a private network, plaintext, mplex': { transport: 'tcp', encrypter: 'plaintext', muxer: 'mplex', options: { connectionProtector: preSharedKey({ psk }) } },
  'memory, TLS, yamux': { transport: 'memory', encrypter: 'tls', muxer: 'yamux' },
  'a transport that asks first, TLS, yamux': { transport: 'memory', encrypter: 'tls', muxer: 'yamux', asksFirst: true }
}

export interface Recorded {
  side: Side
  step: Step
}

export interface Case extends Recorded {
  kind: Kind
}

/** How long nodes wait that should not have to, in milliseconds */
const PATIENCE = 5_000

/**
 * How long they wait for a remote that is silent. A machine that is busy may need
 * longer to get so far.
 */
const SHORT = [250, 1_000, 5_000]

/** How many wait for a silent remote at a time */
const WAITING = 4

/** After so many cases that left something no more are tried: each costs time */
const ENOUGH = 10

/**
 * All steps of one run without any fault
 */
export async function recordSteps (init: PairInit, managed: boolean = true): Promise<Recorded[]> {
  const pair = await Pair.create(init, PATIENCE, managed)
  await pair.start()
  const recorded = SIDES.map(side => ({ side, steps: pair[side].tracer.record() }))
  const stage = await pair.run()

  // the other end may have something to do yet
  await eventually(() => pair.ends.every(({ node, streams }) => node.getConnections().length === 0 && streams.every(({ status }) => status === 'closed')))
  await pair.stop()

  if (stage !== 'end') {
    throw new Error(`Without any fault it failed at ${stage}`)
  }

  return recorded.flatMap(({ side, steps }) => steps.map(step => ({ side, step })))
}

/**
 * All faults that can be at these steps
 */
export function casesOf (init: PairInit, recorded: Recorded[]): Case[] {
  return recorded.flatMap(({ side, step }) => KINDS
    .filter(kind => reasonAgainst(init, side, step, kind) == null)
    .map(kind => ({ side, step, kind })))
}

export function nameOf ({ side, step, kind }: Case): string {
  return `${side}: ${step.name}: ${kind}`
}

/**
 * Runs cases, many at a time
 */
export class Harness {
  private readonly init: PairInit
  private readonly outcomes = new Map<string, PromiseWithResolvers<Outcome>>()
  private readonly pairs: Pair[] = []
  private readonly parts: Array<{ name: string, ref: WeakRef<object> }> = []
  private failed = 0

  constructor (init: PairInit) {
    this.init = init
  }

  /**
   * Runs cases, what comes of each is there as soon as it is done
   */
  async run (cases: Case[]): Promise<void> {
    for (const one of cases) {
      const outcome = Promise.withResolvers<Outcome>()
      // nobody may have asked yet
      outcome.promise.catch(() => {})
      this.outcomes.set(nameOf(one), outcome)
    }

    // each kind of fault has two nodes of its own
    await Promise.all(KINDS.filter(kind => kind !== 'silence').map(async kind => {
      await this.work(cases.filter(one => one.kind === kind))
    }))

    // these do nothing but wait
    const queue = cases.filter(({ kind }) => kind === 'silence')
    await Promise.all(Array.from({ length: WAITING }, async () => { await this.work(queue) }))
  }

  async outcome (one: Case): Promise<Outcome> {
    return this.outcomes.get(nameOf(one))?.promise ?? Promise.reject(new Error('This is no case'))
  }

  /**
   * Connections, streams and their scopes that are still referred to, and in which
   * case they were
   */
  alive (): string[] {
    return this.parts.filter(({ ref }) => ref.deref() != null).map(({ name }) => name)
  }

  async stop (): Promise<void> {
    await Promise.all(this.pairs.splice(0).map(async pair => { await pair.stop() }))
  }

  /**
   * Runs cases one after the other, until there are no more
   */
  private async work (queue: Case[]): Promise<void> {
    // by how long they wait for each other
    const pairs = new Map<number, Pair>()

    for (let one = queue.shift(); one != null; one = queue.shift()) {
      const outcome = this.outcomes.get(nameOf(one))

      try {
        outcome?.resolve(await this.try(one, pairs))
      } catch (err) {
        outcome?.reject(err)
        pairs.clear()
      }
    }
  }

  private async try (one: Case, pairs: Map<number, Pair>, [patience, ...longer] = one.kind === 'silence' ? SHORT : [PATIENCE]): Promise<Outcome> {
    if (this.failed >= ENOUGH) {
      throw new Error(`${this.failed} others have left something`)
    }

    const pair = pairs.get(patience) ?? await this.create(patience)
    pairs.set(patience, pair)

    const outcome = await runCase(pair, one.side, one.step, one.kind)
    this.take(pair, nameOf(one))

    if (outcome.left.length > 0) {
      this.failed++
      // it would be there in the next case too
      pairs.delete(patience)
    }

    return outcome.hit || longer.length === 0 ? outcome : this.try(one, pairs, longer)
  }

  private async create (patience: number): Promise<Pair> {
    const pair = await Pair.create(this.init, patience)
    this.pairs.push(pair)

    return pair
  }

  /**
   * Remembers what a case has made, without holding it
   */
  private take (pair: Pair, name: string): void {
    for (const { parts } of pair.ends) {
      this.parts.push(...parts.splice(0).map(({ label, ref }) => ({ name: `${label} of ${name}`, ref })))
    }
  }
}
