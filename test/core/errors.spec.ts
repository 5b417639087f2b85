import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager, InvalidLimitError, InvalidReservationError, isResourceLimitExceeded, ResourceLimitExceededError, ScopeAttachedError, ScopeClosedError, ScopeNotAttachedError } from '../../src/index.ts'
import type { ConcreteLimit, Limits, Resource } from '../../src/index.ts'

const PEER = peerIdFromString('12D3KooWPEHACsjcMehrMLGbU27pCvWdJSHH3tKK9M8bKEHyfEWG')
const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')

/**
 * Goes through all that a manager does until something is refused
 */
function refusalWith (limits: Limits, direction: 'inbound' | 'outbound' = 'inbound'): ResourceLimitExceededError {
  const manager = createResourceManager({ limits, memory: 2 ** 30, fileDescriptors: 1_000 })
  manager.close()

  return refusalOf(() => {
    const connection = manager.openConnection(direction, true, ENDPOINT)
    connection.setPeer(PEER)
    connection.reserveMemory(100)
    const stream = manager.openStream(PEER, direction)
    stream.setProtocol('/p/1')
    stream.setService('svc')
    stream.reserveMemory(100)
    manager.viewTransient(scope => { scope.reserveMemory(100) })
  })
}

function refusalOf (fn: () => void): ResourceLimitExceededError {
  try {
    fn()
  } catch (err: any) {
    expect(err).to.have.property('name', 'ResourceLimitExceededError')

    return err
  }

  throw new Error('Nothing was refused')
}

describe('a refusal', () => {
  const peer = PEER.toString()

  // limits, scope that refuses, kind, resource, option
  const CASES: Array<[Limits, string, string, Resource, string]> = [
    [{ system: { connections: 0 } }, 'system', 'system', 'connections', 'limits.system.connections'],
    [{ system: { fileDescriptors: 0 } }, 'system', 'system', 'fileDescriptors', 'limits.system.fileDescriptors'],
    [{ transient: { inboundConnections: 0 } }, 'transient', 'transient', 'inboundConnections', 'limits.transient.inboundConnections'],
    [{ transient: { memory: 99 } }, 'transient', 'transient', 'memory', 'limits.transient.memory'],
    [{ connection: { memory: 99 } }, 'conn-1', 'connection', 'memory', 'limits.connection.memory'],
    [{ stream: { inboundStreams: 0 } }, 'stream-1', 'stream', 'inboundStreams', 'limits.stream.inboundStreams'],
    [{ peerDefault: { connections: 0 } }, `peer:${peer}`, 'peer', 'connections', `limits.peers["${peer}"].connections`],
    [{ peers: { [peer]: { streams: 0 } } }, `peer:${peer}`, 'peer', 'streams', `limits.peers["${peer}"].streams`],
    [{ protocolDefault: { streams: 0 } }, 'protocol:/p/1', 'protocol', 'streams', 'limits.protocols["/p/1"].streams'],
    [{ protocolPeerDefault: { memory: 99 } }, `protocol:/p/1.peer:${peer}`, 'protocolPeer', 'memory', 'limits.protocolPeers["/p/1"].memory'],
    [{ services: { svc: { inboundStreams: 0 } } }, 'service:svc', 'service', 'inboundStreams', 'limits.services["svc"].inboundStreams'],
    [{ servicePeers: { svc: { memory: 99 } } }, `service:svc.peer:${peer}`, 'servicePeer', 'memory', 'limits.servicePeers["svc"].memory']
  ]

  for (const [limits, scope, kind, resource, option] of CASES) {
    it(`names limit, value, use and option of ${JSON.stringify(limits).replaceAll(peer, 'PEER')}`, () => {
      const err = refusalWith(limits)
      const current = 0
      const limit = Object.values<any>(limits)[0][resource] ?? Object.values<any>(Object.values(limits)[0])[0][resource]
      const attempted = resource === 'memory' ? 100 : 1

      expect(err).to.be.an.instanceOf(ResourceLimitExceededError)
      expect(err).to.be.an.instanceOf(Error)
      expect(err).to.include({ scope, kind, resource, option, current, attempted, limit, temporary: true })
      expect(err.path[err.path.length - 1]).to.equal(scope)
      expect(err.direction).to.equal(resource === 'memory' ? undefined : 'inbound')
      expect(err.priority).to.equal(resource === 'memory' ? 255 : undefined)

      expect(err.message).to.include(scope)
      expect(err.message).to.match(new RegExp(`\\b${limit} `))
      expect(err.message).to.include(`${current} in use`)
      expect(err.message).to.include(`${attempted} more`)
      expect(err.message).to.include(option)
      // whoever reads a log must see that it is not the remote that refused
      expect(err.message).to.match(/local/i)
    })

    it(`says which option lets it through for ${JSON.stringify(limits).replaceAll(peer, 'PEER')}`, () => {
      const { option } = refusalWith(limits)
      const raised = setOption(structuredClone(limits), option)

      expect(refusalWithNothing(raised)).to.be.undefined()
    })
  }

  it('tells the direction of what was refused', () => {
    expect(refusalWith({ system: { connections: 0 } }, 'outbound')).to.have.property('direction', 'outbound')
    expect(refusalWith({ protocolDefault: { streams: 0 } }, 'outbound')).to.have.property('direction', 'outbound')
    expect(refusalWith({ peerDefault: { connections: 0 } }, 'outbound')).to.have.property('direction', 'outbound')
  })

  it('tells what is in use', () => {
    const manager = createResourceManager({ limits: { system: { memory: 1_000, inboundStreams: 2 } } })
    manager.close()
    manager.viewSystem(scope => { scope.reserveMemory(900) })
    manager.openStream(PEER, 'inbound')
    manager.openStream(PEER, 'inbound')

    const memory = refusalOf(() => { manager.viewSystem(scope => { scope.reserveMemory(101) }) })
    expect(memory).to.include({ current: 900, attempted: 101, limit: 1_000 })
    expect(memory.message).to.include('1000 bytes of memory').and.include('900 in use').and.include('101 more')

    const stream = refusalOf(() => { manager.openStream(PEER, 'inbound') })
    expect(stream).to.include({ current: 2, attempted: 1, limit: 2 })
    expect(stream.message).to.include('2 inbound streams').and.include('2 in use').and.include('1 more')
  })

  it('tells the share of a priority, the highest has none', () => {
    const manager = createResourceManager({ limits: { system: { memory: 256 } } })
    manager.close()
    const message = (priority?: number): string => refusalOf(() => { manager.viewSystem(scope => { scope.reserveMemory(257, priority) }) }).message

    expect(message(0)).to.include('priority 0 ').and.include('1/256')
    expect(message(101)).to.include('priority 101 ').and.include('102/256')
    expect(message(254)).to.include('priority 254 ').and.include('255/256')
    expect(message(255)).to.not.include('priority')
    expect(message()).to.not.include('priority')
  })

  it('says whether it took effect', () => {
    expect(refusalWith({ system: { connections: 0 } })).to.have.property('enforced', true)
  })

  it('is told to who listens, once, and is then thrown', () => {
    const manager = createResourceManager({ limits: { system: { connections: 0 } } })
    const heard: ResourceLimitExceededError[] = []
    manager.close()
    manager.addEventListener('blocked', event => { heard.push(event.detail) })

    const err = refusalOf(() => { manager.openConnection('inbound', false, ENDPOINT) })

    expect(heard).to.have.lengthOf(1)
    expect(heard[0]).to.equal(err)
  })

  it('of a span is the limit of its owner', () => {
    const manager = createResourceManager({ limits: { services: { svc: { memory: 99 } } } })
    manager.close()

    const err = refusalOf(() => { manager.viewService('svc', scope => { scope.beginSpan().reserveMemory(100) }) })
    expect(err).to.include({ scope: 'service:svc.span-1', kind: 'service', option: 'limits.services["svc"].memory' })
  })
})

describe('the stack of a refusal', () => {
  const FRAME = /^\s*at /m
  // other engines always capture one, and have no such limit
  const isV8 = FRAME.test(new Error('probe').stack ?? '')
  const stackTraceLimit = Error.stackTraceLimit

  afterEach(() => {
    Error.stackTraceLimit = stackTraceLimit
  })

  it('is not captured', function () {
    if (!isV8) {
      return this.skip()
    }

    const err = refusalWith({ system: { connections: 0 } })

    expect(err.stack).to.not.match(FRAME)
    // that of other errors is
    expect(new Error('other').stack).to.match(FRAME)
  })

  for (const limit of [0, 1, 10, 50, Infinity]) {
    it(`leaves Error.stackTraceLimit at ${limit}`, () => {
      Error.stackTraceLimit = limit
      refusalWith({ system: { connections: 0 } })
      expect(Error.stackTraceLimit).to.equal(limit)
    })
  }

  it('leaves Error.stackTraceLimit as others see it, also for those who are told of the refusal', function () {
    if (!isV8) {
      return this.skip()
    }

    const manager = createResourceManager({ limits: { system: { connections: 0 } } })
    const seen: any[] = []
    manager.close()
    manager.addEventListener('blocked', () => { seen.push(Error.stackTraceLimit, new Error('mine').stack) })
    refusalOf(() => { manager.openConnection('inbound', false, ENDPOINT) })

    expect(seen[0]).to.equal(stackTraceLimit)
    expect(seen[1]).to.match(FRAME)
  })

  it('may be captured where the limit cannot be set, but the refusal is the same', () => {
    const descriptor = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')

    try {
      Object.defineProperty(Error, 'stackTraceLimit', { value: 7, writable: false, enumerable: true, configurable: true })
      expect(refusalWith({ system: { connections: 0 } })).to.have.property('resource', 'connections')
      expect(Error.stackTraceLimit).to.equal(7)
    } finally {
      if (descriptor != null) {
        Object.defineProperty(Error, 'stackTraceLimit', descriptor)
      } else {
        Reflect.deleteProperty(Error, 'stackTraceLimit')
      }
    }
  })
})

describe('isResourceLimitExceeded', () => {
  const refused = refusalWith({ system: { connections: 0 } })

  it('recognises a refusal', () => {
    expect(isResourceLimitExceeded(refused)).to.be.true()
    // from another copy of this package
    expect(isResourceLimitExceeded({ name: 'ResourceLimitExceededError' })).to.be.true()
  })

  it('sees through causes', () => {
    expect(isResourceLimitExceeded(new Error('outer', { cause: refused }))).to.be.true()
    expect(isResourceLimitExceeded(new Error('outer', { cause: new Error('inner', { cause: refused }) }))).to.be.true()
  })

  it('sees through aggregate errors', () => {
    expect(isResourceLimitExceeded(new AggregateError([new Error('other'), refused]))).to.be.true()
    expect(isResourceLimitExceeded(new AggregateError([new Error('other'), new AggregateError([new Error('dial', { cause: refused })])]))).to.be.true()
    expect(isResourceLimitExceeded(new Error('outer', { cause: new AggregateError([refused]) }))).to.be.true()
    expect(isResourceLimitExceeded(new AggregateError([], 'none', { cause: refused }))).to.be.true()
  })

  it('is false for anything else', () => {
    for (const other of [
      undefined, null, 0, '', 'ResourceLimitExceededError', true, Symbol('error'), () => {}, {}, [], [refused],
      new Error('other'), new Error('other', { cause: 'ResourceLimitExceededError' }), new AggregateError([]),
      new AggregateError([new Error('other'), null, undefined, 5]), { errors: 'ResourceLimitExceededError' }, { errors: { 0: refused } },
      new ScopeClosedError(['a']), new ScopeAttachedError('a', 'b'), new ScopeNotAttachedError('a'),
      new InvalidReservationError('a'), new InvalidLimitError('a', 1, 'b')
    ]) {
      expect(isResourceLimitExceeded(other)).to.be.false()
    }
  })

  it('handles errors that are their own cause', () => {
    const own: any = new Error('own')
    own.cause = own
    expect(isResourceLimitExceeded(own)).to.be.false()

    const a: any = new Error('a')
    const b: any = new Error('b', { cause: a })
    a.cause = b
    expect(isResourceLimitExceeded(a)).to.be.false()

    const aggregate: any = new AggregateError([a])
    aggregate.errors.push(aggregate, refused)
    expect(isResourceLimitExceeded(aggregate)).to.be.true()
  })

  it('looks at each error once, however often and deep it is referred to', () => {
    let looks = 0
    const aggregate: any = new AggregateError([])
    const errors = [aggregate, aggregate, aggregate]
    Object.defineProperty(aggregate, 'errors', {
      get: () => {
        looks++
        return errors
      }
    })

    expect(isResourceLimitExceeded(aggregate)).to.be.false()
    // once to see that there are any, once to look at them
    expect(looks).to.be.at.most(2)
  })

  it('sees a refusal however deep it is', () => {
    let err: Error = refused

    for (let depth = 0; depth < 20; depth++) {
      err = new Error(`depth ${depth}`, { cause: err })
    }

    expect(isResourceLimitExceeded(err)).to.be.true()
  })
})

describe('the other errors', () => {
  it('have names', () => {
    expect(new ScopeClosedError(['a', 'b'])).to.include({ name: 'ScopeClosedError', scope: 'b' })
    expect(new ScopeAttachedError('a', 'b')).to.have.property('name', 'ScopeAttachedError')
    expect(new ScopeNotAttachedError('a')).to.have.property('name', 'ScopeNotAttachedError')
    expect(new InvalidReservationError('a')).to.have.property('name', 'InvalidReservationError')
    expect(new InvalidLimitError('a', 1, 'b')).to.include({ name: 'InvalidLimitError', path: 'a', value: 1, allowed: 'b' })

    for (const type of [ResourceLimitExceededError, ScopeClosedError, ScopeAttachedError, ScopeNotAttachedError, InvalidReservationError, InvalidLimitError]) {
      expect(Object.getOwnPropertyDescriptor(type, 'name')?.value).to.match(/^[A-Z][A-Za-z]+Error$/)
    }
  })

  it('show what was wrong', () => {
    const message = (value: unknown): string => new InvalidLimitError('limits', value, 'something else').message

    expect(message(null)).to.include('limits is null, ').and.include('something else')
    expect(message(undefined)).to.include('is undefined, ')
    expect(message([])).to.include('is an array, ')
    expect(message({})).to.include('is an object, ')
    expect(message(() => {})).to.include('is a function, ')
    expect(message('1')).to.include('is "1", ')
    expect(message(1n)).to.include('is 1n, ')
    expect(message(NaN)).to.include('is NaN, ')
    expect(message(Symbol('odd'))).to.include('Symbol(odd)')
  })

  it('have stacks, they tell of mistakes', function () {
    if (!/^\s*at /m.test(new Error('probe').stack ?? '')) {
      return this.skip()
    }

    expect(new ScopeClosedError(['a']).stack).to.match(/^\s*at /m)
    expect(new InvalidReservationError('a').stack).to.match(/^\s*at /m)
  })
})

/**
 * Sets what an option such as `limits.services["svc"].memory` names to Infinity
 */
function setOption (limits: any, option: string): Limits {
  const [, key, name, resource] = /^limits\.(\w+)(?:\[(.*)\])?\.(\w+)$/.exec(option) ?? []
  let limit = limits[key] ??= {}

  if (name != null) {
    limit = limit[JSON.parse(name)] ??= {}
  }

  (limit as Record<keyof ConcreteLimit, number>)[resource as Resource] = Infinity

  return limits
}

function refusalWithNothing (limits: Limits): ResourceLimitExceededError | undefined {
  try {
    return refusalWith(limits)
  } catch (err: any) {
    expect(err).to.have.property('message', 'Nothing was refused')
  }
}
