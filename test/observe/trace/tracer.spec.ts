import { expect } from 'aegir/chai'
import Sinon from 'sinon'
import { ScopeRegistry } from '../../../src/core/scope-registry.ts'
import { ScopeEnvironment } from '../../../src/core/scope.ts'
import { scaleLimits } from '../../../src/index.ts'
import { LimitTable } from '../../../src/limits/limits.ts'
import { Tracer } from '../../../src/observe/trace/tracer.ts'
import { PEER } from '../../fixtures/peers.ts'
import type { TraceEvent } from '../../../src/index.ts'

describe('a tracer', () => {
  let events: TraceEvent[]
  let registry: ScopeRegistry

  function trace (): void {
    events = []
    const tracer = new Tracer(event => { events.push(event) })
    registry = new ScopeRegistry(new ScopeEnvironment({}, tracer), new LimitTable(scaleLimits({ memory: 2 ** 30, fileDescriptors: 0 })))
  }

  beforeEach(trace)

  function since (count: number): Array<Partial<TraceEvent>> {
    return events.slice(count).map(({ type, name, delta, deltaIn, memory, streamsIn }) => ({ type, name, delta, deltaIn, memory, streamsIn }))
  }

  it('takes everything from a scope that gets another name, and gives it to the other', () => {
    const stream = registry.openStream(PEER, 'inbound')
    stream.setProtocol('/p/1')
    stream.setService('old')
    stream.reserveMemory(10)
    const count = events.length
    registry.renameService('old', 'new')

    const renamed = (suffix: string): unknown[] => [
      { type: 'release_memory', name: `service:old${suffix}`, delta: -10, deltaIn: 0, memory: 0, streamsIn: 0 },
      { type: 'remove_stream', name: `service:old${suffix}`, delta: 0, deltaIn: -1, memory: 0, streamsIn: 0 },
      { type: 'destroy_scope', name: `service:old${suffix}`, delta: 0, deltaIn: 0, memory: 0, streamsIn: 0 },
      { type: 'create_scope', name: `service:new${suffix}`, delta: 0, deltaIn: 0, memory: 0, streamsIn: 0 },
      { type: 'reserve_memory', name: `service:new${suffix}`, delta: 10, deltaIn: 0, memory: 10, streamsIn: 0 },
      { type: 'add_stream', name: `service:new${suffix}`, delta: 0, deltaIn: 1, memory: 0, streamsIn: 1 }
    ]

    expect(since(count)).to.deep.equal([...renamed(''), ...renamed(`.peer:${PEER}`)])

    stream.releaseMemory(10)
    expect(events.at(-5)).to.include({ type: 'release_memory', name: `service:new.peer:${PEER}`, memory: 0 })
  })

  it('has the time of the system after the machine has slept, and never goes back', () => {
    const clock = Sinon.useFakeTimers({ now: Date.now() })
    const timeOf = (): number => {
      clock.tick(2_000)
      registry.openConnection('inbound', false).done()

      return events.at(-1)?.time ?? NaN
    }

    try {
      // its clock is not that of before
      trace()
      expect(timeOf()).to.be.closeTo(Date.now(), 1_000)

      clock.setSystemTime(Date.now() + 3_600_000)
      const after = timeOf()
      expect(after).to.be.closeTo(Date.now(), 1_000)

      clock.setSystemTime(Date.now() - 7_200_000)
      expect(timeOf()).to.be.closeTo(after + 2_000, 1)
    } finally {
      clock.restore()
    }
  })

  it('never tells of -0', () => {
    const connection = registry.openConnection('inbound', false)
    connection.setPeer(PEER)
    connection.done()

    for (const { delta, deltaIn, deltaOut } of events) {
      expect([delta, deltaIn, deltaOut].some(count => Object.is(count, -0))).to.be.false()
    }
  })
})
