import { expect } from 'aegir/chai'
import { formatEvents } from '../../../src/observe/trace/format.ts'
import { replay } from '../../../src/observe/trace/replay.ts'
import { stateEvents } from '../../../src/observe/trace/state-events.ts'
import { TraceReplay } from '../../../src/observe/trace/trace-replay.ts'
import goTrace from '../../fixtures/go-trace.json' with { type: 'json' }
import { randomTrace } from '../../fixtures/random-trace.ts'
import { PEER, TRACE_CASES, traceEvent } from '../../fixtures/trace-vectors.ts'
import { nonZero } from '../../fixtures/vectors-scenarios.ts'
import type { ScopeStat } from '../../../src/index.ts'
import type { TraceEvent } from '../../../src/observe/trace/event.ts'
import type { Replay } from '../../../src/observe/trace/replay-state.ts'

type Edit = (events: TraceEvent[]) => TraceEvent[]

/**
 * What is left at the end of each case, but for scopes that hold nothing
 */
const LEFT: Record<string, Record<string, Partial<ScopeStat>>> = {
  'trace-conn': {},
  'trace-conn-refused-by-system': {
    system: { inboundConnections: 1, fileDescriptors: 1 },
    transient: { inboundConnections: 1, fileDescriptors: 1 },
    'conn-1': { inboundConnections: 1, fileDescriptors: 1 }
  },
  'trace-conn-refused-by-itself': {},
  'trace-set-peer-refused': {
    system: { inboundConnections: 1, fileDescriptors: 1, memory: 10 },
    transient: { inboundConnections: 1, fileDescriptors: 1, memory: 10 },
    'conn-1': { inboundConnections: 1, fileDescriptors: 1, memory: 10 }
  },
  'trace-stream-stages': {},
  'trace-spans': {},
  'trace-allowlist': {},
  'trace-views-and-gc': {
    system: { memory: 5 },
    'service:svc': { memory: 5 }
  }
}

/**
 * What is left open in the trace of go
 */
const GO_SYSTEM = { inboundStreams: 2, outboundStreams: 2, inboundConnections: 2, outboundConnections: 1, fileDescriptors: 2, memory: 3175 }

function held ({ scopes }: Replay): Record<string, Partial<ScopeStat>> {
  return nonZero([...scopes.values()].map(scope => [scope.name, statOf(scope)]))
}

function statOf ({ inboundStreams, outboundStreams, inboundConnections, outboundConnections, fileDescriptors, memory }: ScopeStat): ScopeStat {
  return { inboundStreams, outboundStreams, inboundConnections, outboundConnections, fileDescriptors, memory }
}

function caseOf (id: string): TraceEvent[] {
  const found = TRACE_CASES.find(c => c.id === id)

  if (found === undefined) {
    throw new Error(`No case ${id}`)
  }

  return found.events
}

async function problemsOf (events: TraceEvent[], edit: Edit = events => events): Promise<string[]> {
  const state = await replay(edit(events.map(event => ({ ...event }))))
  state.check()

  return state.problems.map(({ event, scope, message }) => `${event} ${scope}: ${message}`)
}

/**
 * A connection and a stream that come and go, with memory
 */
const STREAM = caseOf('trace-stream-stages')

describe('trace/replay', () => {
  describe('go', () => {
    for (const { id, events } of TRACE_CASES) {
      it(`finds every total of ${id} right, and nothing else wrong`, async () => {
        const state = await replay(formatEvents(events), {
          onEvent: (event, { scopes }) => {
            const scope = scopes.get(event.name)

            if (scope !== undefined && /memory/.test(event.type)) {
              expect(scope.memory).to.equal(event.memory)
            } else if (scope !== undefined && /stream/.test(event.type)) {
              expect([scope.inboundStreams, scope.outboundStreams]).to.deep.equal([event.streamsIn, event.streamsOut])
            } else if (scope !== undefined && /conn/.test(event.type)) {
              expect([scope.inboundConnections, scope.outboundConnections, scope.fileDescriptors]).to.deep.equal([event.connsIn, event.connsOut, event.fd])
            }
          }
        })

        state.check()
        expect(state.problems).to.deep.equal([])
        expect(state).to.include({ events: events.length, isCut: false, time: events[events.length - 1].time })

        if (LEFT[id] !== undefined) {
          expect(held(state)).to.deep.equal(LEFT[id])
        }
      })
    }

    it('reads a trace that go has compressed, and finds nothing wrong', async () => {
      const bytes = Uint8Array.from(atob(goTrace.gzip), character => character.charCodeAt(0))
      const state = await replay(bytes)

      state.check()
      expect(state.problems).to.deep.equal([])
      expect(state.isCut).to.be.false()
      expect(state.blocked.get('stream')).to.deep.equal({ memory: 24, streams: 0, connections: 0 })
      expect(held(state).system).to.deep.equal(GO_SYSTEM)
      expect(state.scopes.get('system')?.limit).to.include({ inboundConnections: 128, memory: 1_207_959_552 })

      const cut = await replay(bytes.subarray(0, -100))
      expect(cut.isCut).to.be.true()
      expect(cut.events).to.be.within(1000, state.events)
    })

    it('counts what was refused by what was in the way', async () => {
      const { blocked } = await replay(caseOf('trace-set-peer-refused'))

      expect([...blocked]).to.deep.equal([['peer', { memory: 1, streams: 0, connections: 3 }]])
    })
  })

  describe('real scopes', () => {
    for (let seed = 1; seed <= 40; seed++) {
      it(`are rebuilt, and nothing is wrong (seed ${seed})`, async () => {
        const { events, held } = randomTrace(seed, 400)
        const state = await replay(events)

        state.check()
        expect(state.problems).to.deep.equal([])

        const scopes = [...state.scopes.values()].filter(({ name }) => name in held())
        expect(Object.fromEntries(scopes.map(scope => [scope.name, statOf(scope)]))).to.deep.equal(held())
      })
    }

    it('can be rebuilt from their state alone, and the trace goes on', async function () {
      this.timeout(60_000)

      const { events } = randomTrace(7, 600)
      const whole = held(await replay(events))

      // also in the midst of an operation
      for (let at = 1; at < events.length; at += 3) {
        const before = new TraceReplay()
        events.slice(0, at).forEach(event => { before.push(event) })

        const state = [...stateEvents(before, before.time)]
        const restarted = await replay([...state, ...events.slice(at)])

        expect(restarted.problems, `at ${at}`).to.deep.equal([])
        expect(held(restarted)).to.deep.equal(whole)
      }
    })
  })

  it('stops at a moment', async () => {
    const at = STREAM[STREAM.length - 14].time
    const state = await replay(STREAM, { until: at })

    expect(state).to.include({ time: at, events: STREAM.length - 13 })
    expect(held(state)['stream-1']).to.deep.equal({ inboundStreams: 1, memory: 57 })
    expect(held(state).system).to.deep.equal({ inboundStreams: 1, memory: 57 })
  })

  it('knows limits, of scopes and of all', async () => {
    const limit = { streams: 1, inboundStreams: 2, outboundStreams: 3, connections: 4, inboundConnections: 5, outboundConnections: 6, fileDescriptors: Infinity, memory: 2n ** 60n + 1n }
    const state = await replay([traceEvent('start', '', { limit: { System: limit } }), traceEvent('create_scope', 'system', { limit })])

    expect(state.limits).to.deep.equal({ System: limit })
    expect(state.scopes.get('system')?.limit).to.deep.equal(limit)
    expect(state.scopes.get('system')?.class).to.equal('system')
  })

  it('begins anew with every start', async () => {
    const state = await replay([...STREAM.slice(0, 20), ...caseOf('trace-views-and-gc')])

    expect(state.problems).to.deep.equal([])
    expect(held(state)).to.deep.equal(LEFT['trace-views-and-gc'])
  })

  it('says where a trace cannot be read', async () => {
    const text = formatEvents(STREAM).replace('"Type":"create_scope"', '"Type":"make_scope"')

    await expect(replay(text)).to.eventually.be.rejected().with.property('message').that.matches(/^The trace is not readable at line 2: Type is "make_scope", allowed is one of start, /)
    await expect(replay('nonsense')).to.eventually.be.rejected().with.property('name', 'TraceSyntaxError')
    await expect(replay('{"Time":"2024-01-29T12:00:00Z"}')).to.eventually.be.rejected().with.property('line', 1)
    await expect(replay(new Uint8Array([0x7b, 0xff, 0xfe, 0x0a]))).to.eventually.be.rejected().with.property('message', 'The trace is not readable at line 1: it is neither gzip nor UTF-8')
  })

  it('does not read lines without end, however they come', async () => {
    const piece = new TextEncoder().encode('a'.repeat(64 * 1024))
    let pieces = 0

    async function * endless (): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode(formatEvents(STREAM))

      for (;;) {
        pieces++
        yield piece
      }
    }

    const expected = { name: 'TraceSyntaxError', line: STREAM.length + 1, message: `The trace is not readable at line ${STREAM.length + 1}: it is longer than 4194304 characters` }
    await expect(replay(endless())).to.eventually.be.rejected().and.include(expected)
    expect(pieces).to.equal(65)
    await expect(replay(`${formatEvents(STREAM)}${'a'.repeat(2 ** 22 + 1)}\n`)).to.eventually.be.rejected().and.include(expected)

    // 64 MiB in a few bytes
    const bomb = new Blob(Array.from({ length: 1024 }, () => piece)).stream().pipeThrough(new CompressionStream('gzip'))
    await expect(replay(bomb)).to.eventually.be.rejected().with.property('message').that.include('longer than')
  })

  it('reads no number longer than any that a trace has', async () => {
    const text = formatEvents(STREAM).replace(/"Memory":\d+/, `"Memory":${'9'.repeat(1_000_000)}`)

    await expect(replay(text)).to.eventually.be.rejected().with.property('message').that.matches(/Memory is "9{79}…, allowed is an integer$/)
  })

  it('reads text up to where it was cut', async () => {
    const text = formatEvents(STREAM)
    const state = await replay(text.slice(0, -20))

    expect(state).to.include({ isCut: true, events: STREAM.length - 1 })
    expect(state.problems).to.deep.equal([])
  })

  it('hands on what its source throws, and lets go of it', async () => {
    let returned = false

    async function * source (): AsyncGenerator<Uint8Array> {
      try {
        yield new TextEncoder().encode(formatEvents(STREAM))
        throw new TypeError('Gone')
      } finally {
        returned = true
      }
    }

    await expect(replay(source())).to.eventually.be.rejectedWith('Gone')
    expect(returned).to.be.true()

    returned = false
    await replay(source(), { until: STREAM[3].time })
    expect(returned).to.be.true()
  })

  describe('finds', () => {
    it('a total that does not follow from what came before, once each', async () => {
      expect(await problemsOf(STREAM, events => {
        events[8].streamsIn = 2

        return events
      })).to.deep.equal([
        '9 transient: inboundStreams is 2 after add_stream, 0 before and a change of 1 make 1',
        '23 transient: inboundStreams is 0 after remove_stream, 2 before and a change of -1 make 1'
      ])
    })

    it('a total that an event is not about', async () => {
      expect(await problemsOf(STREAM, events => {
        events[8].fd = 2

        return events
      })).to.deep.equal(['9 transient: fileDescriptors is 2, but add_stream is not about it'])
    })

    it('totals below zero', async () => {
      expect(await problemsOf([
        traceEvent('start', ''),
        traceEvent('create_scope', 'system'),
        traceEvent('release_memory', 'system', { delta: -1, memory: -1 })
      ])).to.include('3 system: memory is -1 after release_memory')
    })

    it('a sign that makes no sense', async () => {
      expect(await problemsOf([
        traceEvent('start', ''),
        traceEvent('create_scope', 'system'),
        traceEvent('reserve_memory', 'system', { delta: 5, memory: 5 }),
        traceEvent('reserve_memory', 'system', { delta: -1, memory: 4 })
      ])).to.deep.equal(['4 system: delta is -1 in reserve_memory'])
    })

    it('scopes that were not made, are made twice, have ended, end while something is in them', async () => {
      expect(await problemsOf([
        traceEvent('start', ''),
        traceEvent('create_scope', 'system'),
        traceEvent('create_scope', 'system'),
        traceEvent('reserve_memory', 'system', { delta: 5, memory: 5 }),
        traceEvent('reserve_memory', 'service:a', { delta: 5, memory: 5 }),
        traceEvent('destroy_scope', 'service:a'),
        traceEvent('destroy_scope', 'service:a'),
        traceEvent('block_reserve_memory', 'service:a', { delta: 5 })
      ])).to.deep.equal([
        '3 system: is made, but there is one already',
        '5 service:a: has reserve_memory, but is not live',
        '6 service:a: ends, but still holds something',
        '7 service:a: ends, but is not live',
        '8 service:a: has block_reserve_memory, but is not live'
      ])
    })

    it('a beginning that is missing', async () => {
      expect(await problemsOf(STREAM.slice(1))).to.deep.equal(['1 system: the trace does not begin with start'])
    })

    it('a stream that ends and is not taken from a scope above', async () => {
      const end = STREAM.length
      const edit = (type: string, name: string): Edit => events => events.filter((event, i) => i < end - 13 || event.type !== type || event.name !== name)

      expect(await problemsOf(STREAM, edit('remove_stream', 'system'))).to.deep.equal([
        `${end - 1} stream-1: inboundStreams: 0 in all connections and streams, 1 in the system scopes`
      ])
      expect(await problemsOf(STREAM, edit('remove_stream', 'protocol:/p/1'))).to.deep.equal([
        `${end - 1} stream-1: inboundStreams: 0 in all streams, 1 in the transient scopes and all protocols`,
        `${end - 1} stream-1: inboundStreams: 0 in all peers within protocols, 1 in all protocols`
      ])
      expect(await problemsOf(STREAM, edit('release_memory', 'system'))).to.deep.equal([
        `${end - 1} stream-1: the memory of a connection or stream has changed by -57 bytes, that of no system scope has`
      ])
      expect(await problemsOf(STREAM, edit('release_memory', `protocol:/p/1.peer:${PEER}`))).to.deep.equal([
        `${end - 1} stream-1: memory: 57 in all peers within protocols, 0 in all protocols`
      ])
    })

    it('more in spans than in their owner', async () => {
      expect(await problemsOf([
        traceEvent('start', ''),
        traceEvent('create_scope', 'system'),
        traceEvent('reserve_memory', 'system', { delta: 5, memory: 5 }),
        traceEvent('create_scope', 'system.span-1'),
        traceEvent('reserve_memory', 'system.span-1', { delta: 5, memory: 5 }),
        traceEvent('reserve_memory', 'system.span-1', { delta: 5, memory: 10 })
      ])).to.deep.equal(['6 system.span-1: memory: 10 in the spans of system, 5 in itself'])
    })

    it('no more than it can hold of them, and counts the others', async () => {
      const state = await replay(Array.from({ length: 5_000 }, () => traceEvent('destroy_scope', 'peer:a')))

      expect(state.problems).to.have.lengthOf(1_000)
      expect(state.problemCount).to.equal(5_001)
    })
  })

  it('does not compare what scopes hold together where operations run at the same time', async () => {
    // two streams that open at the same time, as threads of go do
    const opening = (peer: string, stream: string): TraceEvent[] => [
      traceEvent('create_scope', `peer:${peer}`),
      traceEvent('create_scope', stream),
      traceEvent('add_stream', `peer:${peer}`, { deltaIn: 1, streamsIn: 1 })
    ]
    const events = [
      ...STREAM.slice(0, 5),
      ...opening('a', 'stream-1'),
      ...opening('b', 'stream-2'),
      traceEvent('add_stream', 'transient', { deltaIn: 1, streamsIn: 1 }),
      traceEvent('add_stream', 'transient', { deltaIn: 1, streamsIn: 2 }),
      traceEvent('add_stream', 'system', { deltaIn: 1, streamsIn: 1 }),
      traceEvent('add_stream', 'stream-1', { deltaIn: 1, streamsIn: 1 }),
      traceEvent('add_stream', 'system', { deltaIn: 1, streamsIn: 2 }),
      traceEvent('add_stream', 'stream-2', { deltaIn: 1, streamsIn: 1 })
    ]

    expect(await problemsOf(events)).to.not.be.empty()
    expect((await replay(events, { concurrent: true })).problems).to.deep.equal([])
  })
})
