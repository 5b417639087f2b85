/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import Sinon from 'sinon'
import { Account, EnforcedLimit } from '../../../src/core/account.ts'
import { createResourceManager } from '../../../src/index.ts'
import { TraceWriter } from '../../../src/observe/trace/trace-writer.ts'
import { keepLog } from '../../fixtures/log.ts'
import { peerOf, scopesOf } from '../../fixtures/vectors-scenarios.ts'
import type { DefaultResourceManager, ScopeStat, TraceEvent, TraceSink } from '../../../src/index.ts'
import type { SinonFakeTimers } from 'sinon'

const BEAT = 1_000

/** So many events wait for a sink at most */
const MOST_WAITING = 65_536

const COUNTS: Array<[keyof TraceEvent, keyof ScopeStat]> = [
  ['memory', 'memory'],
  ['streamsIn', 'inboundStreams'],
  ['streamsOut', 'outboundStreams'],
  ['connsIn', 'inboundConnections'],
  ['connsOut', 'outboundConnections'],
  ['fd', 'fileDescriptors']
]

const KINDS: Record<string, Array<keyof TraceEvent>> = {
  memory: ['memory'],
  stream: ['streamsIn', 'streamsOut'],
  conn: ['connsIn', 'connsOut', 'fd']
}

/**
 * The last totals of each scope that was made and has not ended, since the last
 * start
 */
function lastTotals (events: TraceEvent[]): Record<string, ScopeStat> {
  const scopes = new Map<string, ScopeStat>()

  for (const event of events) {
    if (event.type === 'start') {
      scopes.clear()
    } else if (event.type === 'create_scope') {
      scopes.set(event.name, { inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0, memory: 0 })
    } else if (event.type === 'destroy_scope') {
      scopes.delete(event.name)
    } else {
      const speaksOf = KINDS[event.type.split('_').at(-1) ?? '']

      for (const [total, count] of COUNTS) {
        const stat = scopes.get(event.name)

        if (stat != null && speaksOf.includes(total)) {
          stat[count] = event[total] as number
        }
      }
    }
  }

  return Object.fromEntries(scopes)
}

describe('a trace', () => {
  let clock: SinonFakeTimers
  let manager: DefaultResourceManager
  let written: TraceEvent[]

  function create (sink: TraceSink): DefaultResourceManager {
    manager = createResourceManager({ trace: sink, limits: { peerDefault: { inboundStreams: 2 } } })

    return manager
  }

  /** Something of everything: 3 connections and streams that stay, of which one has a span */
  function use (): void {
    manager.openConnection('inbound', true).setPeer(peerOf('A'))
    manager.openConnection('outbound', false)
    const stream = manager.openStream(peerOf('A'), 'inbound')
    stream.reserveMemory(100)
    stream.setProtocol('/echo/1.0.0')
    stream.setService('echo')
    stream.beginSpan().reserveMemory(50)
    manager.openStream(peerOf('B'), 'outbound').done()
    manager.viewService('echo', scope => { scope.reserveMemory(7) })
  }

  function expectComplete (): void {
    const totals = lastTotals(written)

    for (const [name, stat] of scopesOf(manager)) {
      expect(totals[name], name).to.deep.equal(stat)
    }
  }

  beforeEach(() => {
    clock = Sinon.useFakeTimers()
    written = []
  })

  afterEach(() => {
    manager.close()
    clock.restore()
  })

  it('is written once a second, with all limits first, and tells all there is', async () => {
    create({ write: events => { written.push(...events) } })
    use()
    expect(written).to.be.empty()

    await clock.tickAsync(BEAT)
    expect(written[0]).to.include({ type: 'start', name: '' }).and.to.have.nested.property('limit.peerDefault.inboundStreams', 2)
    expect(written[1]).to.include({ type: 'create_scope', name: 'system' }).and.to.have.property('limit', manager.viewSystem(({ limit }) => limit))
    expectComplete()

    use()
    await clock.tickAsync(BEAT)
    expectComplete()
    expect(written.filter(({ type }) => type === 'start')).to.have.lengthOf(1)
  })

  it('has the time of each event', async () => {
    create({ write: events => { written.push(...events) } })
    await clock.tickAsync(BEAT)
    await clock.tickAsync(500)
    use()
    await clock.tickAsync(BEAT)

    // the clock is not that of the epoch, which was read before there were fake timers
    expect((written.at(-1)?.time ?? 0) - written[0].time).to.be.closeTo(BEAT + 500, 1e-3)
  })

  it('has refusals, by whatever gate', async () => {
    create({ write: events => { written.push(...events) } })
    use()
    manager.openStream(peerOf('A'), 'inbound')
    expect(() => manager.openStream(peerOf('A'), 'inbound')).to.throw().with.property('name', 'ResourceLimitExceededError')
    await clock.tickAsync(BEAT)

    expect(written.filter(({ type }) => type.startsWith('block_'))).to.have.lengthOf(1)
      .and.to.have.nested.property('[0]').that.includes({ type: 'block_add_stream', name: `peer:${peerOf('A').toString()}`, deltaIn: 1, streamsIn: 2 })
    expectComplete()
  })

  it('may use the manager that it is written by', async () => {
    let streams = 0

    create({
      write: events => {
        written.push(...events)

        if (streams++ === 0) {
          manager.openStream(peerOf('C'), 'outbound')
        }
      }
    })
    await clock.tickAsync(2 * BEAT)
    expect(manager.stat().system.outboundStreams).to.equal(1)
    expectComplete()
  })

  for (const [how, fail] of Object.entries<() => void | Promise<void>>({
    throws: () => { throw new Error('Urk!') },
    rejects: async () => { throw new Error('Urk!') }
  })) {
    it(`begins anew when a sink that ${how} works again`, async () => {
      let broken = true

      create({
        write: events => {
          if (broken) {
            return fail()
          }

          written.push(...events)
        }
      })

      use()

      for (let i = 0; i < 3; i++) {
        await clock.tickAsync(BEAT)
        manager.openStream(peerOf('D'), 'outbound').done()
      }

      broken = false
      await clock.tickAsync(BEAT)
      expect(written[0]).to.have.property('type', 'start')
      manager.openStream(peerOf('D'), 'outbound')
      await clock.tickAsync(BEAT)
      expectComplete()
      expect(written.filter(({ type }) => type === 'start')).to.have.lengthOf(1)
    })
  }

  it('tries a sink that fails less and less often, however much there is to begin with', async () => {
    const all = { streams: Infinity, outboundStreams: Infinity }
    let tries = 0

    manager = createResourceManager({
      limits: { system: all, transient: all, peerDefault: all },
      trace: {
        write: events => {
          tries++

          if (tries < 20) {
            throw new Error('Urk!')
          }

          events.forEach(event => { written.push(event) })
        }
      }
    })
    use()
    // more than is handed over at a time
    Array.from({ length: 3_000 }, () => manager.openStream(peerOf('D'), 'outbound'))

    await clock.tickAsync(4 * BEAT)
    expect(tries).to.equal(3)
    await clock.tickAsync(600 * BEAT)
    expect(tries).to.be.within(20, 25)
    expectComplete()
  })

  for (const [what, thrown] of Object.entries<unknown>({
    nothing: undefined,
    null: null,
    'a symbol': Symbol('urk'),
    'no prototype': Object.create(null),
    'a message that is none': { message: 42 },
    'a getter that throws': { get message () { throw new Error('Urk!') } }
  })) {
    it(`outlives a sink that throws ${what}, with a log that cannot print it`, async () => {
      const { log, errors } = keepLog()
      const print = log.error.bind(log)
      let failures = 0

      // as the formatters of js-libp2p's logger do
      log.error = Object.assign((format: string, err: any) => { print(format, err === undefined ? '' : `${err?.message?.trim()}`) }, log.error)
      const fail = (): void => {
        failures++
        throw thrown
      }
      const writer = new TraceWriter({ sink: { write: fail, close: fail }, limits: () => ({}), log })
      writer.start()
      // the third try is after two beats
      await clock.tickAsync(4 * BEAT)
      await writer.stop()

      expect(failures).to.be.at.least(4)
      expect(errors.filter(line => line.startsWith('the trace cannot be written'))).to.have.lengthOf(1)
      expect(errors.filter(line => line.startsWith('the trace could not be closed'))).to.have.lengthOf(1)
    })
  }

  it('begins with the limits there are, though a limiter of the user\'s own fails', async () => {
    let isFailing = true
    let isBroken = false

    manager = createResourceManager({
      limits: {
        limitFor () {
          if (isBroken) {
            throw new Error('no limit today')
          }
        }
      },
      trace: {
        write: events => {
          if (isFailing) {
            throw new Error('Urk!')
          }

          written.push(...events)
        }
      }
    })
    use()
    await clock.tickAsync(BEAT)
    isBroken = true
    await clock.tickAsync(BEAT)
    isFailing = false
    await clock.tickAsync(2 * BEAT)

    expect(written[0]).to.have.property('type', 'start')
    expect(written[0]).to.have.nested.property('limit.connection').that.deep.equals(manager.limits().connection)
    expectComplete()
    isBroken = false
  })

  it('holds only so many events for a slow sink, and begins anew after that', async () => {
    let resume = (): void => {}
    let handedOver = 0

    create({
      write: async events => {
        // more than fit onto the stack of a worker as arguments
        events.forEach(event => { written.push(event) })
        handedOver = events.length

        return new Promise(resolve => { resume = resolve })
      }
    })
    await clock.tickAsync(BEAT)

    // each life is at least ten events
    for (let i = 0; i < MOST_WAITING / 5; i++) {
      manager.openStream(peerOf('A'), 'outbound').done()
    }

    use()
    const first = written.length
    await clock.tickAsync(10 * BEAT)
    expect(written).to.have.lengthOf(first)

    resume()
    await clock.tickAsync(BEAT)
    expect(handedOver).to.equal(MOST_WAITING)

    resume()
    await clock.tickAsync(BEAT)
    expect(written[first + MOST_WAITING]).to.have.property('type', 'start')
    expectComplete()
  })

  it('is handed over earlier when there is much of it', async () => {
    create({ write: events => { written.push(...events) } })

    for (let i = 0; i < 1_000; i++) {
      manager.openStream(peerOf('A'), 'outbound').done()
    }

    await clock.tickAsync(1)
    expect(written).to.have.property('length').that.is.above(4_096)
  })

  it('is written to its end when the manager is closed', async () => {
    let closed = 0
    create({ write: events => { written.push(...events) }, close: () => { closed++ } })
    use()
    manager.close()
    manager.close()
    await clock.tickAsync(0)

    expectComplete()
    expect(closed).to.equal(1)
    expect(clock.countTimers()).to.equal(0)
  })

  it('keeps nobody from stopping', async () => {
    create({ write: async () => new Promise(() => {}) })
    await clock.tickAsync(BEAT)
    let stopped = false
    void manager.afterStop().then(() => { stopped = true })
    await clock.tickAsync(10 * BEAT)

    expect(stopped).to.be.true()
    expect(clock.countTimers()).to.equal(0)
  })

  it('does not close a sink that took so long that the node has started again', async () => {
    let resume = (): void => {}
    let closed = 0

    create({
      write: async events => {
        written.push(...events)

        return new Promise(resolve => { resume = resolve })
      },
      close: () => { closed++ }
    })
    await clock.tickAsync(BEAT)
    void manager.afterStop()
    await clock.tickAsync(10 * BEAT)
    manager.beforeStart()
    resume()
    await clock.tickAsync(BEAT)
    expect(closed).to.equal(0)

    use()
    resume()
    await clock.tickAsync(BEAT)
    expectComplete()

    void manager.afterStop()
    resume()
    await clock.tickAsync(0)
    expect(closed).to.equal(1)
  })

  it('tells in the log what was lost, once', async () => {
    const { errors, lines, log } = keepLog()
    const limit = new EnforcedLimit(create({ write: () => {} }).limits().connection)
    let broken = true
    const writer = new TraceWriter({ sink: { write: () => { if (broken) { throw new Error('Urk!') } } }, limits: () => ({}), log })
    writer.start()

    for (let i = 0; i < 3; i++) {
      writer.tracer.created(new Account({ name: `conn-${i}` }, limit))
      await clock.tickAsync(BEAT)
    }

    expect(errors).to.deep.equal(['the trace cannot be written, events are lost - Error: Urk!'])

    broken = false
    await clock.tickAsync(BEAT)
    expect(lines).to.deep.equal(['the trace is written again, 3 events were lost'])

    await writer.stop()
    expect(errors).to.have.lengthOf(1)
  })

  it('begins anew when a node starts again', async () => {
    create({ write: events => { written.push(...events) } })
    use()
    await manager.afterStop()
    manager.openStream(peerOf('D'), 'outbound')
    manager.beforeStart()
    await clock.tickAsync(BEAT)

    expectComplete()
    expect(written.filter(({ type }) => type === 'start')).to.have.lengthOf(2)
  })

  it('must be a sink', () => {
    expect(() => createResourceManager({ trace: (() => {}) as any })).to.throw().with.property('path', 'trace')
    create({ write: () => {} })
  })
})
