import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { RESOURCES } from '../../../src/core/limit.ts'
import { formatEvent } from '../../../src/observe/trace/format.ts'
import { parseEvent } from '../../../src/observe/trace/parse.ts'
import { PEER, TRACE_CASES, traceEvent } from '../../fixtures/trace-vectors.ts'
import type { ConcreteLimit } from '../../../src/index.ts'
import type { TraceEvent, TraceEventType } from '../../../src/observe/trace/event.ts'

const LIMIT: ConcreteLimit = {
  streams: 10,
  inboundStreams: 5,
  outboundStreams: Infinity,
  connections: 0,
  inboundConnections: 1,
  outboundConnections: 2,
  fileDescriptors: 3,
  memory: 2n ** 53n + 1n
}

const TYPES: TraceEventType[] = ['destroy_scope', 'reserve_memory', 'block_reserve_memory', 'release_memory', 'add_stream', 'block_add_stream', 'remove_stream', 'add_conn', 'block_add_conn', 'remove_conn']

function scopeOf (name: string): unknown {
  return JSON.parse(formatEvent(traceEvent('destroy_scope', name))).Scope
}

const quantity = fc.oneof(fc.constantFrom(0, 1, Infinity, 2n ** 53n, 2n ** 63n - 2n, Number.MAX_SAFE_INTEGER), fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 2n }))
const limit = fc.record(Object.fromEntries(RESOURCES.map(resource => [resource, quantity]))) as fc.Arbitrary<any>

const name = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.tuple(
    fc.constantFrom('conn-', 'stream-', 'peer:', 'service:', 'protocol:', 'subnet:', 'rate:', 'process', 'system', 'transient.', ''),
    fc.array(fc.oneof(fc.constantFrom('1', '.peer:', PEER, '.span-1', 'span:', '\n', '\u0000', '\u001f\u008b', '"', '\\', '</script>', '\u2028', '\ud800', '9007199254740993'), fc.string()), { maxLength: 5 })
  ).map(([prefix, parts]) => `${prefix}${parts.join('')}`).filter(name => name !== '')
)

const number = fc.oneof(fc.constantFrom(0, 1, -1, 2 ** 53 - 1, 1 - 2 ** 53), fc.maxSafeInteger())

// with a fraction, as clocks have it: nanoseconds are more than a number can tell apart
const time = fc.tuple(fc.integer({ min: Date.UTC(2005, 0), max: Date.UTC(2200, 0) }), fc.double({ min: 0, max: 1, noNaN: true })).map(([millis, fraction]) => millis + fraction)

// large integers would come back as bigints, and -0 as 0
const json = fc.jsonValue()
  .map(value => JSON.stringify(value))
  .filter(text => !/(^|[[,:])-?\d{16,}($|[\],}])/.test(text))
  .map(text => JSON.parse(text))

const numbers = {
  priority: fc.nat({ max: 255 }),
  delta: number,
  deltaIn: number,
  deltaOut: number,
  memory: number,
  streamsIn: number,
  streamsOut: number,
  connsIn: number,
  connsOut: number,
  fd: number
}

const event: fc.Arbitrary<TraceEvent> = fc.oneof(
  fc.record({ time, type: fc.constantFrom(...TYPES), name, ...numbers }),
  fc.record({ time, type: fc.constant('create_scope' as const), name, limit, ...numbers }),
  fc.record({
    time,
    type: fc.constant('start' as const),
    name: fc.constant(''),
    limit: fc.dictionary(fc.string({ unit: 'binary' }).filter(key => key !== '__proto__'), fc.oneof(limit, json, fc.constantFrom('\u0000', '\u0000\u00001234567890123456', '9007199254740993'))),
    ...numbers
  })
)

describe('trace/format', () => {
  it('writes what go writes', () => {
    expect(formatEvent(traceEvent('add_conn', 'conn-1', { time: Date.UTC(2024, 1, 29, 12) + 0.25, delta: 1, deltaIn: 1, connsIn: 1, fd: 1 })))
      .to.equal('{"Time":"2024-02-29T12:00:00.000250000Z","Type":"add_conn","Scope":{"Class":"conn","Conn":"1"},"Name":"conn-1","Delta":1,"DeltaIn":1,"ConnsIn":1,"FD":1}\n')

    expect(formatEvent(traceEvent('create_scope', 'transient', { limit: LIMIT })))
      .to.equal('{"Time":"2024-02-29T12:00:00.000000000Z","Type":"create_scope","Scope":{"Class":"transient"},"Name":"transient","Limit":{"Streams":10,"StreamsInbound":5,"StreamsOutbound":9223372036854775807,"ConnsInbound":1,"ConnsOutbound":2,"FD":3,"Memory":9007199254740993}}\n')

    expect(formatEvent(traceEvent('start', '', { limit: { system: LIMIT, peers: { a: undefined } } })))
      .to.equal('{"Time":"2024-02-29T12:00:00.000000000Z","Type":"start","Limit":{"system":{"streams":10,"inboundStreams":5,"outboundStreams":9223372036854775807,"connections":0,"inboundConnections":1,"outboundConnections":2,"fileDescriptors":3,"memory":9007199254740993},"peers":{}}}\n')
  })

  it('rounds up to the next second', () => {
    expect(formatEvent(traceEvent('start', '', { time: Date.UTC(2024, 1, 29, 12) - 2 ** -22 }))).to.include('T12:00:00.000000000Z')
  })

  it('names the class of a scope and its parts', () => {
    expect(scopeOf('system')).to.deep.equal({ Class: 'system' })
    expect(scopeOf('allowlistedTransient')).to.deep.equal({ Class: 'allowlistedTransient' })
    expect(scopeOf('stream-12')).to.deep.equal({ Class: 'stream', Stream: '12' })
    expect(scopeOf('stream-3.span-1')).to.deep.equal({ Class: 'stream', Stream: '3.span-1' })
    expect(scopeOf('system.span-1.span-2')).to.deep.equal({ Class: 'system', Span: 'span-1.span-2' })
    expect(scopeOf(`peer:${PEER}`)).to.deep.equal({ Class: 'peer', Peer: PEER })
    expect(scopeOf('service:svc')).to.deep.equal({ Class: 'service', Service: 'svc' })
    expect(scopeOf(`service:svc.peer:${PEER}`)).to.deep.equal({ Class: 'service-peer', Service: 'svc', Peer: PEER })
    expect(scopeOf('protocol:/p/1')).to.deep.equal({ Class: 'protocol', Protocol: '/p/1' })
    expect(scopeOf(`protocol:/p/1.peer:${PEER}.span-1`)).to.deep.equal({ Class: 'protocol-peer', Protocol: '/p/1', Peer: `${PEER}.span-1` })
    expect(scopeOf('protocol:a.peer:b')).to.deep.equal({ Class: 'protocol', Protocol: 'a.peer:b' })
    expect(scopeOf(`protocol:a.peer:b.peer:${PEER}`)).to.deep.equal({ Class: 'protocol-peer', Protocol: 'a.peer:b', Peer: PEER })
    expect(scopeOf('subnet:192.0.2.0/24')).to.deep.equal({ Class: 'subnet', Subnet: '192.0.2.0/24' })
    expect(scopeOf('rate:192.0.2.1')).to.deep.equal({ Class: 'rate', Rate: '192.0.2.1' })
    expect(scopeOf('process')).to.deep.equal({ Class: 'process' })
    expect(scopeOf('something else')).to.be.undefined()
  })

  for (const { id, events } of TRACE_CASES) {
    it(`reads the events of ${id} as they were written`, () => {
      expect(events.map(event => parseEvent(formatEvent(event), 1))).to.deep.equal(events)
    })
  }

  it('reads any event as it was written, in one line', () => {
    fc.assert(fc.property(event, event => {
      const line = formatEvent(event)

      expect(line.trimEnd().split('\n')).to.have.lengthOf(1)
      expect(parseEvent(line, 1)).to.deep.equal(event)
    }), { numRuns: 1_000 })
  })

  it('reads keys that all objects have', () => {
    const limit = JSON.parse('{"__proto__":{"constructor":1}}')
    const event = parseEvent(formatEvent(traceEvent('start', '', { limit })), 1)

    expect(Object.keys(event.limit ?? {})).to.deep.equal(['__proto__'])
    expect(formatEvent(event)).to.include('"Limit":{"__proto__":{"constructor":1}}')
  })

  it('reads what go has written: times of other places, zeros left out, fields that are not known', () => {
    const event = parseEvent('{"Time":"2024-02-29T14:30:00.1234567+02:30","Type":"block_reserve_memory","Scope":{"Class":"peer","Peer":"a"},"Name":"peer:a","Priority":255,"Delta":9223372036854775807,"Extra":[1,{}]}', 1)

    expect(event).to.deep.equal(traceEvent('block_reserve_memory', 'peer:a', { time: Date.UTC(2024, 1, 29, 12) + 123.4567, priority: 255, delta: 2 ** 63 }))
    expect(parseEvent('{"Time":"2024-02-29T12:00:00Z","Type":"create_scope","Name":"conn-1","Limit":{"Conns":1}}', 1).limit).to.deep.equal({
      streams: 0,
      inboundStreams: 0,
      outboundStreams: 0,
      connections: 1,
      inboundConnections: 0,
      outboundConnections: 0,
      fileDescriptors: 0,
      memory: 0
    })
  })

  const GOOD = { Time: '2024-02-29T12:00:00Z', Type: 'reserve_memory', Name: 'system' }

  const BAD: Array<[what: string, text: string, message: string]> = [
    ['what is not JSON', '{"Time":', '{"Time": is not JSON'],
    ['an array', '[]', 'it is [], allowed is an object with an event'],
    ['a time that is none', JSON.stringify({ ...GOOD, Time: '2024-02-30T25:00:00Z' }), 'Time is "2024-02-30T25:00:00Z", allowed is a time as in RFC 3339'],
    ['no time', JSON.stringify({ ...GOOD, Time: undefined }), 'Time is missing, allowed is a time as in RFC 3339'],
    ['no type', JSON.stringify({ ...GOOD, Type: undefined }), 'Type is missing, allowed is one of start, '],
    ['a type that is on the prototype', JSON.stringify({ ...GOOD, Type: 'constructor' }), 'Type is "constructor", allowed is one of start, '],
    ['no name', JSON.stringify({ ...GOOD, Name: undefined }), 'Name is missing, allowed is the name of a scope'],
    ['a name that is no string', JSON.stringify({ ...GOOD, Name: 1 }), 'Name is 1, allowed is the name of a scope'],
    ['a fraction', JSON.stringify({ ...GOOD, Delta: 1.5 }), 'Delta is 1.5, allowed is an integer'],
    ['a string for a number', JSON.stringify({ ...GOOD, Memory: '5' }), 'Memory is "5", allowed is an integer'],
    ['a string that looks like a large integer', JSON.stringify({ ...GOOD, Memory: '\u00001234567890123456' }), 'Memory is "\\u00001234567890123456", allowed is an integer'],
    ['null for a number', JSON.stringify({ ...GOOD, FD: null }), 'FD is null, allowed is an integer'],
    ['a priority out of range', JSON.stringify({ ...GOOD, Priority: 256 }), 'Priority is 256, allowed is an integer from 0 to 255'],
    ['a limit where none belongs', JSON.stringify({ ...GOOD, Limit: {} }), 'Limit is an object, allowed is nothing in an event of this type'],
    ['a limit that is no object', JSON.stringify({ ...GOOD, Type: 'create_scope', Limit: [] }), 'Limit is an array, allowed is an object'],
    ['a limit below zero', JSON.stringify({ ...GOOD, Type: 'create_scope', Limit: { FD: -1 } }), 'Limit.FD is -1, allowed is an integer of 64 bits that is not negative']
  ]

  for (const [what, text, message] of BAD) {
    it(`refuses ${what}`, () => {
      expect(() => parseEvent(text, 7)).to.throw(`The trace is not readable at line 7: ${message}`).with.property('name', 'TraceSyntaxError')
    })
  }
})
