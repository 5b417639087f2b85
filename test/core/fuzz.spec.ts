import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { RESOURCES } from '../../src/core/limit.ts'
import { createResourceManager } from '../../src/index.ts'
import { SCOPE_KEYS } from '../../src/limits/limits.ts'
import { traced } from '../fixtures/traced.ts'
import { nonZero, scopesOf } from '../fixtures/vectors-scenarios.ts'
import { ReferenceModel } from './reference-model.ts'
import type { Holder, Refusal } from './reference-model.ts'
import type { DefaultResourceManager, Limit, Limits, ScopeStat } from '../../src/index.ts'
import type { ScopeKey } from '../../src/limits/limits.ts'

const PEERS = [
  '12D3KooWPEHACsjcMehrMLGbU27pCvWdJSHH3tKK9M8bKEHyfEWG',
  '12D3KooWHNii27hQyBtDSYRtaee4aNX6vLHefMbAPXdcyoHhhvuU'
].map(id => peerIdFromString(id))
const PROTOCOLS = ['/p/1', '/q/1']
const SERVICES = ['svc', 'big']
const FIXED = [
  'system',
  'transient',
  ...PEERS.map(peer => `peer:${peer.toString()}`),
  ...PROTOCOLS.map(protocol => `protocol:${protocol}`),
  ...SERVICES.map(service => `service:${service}`)
]
const ENDPOINT = multiaddr('/memory/1')

type Operation = { op: 'openConnection', inbound: boolean, fd: boolean } |
{ op: 'openStream', peer: number, inbound: boolean } |
{ op: 'setPeer' | 'setProtocol' | 'setService', on: number, to: number } |
{ op: 'reserve', on: number, size: number, priority: number } |
{ op: 'release', on: number, size: number } |
{ op: 'beginSpan' | 'done', on: number } |
{ op: 'collect' }

const index = fc.nat({ max: 1 })
const which = fc.nat({ max: 1_000 })
const size = fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 600 }))
const priority = fc.constantFrom(0, 101, 152, 203, 254, 255, 255, 255)

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('openConnection' as const), inbound: fc.boolean(), fd: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('openStream' as const), peer: index, inbound: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('setPeer' as const), on: which, to: index }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('setProtocol' as const), on: which, to: index }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('setService' as const), on: which, to: index }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('reserve' as const), on: which, size, priority }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('release' as const), on: which, size }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('beginSpan' as const), on: which }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('done' as const), on: which }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('collect' as const) }) }
)

// mostly limits that leave room, or else hardly anything would happen
const count = fc.oneof(
  { weight: 3, arbitrary: fc.constant(Infinity) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 3n, 2n ** 60n) }
)
const bytes = fc.oneof(
  { weight: 2, arbitrary: fc.constant(Infinity) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 2_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(1_000n, 2n ** 60n) }
)
const limit: fc.Arbitrary<Limit> = fc.record(Object.fromEntries(RESOURCES.map(resource => [resource, resource === 'memory' ? bytes : count])))
const limits: fc.Arbitrary<Limits> = fc.record({
  ...Object.fromEntries(SCOPE_KEYS.map(key => [key, limit])) as Record<ScopeKey, fc.Arbitrary<Limit>>,
  peers: fc.option(limit.map(limit => ({ [PEERS[0].toString()]: limit })), { nil: undefined }),
  protocols: fc.option(limit.map(limit => ({ [PROTOCOLS[0]]: limit })), { nil: undefined }),
  services: fc.option(limit.map(limit => ({ [SERVICES[0]]: limit })), { nil: undefined })
})

describe('random operations', () => {
  it('leave the counts and lists that a naive model has, a refusal changes nothing, and in the end everything is zero', () => {
    fc.assert(fc.property(limits, fc.array(operation, { maxLength: 80, size: 'max' }), (limits, operations) => {
      const run = new Run(limits)

      for (const operation of operations) {
        run.step(operation)
      }

      run.end()
    }), { numRuns: 300 })
  }).timeout(60_000)

  it('are let through as well as refused, for the reasons that there are', () => {
    const outcomes = new Map<string, number>()

    fc.assert(fc.property(limits, fc.array(operation, { minLength: 40, maxLength: 80, size: 'max' }), (limits, operations) => {
      const run = new Run(limits)

      for (const operation of operations) {
        const refusal = run.step(operation)
        const outcome = `${operation.op} ${refusal?.name ?? 'ok'}`
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }

      run.end()
    }), { numRuns: 100, seed: 1 })

    expect([...outcomes.keys()].sort()).to.deep.equal([
      'beginSpan ScopeClosedError',
      'beginSpan ok',
      'collect ok',
      'done ok',
      'openConnection ResourceLimitExceededError',
      'openConnection ok',
      'openStream ResourceLimitExceededError',
      'openStream ok',
      'release ok',
      'reserve ResourceLimitExceededError',
      'reserve ScopeClosedError',
      'reserve ok',
      'setPeer ResourceLimitExceededError',
      'setPeer ScopeAttachedError',
      'setPeer ScopeClosedError',
      'setPeer ok',
      'setProtocol ResourceLimitExceededError',
      'setProtocol ScopeAttachedError',
      'setProtocol ScopeClosedError',
      'setProtocol ok',
      'setService ResourceLimitExceededError',
      'setService ScopeAttachedError',
      'setService ScopeClosedError',
      'setService ScopeNotAttachedError',
      'setService ok'
    ])
  }).timeout(60_000)
})

/**
 * A scope and what the model knows of it
 */
interface Handle {
  scope: any
  holder: Holder
}

class Run {
  private readonly manager: DefaultResourceManager
  private readonly model: ReferenceModel
  private readonly connections: Handle[] = []
  private readonly streams: Handle[] = []
  private readonly spans: Handle[] = []

  constructor (limits: Limits) {
    this.manager = createResourceManager({ limits, memory: 0, fileDescriptors: 0, trace: traced() })
    this.model = new ReferenceModel(this.manager.limits())
  }

  step (operation: Operation): Refusal | undefined {
    const before = this.state()
    const { expected, actual } = this.operate(operation)
    const after = this.state()
    const where = JSON.stringify(operation)

    if (expected == null) {
      expect(actual, where).to.be.undefined()
    } else {
      expect(actual, where).to.deep.include(expected)
      expect(after, `${where} was refused`).to.deep.equal(before)
    }

    this.compare(where)

    return expected
  }

  /**
   * Whatever was done and refused before: once all are done and all is released
   * nothing is left
   */
  end (): void {
    // what is left of the trace is replayed, and that is all
    this.manager.close()

    // spans may go before or after their owners
    for (const { scope, holder } of [...this.spans.slice(0, 2), ...this.streams, ...this.connections, ...this.spans]) {
      scope.done()
      this.model.done(holder)
    }

    this.compare('all done')

    for (const name of FIXED) {
      this.model.fixed(name).memory = 0
      this.view(name, scope => { scope.releaseMemory(Number.MAX_SAFE_INTEGER) })
    }

    this.compare('all released')
    expect(this.state()).to.deep.equal({})

    this.manager.removeUnusedScopes()
    expect(this.manager.listPeers()).to.be.empty()
    expect(this.manager.listProtocols()).to.be.empty()
    expect([...this.manager.stat().servicePeers.values()].every(peers => peers.size === 0)).to.be.true()

    this.manager.close()
  }

  private compare (where: string): void {
    expect(this.state(), where).to.deep.equal(nonZero(this.model.stats()))
    expect(this.manager.listPeers().map(peer => peer.toString()).sort(), where).to.deep.equal([...this.model.peers].sort())
    expect(this.manager.listProtocols(), where).to.deep.equal([...this.model.protocols].sort())
    expect(this.manager.listServices(), where).to.deep.equal([...this.model.services].sort())

    // each leaf once, whatever else it counts in
    expect(this.manager.stat().system, where).to.deep.equal(this.sum())
  }

  /**
   * What leaves hold, what was reserved directly, and the spans of neither
   */
  private sum (): ScopeStat {
    const total: ScopeStat = { inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0, memory: 0 }
    const outermost = this.spans.filter(({ holder }) => holder.owner?.kind === 'fixed')

    for (const { scope } of [...this.connections, ...this.streams, ...outermost]) {
      for (const [counter, count] of Object.entries<number>(scope.stat())) {
        total[counter as keyof ScopeStat] += count
      }
    }

    for (const holder of this.model.holders) {
      if (holder.kind === 'fixed') {
        total.memory += holder.memory
      }
    }

    return total
  }

  private state (): Record<string, Partial<ScopeStat>> {
    const handles = [...this.connections, ...this.streams, ...this.spans]

    return nonZero([
      ...scopesOf(this.manager),
      ...handles.map(({ scope }): [string, ScopeStat] => [scope.name, scope.stat()])
    ])
  }

  private operate (operation: Operation): { expected?: Refusal, actual?: any } {
    const { manager, model } = this

    switch (operation.op) {
      case 'openConnection': {
        const direction = operation.inbound ? 'inbound' : 'outbound'

        return this.opens(this.connections, model.openConnection(direction, operation.fd), () => manager.openConnection(direction, operation.fd, ENDPOINT))
      }
      case 'openStream': {
        const direction = operation.inbound ? 'inbound' : 'outbound'
        const peer = PEERS[operation.peer]

        return this.opens(this.streams, model.openStream(peer.toString(), direction), () => manager.openStream(peer, direction))
      }
      case 'setPeer': {
        const peer = PEERS[operation.to]

        return this.changes(pick(this.connections, operation.on), holder => model.setPeer(holder, peer.toString()), scope => scope.setPeer(peer))
      }
      case 'setProtocol': {
        const protocol = PROTOCOLS[operation.to]

        return this.changes(pick(this.streams, operation.on), holder => model.setProtocol(holder, protocol), scope => scope.setProtocol(protocol))
      }
      case 'setService': {
        const service = SERVICES[operation.to]

        return this.changes(pick(this.streams, operation.on), holder => model.setService(holder, service), scope => scope.setService(service))
      }
      case 'reserve':
        return this.inAny(operation.on, holder => model.reserve(holder, operation.size, operation.priority), scope => scope.reserveMemory(operation.size, operation.priority))
      case 'release':
        return this.inAny(operation.on, holder => { model.release(holder, operation.size) }, scope => scope.releaseMemory(operation.size))
      case 'beginSpan': {
        const span: Partial<Handle> = {}

        const result = this.inAny(operation.on, holder => {
          const begun = model.beginSpan(holder)

          if ('kind' in begun) {
            span.holder = begun
            return
          }

          return begun
        }, scope => { span.scope = scope.beginSpan() })

        if (span.scope != null && span.holder != null) {
          expect(span.scope).to.have.property('name', span.holder.name)
          this.spans.push(span as Handle)
        }

        return result
      }
      case 'done':
        return this.changes(
          pick([...this.connections, ...this.streams, ...this.spans], operation.on),
          holder => { model.done(holder) },
          scope => scope.done()
        )
      case 'collect':
        model.collect()

        return { actual: caught(() => { manager.removeUnusedScopes() }) }
      default:
        throw new Error('Unknown operation')
    }
  }

  private opens (handles: Handle[], expected: Holder | Refusal, open: () => any): { expected?: Refusal, actual?: any } {
    const actual = caught(() => {
      const scope = open()

      if ('kind' in expected) {
        expect(scope).to.have.property('name', expected.name)
        handles.push({ scope, holder: expected })
      }
    })

    return { expected: 'kind' in expected ? undefined : expected, actual }
  }

  private changes (handle: Handle | undefined, expected: (holder: Holder) => Refusal | undefined | void, actual: (scope: any) => void): { expected?: Refusal, actual?: any } {
    if (handle == null) {
      return {}
    }

    return { expected: expected(handle.holder) ?? undefined, actual: caught(() => { actual(handle.scope) }) }
  }

  /**
   * In a leaf, a span, or inside the view of a scope
   */
  private inAny (which: number, expected: (holder: Holder) => Refusal | undefined | void, actual: (scope: any) => void): { expected?: Refusal, actual?: any } {
    const handles = [...this.connections, ...this.streams, ...this.spans]
    const at = which % (handles.length + FIXED.length)

    if (at < handles.length) {
      return this.changes(handles[at], expected, actual)
    }

    const name = FIXED[at - handles.length]

    return { expected: expected(this.model.fixed(name)) ?? undefined, actual: caught(() => { this.view(name, actual) }) }
  }

  private view (name: string, fn: (scope: any) => void): void {
    const [kind, ...rest] = name.split(':')
    const key = rest.join(':')

    switch (kind) {
      case 'system':
        return this.manager.viewSystem(fn)
      case 'transient':
        return this.manager.viewTransient(fn)
      case 'peer':
        return this.manager.viewPeer(peerIdFromString(key), fn)
      case 'protocol':
        return this.manager.viewProtocol(key, fn)
      default:
        return this.manager.viewService(key, fn)
    }
  }
}

function pick<T> (handles: T[], which: number): T | undefined {
  return handles[which % Math.max(handles.length, 1)]
}

function caught (fn: () => void): any {
  try {
    fn()
  } catch (err) {
    return err
  }
}
