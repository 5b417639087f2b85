/* eslint-disable no-loop-func */

/**
 * @file The events that go-libp2p traces, step by step.
 */

import { expect } from 'aegir/chai'
import Sinon from 'sinon'
import vectors from '../../fixtures/vectors/trace.json' with { type: 'json' }
import { fullName, ScenarioRun } from '../../fixtures/vectors-scenarios.ts'
import type { TraceEvent } from '../../../src/index.ts'
import type { Scenario, Step } from '../../fixtures/vectors-scenarios.ts'
import type { SinonFakeTimers } from 'sinon'

/** What is not zero, as the vectors have it */
type GoEvent = { type: string, scope?: string } & Partial<Record<string, string | number>>

interface TracedStep extends Omit<Step, 'after'> {
  trace?: GoEvent[]
}

interface Case extends Omit<Scenario, 'steps'> {
  traceAtStart: GoEvent[]
  steps: TracedStep[]
}

const cases = vectors.cases as unknown as Case[]

const COUNTS = ['priority', 'delta', 'deltaIn', 'deltaOut', 'memory', 'streamsIn', 'streamsOut', 'connsIn', 'connsOut', 'fd'] as const

/** A scope that is added to and given back within one step */
const OPPOSITES: Record<string, string> = { add_conn: 'remove_conn', add_stream: 'remove_stream', reserve_memory: 'release_memory' }

function goEvent (event: TraceEvent): GoEvent {
  return {
    type: event.type,
    ...(event.name === '' ? {} : { scope: event.name }),
    ...Object.fromEntries(COUNTS.filter(count => event[count] !== 0).map(count => [count, event[count]]))
  }
}

/**
 * In go an operation goes from scope to scope, so that scopes are added to which
 * give it back when a later one refuses, or when a connection only passes through.
 * Here all are asked before any is added to.
 */
function withoutDetours (events: GoEvent[]): GoEvent[] {
  const detours = new Set<GoEvent>()

  for (const event of events) {
    const back = events.find(({ type, scope }) => scope === event.scope && type === OPPOSITES[event.type])

    if (back != null) {
      detours.add(event).add(back)
    }
  }

  return events.filter(event => !detours.has(event))
}

/**
 * What each scope reports, in order. Between scopes go makes a scope in the midst
 * of an operation that it takes part in, here all are there before.
 */
function byScope (events: GoEvent[]): Record<string, GoEvent[]> {
  return Object.groupBy(events, ({ scope = '' }) => scope) as Record<string, GoEvent[]>
}

/**
 * The refusal of a gate before the scopes, of which go traces nothing: every
 * refusal, by whatever gate, is traced (DESIGN 7)
 */
const GATES: Record<string, GoEvent[]> = {
  perIpLimit: [{ type: 'block_add_conn', scope: 'subnet:1.2.3.4/32', deltaIn: 1 }],
  rateLimit: [{ type: 'block_add_conn', scope: 'rate:global', deltaIn: 1 }]
}

describe('the events of a trace', () => {
  let clock: SinonFakeTimers

  beforeEach(() => {
    clock = Sinon.useFakeTimers()
  })

  afterEach(() => {
    clock.restore()
  })

  for (const { id, traceAtStart, steps, ...scenario } of cases) {
    it(`are those of go-libp2p in ${id}`, async () => {
      const written: TraceEvent[] = []
      const run = new ScenarioRun({ id, ...scenario }, { trace: { write: events => { written.push(...events) } } })

      const next = async (): Promise<GoEvent[]> => {
        await clock.tickAsync(1_000)

        return written.splice(0).map(goEvent)
      }

      expect(await next()).to.deep.equal(traceAtStart)

      for (const [i, step] of steps.entries()) {
        const { error } = run.run(step)
        expect(error == null, `step ${i + 1}`).to.equal(step.expect.ok)

        const expected = withoutDetours((step.trace ?? []).map(event => ({ ...event, scope: fullName(event.scope ?? '') })))
        const gate = GATES[step.expect.error ?? ''] ?? []
        expect(byScope(await next()), `step ${i + 1}`).to.deep.equal(byScope([...expected, ...gate]))
      }

      run.manager.close()
    })
  }
})
