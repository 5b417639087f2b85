import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { replay } from '../../../src/observe/trace/replay.ts'
import { randomTrace } from '../../fixtures/random-trace.ts'
import type { TraceEvent } from '../../../src/observe/trace/event.ts'

const TOTALS = ['memory', 'streamsIn', 'streamsOut', 'connsIn', 'connsOut', 'fd'] as const
const DELTAS = ['delta', 'deltaIn', 'deltaOut'] as const

const seed = fc.nat()
const where = fc.nat()
const by = fc.oneof(fc.constantFrom(1, -1), fc.integer({ min: -10_000, max: 10_000 }).filter(by => by !== 0))

/**
 * The first problem is where something was changed
 */
async function firstProblem (events: TraceEvent[]): Promise<number | undefined> {
  const state = await replay(events)
  state.check()

  return state.problems[0]?.event
}

function changeable (events: TraceEvent[], at: number, matches: (event: TraceEvent) => boolean): number {
  const indices = events.map((event, i) => matches(event) ? i : -1).filter(i => i > 4)

  return indices[at % indices.length]
}

describe('trace/replay of traces that are wrong', () => {
  it('finds any total that was changed, at the very event', async () => {
    await fc.assert(fc.asyncProperty(seed, where, fc.constantFrom(...TOTALS), by, async (seed, at, field, by) => {
      const { events } = randomTrace(seed, 100)
      const i = changeable(events, at, () => true)
      events[i][field] += by

      expect(await firstProblem(events)).to.equal(i + 1)
    }), { numRuns: 300 })
  })

  it('finds any change that was changed, at the very event', async () => {
    await fc.assert(fc.asyncProperty(seed, where, fc.constantFrom(...DELTAS), by, async (seed, at, field, by) => {
      const { events } = randomTrace(seed, 100)
      // what was asked for and refused changes nothing
      const i = changeable(events, at, ({ type }) => !type.startsWith('block'))
      events[i][field] += by

      expect(await firstProblem(events)).to.equal(i + 1)
    }), { numRuns: 300 })
  })

  it('finds that a connection or stream was not taken from a scope above, or not added to it, although no total of it is told again', async () => {
    await fc.assert(fc.asyncProperty(seed, where, async (seed, at) => {
      const { events } = randomTrace(seed, 200)
      const i = changeable(events, at, ({ type, name }) => /^(add|remove)_(stream|conn)$/.test(type) && !/^(conn|stream)-/.test(name))
      const { name, type } = events[i]
      const kept = events.filter((_, j) => j !== i)

      // as if it never happened: all that follows in this scope fits
      for (let j = i; j < kept.length && !(kept[j].name === name && kept[j].type.endsWith('_scope')); j++) {
        if (kept[j].name === name && kept[j].type.endsWith(type.slice(type.lastIndexOf('_')))) {
          const { streamsIn, streamsOut, connsIn, connsOut, fd } = kept[j]
          kept[j] = {
            ...kept[j],
            streamsIn: type.endsWith('stream') ? streamsIn - events[i].deltaIn : streamsIn,
            streamsOut: type.endsWith('stream') ? streamsOut - events[i].deltaOut : streamsOut,
            connsIn: type.endsWith('conn') ? connsIn - events[i].deltaIn : connsIn,
            connsOut: type.endsWith('conn') ? connsOut - events[i].deltaOut : connsOut,
            fd: type.endsWith('conn') ? fd - events[i].delta : fd
          }
        }
      }

      const state = await replay(kept)
      state.check()
      expect(state.problems, `${type} ${name} at ${i}`).to.not.be.empty()
    }), { numRuns: 200 })
  })

  it('finds memory that a system scope does not get back', async () => {
    await fc.assert(fc.asyncProperty(seed, where, async (seed, at) => {
      const { events } = randomTrace(seed, 300)
      const first = events.findIndex(({ type, name }) => type === 'release_memory' && name === 'system')
      const i = changeable(events, at, event => {
        const next = events[events.indexOf(event) + 1]

        // of a connection or stream, which comes next; a trace may begin in the midst of the first such operation
        return events.indexOf(event) > first && event.type === 'release_memory' && event.name === 'system' && /^(conn|stream)-\d+$/.test(next?.name ?? '') && next.type === 'release_memory'
      })

      if (i === undefined) {
        return
      }

      const lost = events[i].delta
      const kept = events
        .map((event, j) => j > i && event.name === 'system' && event.type.endsWith('memory') ? { ...event, memory: event.memory - lost } : event)
        .filter((_, j) => j !== i)

      expect(await firstProblem(kept)).to.be.at.least(i + 1)
    }), { numRuns: 200 })
  })
})
