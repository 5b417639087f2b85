/* eslint-disable no-loop-func */

import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { ScopeRegistry } from '../../src/core/scope-registry.ts'
import { ScopeEnvironment } from '../../src/core/scope.ts'
import { createResourceManager, ReservationPriority } from '../../src/index.ts'
import { LimitTable } from '../../src/limits/limits.ts'
import { nonZero, scopesOf } from '../fixtures/vectors-scenarios.ts'
import type { ConnectionManagementScope, DefaultResourceManager, Limits, PeerScope, ProtocolScope, ResourceLimitExceededError, ResourceManagerInit, ResourceScope, ServiceScope, StreamManagementScope } from '../../src/index.ts'

const PEER = peerIdFromString('12D3KooWPEHACsjcMehrMLGbU27pCvWdJSHH3tKK9M8bKEHyfEWG')
const OTHER_PEER = peerIdFromString('12D3KooWHNii27hQyBtDSYRtaee4aNX6vLHefMbAPXdcyoHhhvuU')
const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')

// names that are something else to an ordinary object
const ODD_NAMES = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', '', ' ', '/a.peer:b', '💥']

describe('scopes', () => {
  let manager: DefaultResourceManager

  beforeEach(() => {
    manager = create()
  })

  afterEach(() => {
    manager.close()
  })

  function create (init: ResourceManagerInit = {}): DefaultResourceManager {
    return createResourceManager({ memory: 2 ** 30, fileDescriptors: 1_000, ...init })
  }

  function connection (on: DefaultResourceManager = manager): ConnectionManagementScope {
    return on.openConnection('inbound', true, ENDPOINT)
  }

  function stream (on: DefaultResourceManager = manager): StreamManagementScope {
    return on.openStream(PEER, 'outbound')
  }

  /**
   * A stream that counts wherever a stream can count, with memory
   */
  function fullStream (): StreamManagementScope {
    const scope = stream()
    scope.setProtocol('/p/1')
    scope.setService('svc')
    scope.reserveMemory(100)

    return scope
  }

  function system (): ResourceScope {
    return manager.viewSystem(scope => scope)
  }

  /**
   * That something throws an error of this name, and that no count changes
   */
  function expectRefused (name: string, fn: () => void, ...scopes: ResourceScope[]): any {
    // a refused one may leave an empty scope behind, until the next collection
    const counts = (): unknown => [nonZero(scopesOf(manager)), ...scopes.map(scope => scope.stat())]
    const before = counts()
    const err = thrown(fn)

    expect(err).to.have.property('name', name)
    expect(counts()).to.deep.equal(before)

    return err
  }

  describe('spans', () => {
    it('give back what they hold at the end of a block', () => {
      {
        using span = system().beginSpan()
        span.reserveMemory(1_000)
        expect(manager.stat().system.memory).to.equal(1_000)
      }

      expect(manager.stat().system.memory).to.equal(0)
    })

    it('give back what they hold when a block is left by an error', () => {
      const scope = stream()

      const err = thrown(() => {
        using span = scope.beginSpan()
        span.reserveMemory(1_000)
        throw new Error('boom')
      })

      expect(err).to.have.property('message', 'boom')
      expect(scope.stat().memory).to.equal(0)
      expect(manager.stat().system.memory).to.equal(0)
    })

    it('can be disposed of, as connections and streams can', () => {
      const scopes = [connection(), stream(), system().beginSpan()]

      for (const scope of scopes) {
        scope.reserveMemory(1)
        scope[Symbol.dispose]()
        expectRefused('ScopeClosedError', () => { scope.reserveMemory(1) }, scope)
      }

      expectNothingHeld()
    })

    it('in a collected scope cannot be begun', () => {
      const scopes = [manager.viewPeer(PEER, scope => scope), manager.viewProtocol('/p/1', scope => scope)]
      manager.removeUnusedScopes()

      for (const scope of scopes) {
        expectRefused('ScopeClosedError', () => { scope.beginSpan() })
        expectRefused('ScopeClosedError', () => { scope.reserveMemory(1) })
        expectRefused('ScopeClosedError', () => { scope.setLimit({ memory: 1 }) })
        scope.releaseMemory(1)
      }

      expectNothingHeld()
      expect(manager.listPeers()).to.be.empty()
      expect(manager.listProtocols()).to.be.empty()
    })
  })

  describe('what makes no sense', () => {
    const SIZES: any[] = [-1, -0.5, 0.5, NaN, Infinity, -Infinity, 2 ** 53, '1', '', null, true, 1n, {}, [], Symbol('size')]
    const PRIORITIES: any[] = [-1, 256, 0.5, NaN, Infinity, '255', null, 255n, {}]

    for (const size of SIZES) {
      it(`is a size of ${describeValue(size)}`, () => {
        const held = system().beginSpan()
        held.reserveMemory(10)

        for (const scope of [connection(), fullStream(), system(), held]) {
          expectRefused('InvalidReservationError', () => { scope.reserveMemory(size) }, scope)
          expectRefused('InvalidReservationError', () => { scope.releaseMemory(size) }, scope)
        }
      })
    }

    it('is a size that is left out', () => {
      const scope: any = fullStream()

      expectRefused('InvalidReservationError', () => { scope.reserveMemory() }, scope)
      expectRefused('InvalidReservationError', () => { scope.releaseMemory() }, scope)
    })

    for (const priority of PRIORITIES) {
      it(`is a priority of ${describeValue(priority)}`, () => {
        for (const scope of [connection(), fullStream(), system(), system().beginSpan()]) {
          expectRefused('InvalidReservationError', () => { scope.reserveMemory(1, priority) }, scope)
        }
      })
    }

    for (const direction of ['unknown', '', 'Inbound', undefined, null, 0, {}] as any[]) {
      it(`is a direction of ${describeValue(direction)}`, () => {
        expectRefused('InvalidReservationError', () => { manager.openConnection(direction, true, ENDPOINT) })
        expectRefused('InvalidReservationError', () => { manager.openStream(PEER, direction) })
        expect(manager.listPeers()).to.be.empty()
        expect(connection().name).to.equal('conn-1')
        expect(stream().name).to.equal('stream-1')
      })
    }

    for (const name of [undefined, null, 1, {}, Symbol('name')] as any[]) {
      it(`is a protocol or service called ${describeValue(name)}`, () => {
        const scope = stream()

        expectRefused('InvalidReservationError', () => { scope.setProtocol(name) }, scope)
        scope.setProtocol('/p/1')
        expectRefused('InvalidReservationError', () => { scope.setService(name) }, scope)
        expectRefused('InvalidReservationError', () => manager.viewProtocol(name, () => {}))
        expectRefused('InvalidReservationError', () => manager.viewService(name, () => {}))
        expect(scope.serviceScope).to.be.undefined()
        expect(manager.listProtocols()).to.deep.equal(['/p/1'])
        expect(manager.listServices()).to.be.empty()
      })
    }

    for (const peer of [undefined, null, PEER.toString(), {}] as any[]) {
      it(`is a peer that is ${describeValue(peer)}`, () => {
        const scope = connection()

        expectRefused('InvalidReservationError', () => { scope.setPeer(peer) }, scope)
        expectRefused('InvalidReservationError', () => { manager.openStream(peer, 'inbound') })
        expectRefused('InvalidReservationError', () => manager.viewPeer(peer, () => {}))
        expect(manager.listPeers()).to.be.empty()
      })
    }

    it('is an object that cannot be made a string', () => {
      const odd: any = Object.create(null)
      const scope = stream()

      expectRefused('InvalidReservationError', () => { scope.reserveMemory(odd) }, scope)
      expectRefused('InvalidReservationError', () => { scope.setProtocol(odd) }, scope)
      expectRefused('InvalidReservationError', () => { manager.openStream(odd, 'inbound') }, scope)
      expectRefused('InvalidReservationError', () => { manager.openStream(PEER, odd) }, scope)
    })
  })

  describe('attaching', () => {
    it('a connection to a second peer is an error', () => {
      const scope = connection()
      scope.setPeer(PEER)

      const err = expectRefused('ScopeAttachedError', () => { scope.setPeer(OTHER_PEER) }, scope)
      expectRefused('ScopeAttachedError', () => { scope.setPeer(PEER) }, scope)

      expect(err.message).to.include('conn-1').and.include(`peer:${PEER.toString()}`)
      expect(scope.peerScope?.peer.equals(PEER)).to.be.true()
      expect(manager.listPeers()).to.have.lengthOf(1)
    })

    it('a stream to a second protocol is an error', () => {
      const scope = stream()
      scope.setProtocol('/p/1')

      const err = expectRefused('ScopeAttachedError', () => { scope.setProtocol('/q/1') }, scope)
      expectRefused('ScopeAttachedError', () => { scope.setProtocol('/p/1') }, scope)

      expect(err.message).to.include('stream-1').and.include('protocol:/p/1')
      expect(scope.protocolScope?.protocol).to.equal('/p/1')
      expect(manager.listProtocols()).to.deep.equal(['/p/1'])
    })

    it('a stream to a second service is an error', () => {
      const scope = fullStream()

      const err = expectRefused('ScopeAttachedError', () => { scope.setService('other') }, scope)
      expectRefused('ScopeAttachedError', () => { scope.setService('svc') }, scope)

      expect(err.message).to.include('stream-1').and.include('service:svc')
      expect(scope.serviceScope?.service).to.equal('svc')
      expect(manager.listServices()).to.deep.equal(['svc'])
    })

    it('a stream to a service before its protocol is an error', () => {
      const scope = stream()

      const err = expectRefused('ScopeNotAttachedError', () => { scope.setService('svc') }, scope)

      expect(err.message).to.include('stream-1')
      expect(scope.serviceScope).to.be.undefined()
      expect(manager.listServices()).to.be.empty()
    })

    it('a refused one can be done again elsewhere', () => {
      manager = create({ limits: { peers: { [PEER.toString()]: { connections: 0 } }, protocols: { '/p/1': { streams: 0 } }, services: { svc: { streams: 0 } } } })
      const c = connection()
      const s = stream()

      expectRefused('ResourceLimitExceededError', () => { c.setPeer(PEER) }, c)
      expect(c.peerScope).to.be.undefined()
      c.setPeer(OTHER_PEER)
      expect(c.peerScope?.name).to.equal(`peer:${OTHER_PEER.toString()}`)

      expectRefused('ResourceLimitExceededError', () => { s.setProtocol('/p/1') }, s)
      expect(s.protocolScope).to.be.undefined()
      s.setProtocol('/q/1')

      expectRefused('ResourceLimitExceededError', () => { s.setService('svc') }, s)
      expect(s.serviceScope).to.be.undefined()
      s.setService('other')
      expect(s.serviceScope?.name).to.equal('service:other')
    })

    it('the same peer by another object is the same peer', () => {
      connection().setPeer(PEER)
      connection().setPeer(peerIdFromString(PEER.toString()))

      expect(manager.listPeers()).to.have.lengthOf(1)
      expect(manager.stat().peers.get(PEER.toString())).to.have.property('inboundConnections', 2)
    })
  })

  describe('after done', () => {
    const KINDS: Record<string, () => any> = {
      'a connection': connection,
      'a connection with its peer': () => {
        const scope = connection()
        scope.setPeer(PEER)

        return scope
      },
      'a stream': stream,
      'a stream with its service': fullStream,
      'a span': () => system().beginSpan(),
      'a span of a span': () => system().beginSpan().beginSpan()
    }

    for (const [kind, open] of Object.entries(KINDS)) {
      it(`${kind} accepts nothing`, () => {
        const scope = open()
        const others = [connection(), fullStream()]
        scope.reserveMemory(50)
        scope.done()

        for (const use of [
          () => { scope.reserveMemory(1) },
          () => { scope.reserveMemory(0) },
          () => { scope.beginSpan() },
          () => { scope.setLimit({ memory: 1 }) },
          () => { scope.setPeer?.(PEER) ?? scope.reserveMemory(1) },
          () => { scope.setProtocol?.('/new') ?? scope.reserveMemory(1) },
          () => { scope.setService?.('new') ?? scope.reserveMemory(1) }
        ]) {
          const err = expectRefused('ScopeClosedError', use, scope, ...others)

          expect(err).to.have.property('scope', scope.name)
          expect(err.path).to.deep.equal([scope.name])
          expect(err.message).to.include(scope.name)
        }

        expect(manager.listProtocols()).to.deep.equal(['/p/1'])
        expect(manager.listServices()).to.deep.equal(['svc'])
      })

      it(`${kind} releases nothing, and done again changes nothing`, () => {
        const scope = open()
        const others = [connection(), fullStream()]
        scope.reserveMemory(50)
        scope.done()

        const before = [...scopesOf(manager), ...others.map(scope => scope.stat())]

        scope.releaseMemory(50)
        scope.done()
        scope[Symbol.dispose]()
        scope.done()

        expect([...scopesOf(manager), ...others.map(scope => scope.stat())]).to.deep.equal(before)
        expect(Object.values(scope.stat())).to.deep.equal([0, 0, 0, 0, 0, 0])
      })
    }

    it('a span names its owner as the one that has ended', () => {
      const scope = stream()
      const span = scope.beginSpan().beginSpan()
      scope.done()

      const err = expectRefused('ScopeClosedError', () => { span.reserveMemory(1) }, span)
      expect(err).to.have.property('scope', 'stream-1')
      expect(err.path).to.deep.equal(['stream-1.span-1.span-1', 'stream-1.span-1', 'stream-1'])
    })
  })

  describe('releasing more than was reserved', () => {
    it('gives back what was reserved in this scope', () => {
      const scope = fullStream()
      const neighbour = fullStream()

      scope.releaseMemory(1_000)

      expect(scope.stat().memory).to.equal(0)
      expect(neighbour.stat().memory).to.equal(100)
      for (const [name, stat] of scopesOf(manager)) {
        expect(stat.memory, name).to.equal(name.startsWith('transient') || name.startsWith('allowlisted') ? 0 : 100)
      }
    })

    it('spares what its spans hold', () => {
      const scope = stream()
      const span = scope.beginSpan()
      span.reserveMemory(70)
      scope.reserveMemory(30)

      scope.releaseMemory(100)

      expect(scope.stat().memory).to.equal(70)
      expect(span.stat().memory).to.equal(70)
      expect(manager.stat().system.memory).to.equal(70)

      span.releaseMemory(100)
      expect(scope.stat().memory).to.equal(0)
      expect(manager.stat().system.memory).to.equal(0)
    })

    it('spares what the scopes below hold', () => {
      const scope = fullStream()

      for (const above of [scope.peerScope, scope.protocolScope, scope.serviceScope, system()]) {
        above?.releaseMemory(100)
        expect(above?.stat().memory).to.equal(100)
      }

      expect(manager.stat().system.memory).to.equal(100)
    })

    it('is told, releasing all of it is not', () => {
      const told: any[] = []
      const registry = new ScopeRegistry(
        new ScopeEnvironment({ overReleased: (scope, released, held) => { told.push([scope.name, released, held]) } }),
        new LimitTable(manager.limits())
      )
      const scope = registry.openStream(PEER, 'inbound')
      scope.reserveMemory(10)
      scope.releaseMemory(4)
      scope.releaseMemory(6)
      scope.releaseMemory(0)
      expect(told).to.be.empty()

      scope.reserveMemory(3)
      scope.releaseMemory(5)
      scope.releaseMemory(1)
      expect(told).to.deep.equal([['stream-1', 5, 3], ['stream-1', 1, 0]])

      scope.done()
      scope.releaseMemory(1)
      expect(told).to.have.lengthOf(2)
    })

    it('gives back in one scope only what was reserved in that one', () => {
      const peer = manager.viewPeer(PEER, scope => scope)
      peer.reserveMemory(10)
      system().reserveMemory(5)

      system().releaseMemory(100)

      expect(manager.stat().system.memory).to.equal(10)
      expect(peer.stat().memory).to.equal(10)
    })
  })

  describe('views', () => {
    it('return what the callback returns', () => {
      expect(manager.viewSystem(() => 1)).to.equal(1)
      expect(manager.viewTransient(scope => scope.name)).to.equal('transient')
      expect(manager.viewPeer(PEER, scope => scope.peer.toString())).to.equal(PEER.toString())
      expect(manager.viewProtocol('/p/1', scope => scope.protocol)).to.equal('/p/1')
      expect(manager.viewService('svc', scope => scope.service)).to.equal('svc')
    })

    it('keep their scope from collection until a promise resolves', async () => {
      const deferred = Promise.withResolvers<string>()
      const views = viewAll(async () => deferred.promise)

      await Promise.resolve()
      manager.removeUnusedScopes()
      expectScopes(true)

      deferred.resolve('done')
      expect(await Promise.all(views)).to.deep.equal(['done', 'done', 'done'])

      manager.removeUnusedScopes()
      expectScopes(false)
    })

    it('keep their scope from collection until a promise rejects, and pass the rejection on', async () => {
      const deferred = Promise.withResolvers<void>()
      const boom = new Error('boom')
      const views = viewAll(async () => deferred.promise)

      manager.removeUnusedScopes()
      expectScopes(true)

      deferred.reject(boom)
      expect(await Promise.allSettled(views)).to.deep.equal([
        { status: 'rejected', reason: boom }, { status: 'rejected', reason: boom }, { status: 'rejected', reason: boom }
      ])

      manager.removeUnusedScopes()
      expectScopes(false)
    })

    it('keep their scope from collection while any of several views runs', async () => {
      const first = Promise.withResolvers<void>()
      const second = Promise.withResolvers<void>()
      const views = [manager.viewPeer(PEER, async () => first.promise), manager.viewPeer(PEER, async () => second.promise)]

      first.resolve()
      await views[0]
      manager.removeUnusedScopes()
      expect(manager.listPeers()).to.have.lengthOf(1)

      second.resolve()
      await views[1]
      manager.removeUnusedScopes()
      expect(manager.listPeers()).to.be.empty()
    })

    it('do not keep their scope when the callback throws', () => {
      for (const view of [
        () => { manager.viewPeer(PEER, fail) },
        () => { manager.viewProtocol('/p/1', fail) },
        () => { manager.viewService('svc', fail) }
      ]) {
        expect(thrown(view)).to.have.property('message', 'callback')
      }

      manager.removeUnusedScopes()
      expectScopes(false)
    })

    it('keep their scope while the callback runs', () => {
      manager.viewPeer(PEER, scope => {
        manager.removeUnusedScopes()
        scope.reserveMemory(10)
        scope.releaseMemory(10)
      })

      expect(manager.listPeers()).to.have.lengthOf(1)
      expectNothingHeld()
    })

    it('see the same scope every time', () => {
      manager.viewPeer(PEER, scope => { scope.reserveMemory(10) })
      manager.viewPeer(peerIdFromString(PEER.toString()), scope => { scope.releaseMemory(10) })

      expectNothingHeld()
    })

    function viewAll<T> (fn: (scope: PeerScope | ProtocolScope | ServiceScope) => Promise<T>): Array<Promise<T>> {
      return [manager.viewPeer(PEER, fn), manager.viewProtocol('/p/1', fn), manager.viewService('svc', fn)]
    }

    // services are never collected
    function expectScopes (kept: boolean): void {
      expect(manager.listPeers().map(peer => peer.toString())).to.deep.equal(kept ? [PEER.toString()] : [])
      expect(manager.listProtocols()).to.deep.equal(kept ? ['/p/1'] : [])
      expect(manager.listServices()).to.deep.equal(['svc'])
    }
  })

  describe('odd names', () => {
    for (const name of ODD_NAMES) {
      it(`${JSON.stringify(name)} is a protocol and a service like any other`, () => {
        const scope = stream()
        scope.setProtocol(name)
        scope.setService(name)
        scope.reserveMemory(3)

        expect(manager.listProtocols()).to.deep.equal([name])
        expect(manager.listServices()).to.deep.equal([name])
        expect(scope.protocolScope?.name).to.equal(`protocol:${name}`)
        expect(scope.serviceScope?.name).to.equal(`service:${name}`)
        expect(manager.stat().protocols.get(name)?.memory).to.equal(3)
        expect(manager.stat().services.get(name)?.memory).to.equal(3)
        expect(manager.stat().protocolPeers.get(name)?.get(PEER.toString())?.memory).to.equal(3)
        expect(manager.stat().servicePeers.get(name)?.get(PEER.toString())?.memory).to.equal(3)

        scope.done()
        manager.removeUnusedScopes()
        expect(manager.listProtocols()).to.be.empty()
      })

      it(`${JSON.stringify(name)} has the default limit unless it is given one`, () => {
        const scope = stream()
        scope.setProtocol(name)
        scope.setService(name)

        expect(scope.protocolScope?.limit).to.deep.equal(manager.limits().protocolDefault)
        expect(scope.serviceScope?.limit).to.deep.equal(manager.limits().serviceDefault)
      })

      for (const key of ['protocols', 'protocolPeers', 'services', 'servicePeers'] as const) {
        it(`${JSON.stringify(name)} can be given a limit in ${key}`, () => {
          // in JSON `__proto__` is a key like any other
          manager = create({ limits: JSON.parse(`{ ${JSON.stringify(key)}: { ${JSON.stringify(name)}: { "memory": 5 } } }`) })
          const scope = stream()
          const other = stream()

          other.setProtocol('other')
          other.setService('other')
          other.reserveMemory(6)

          scope.setProtocol(name)
          scope.setService(name)
          scope.reserveMemory(5)

          const err: ResourceLimitExceededError = expectRefused('ResourceLimitExceededError', () => { scope.reserveMemory(1) }, scope)

          expect(err).to.have.property('kind', key.slice(0, -1))
          expect(err).to.have.property('option', `limits.${key}[${JSON.stringify(name)}].memory`)
          expect(err).to.have.property('limit', 5)
        })
      }
    }
  })

  describe('limits of a scope', () => {
    it('may be bigints', () => {
      manager = create({ limits: { system: { memory: 2n ** 62n, streams: 2n ** 60n }, transient: { connections: 1n, memory: 100n } } })
      const scope = connection()
      scope.reserveMemory(100)

      expectRefused('ResourceLimitExceededError', () => { connection() })
      expectRefused('ResourceLimitExceededError', () => { scope.reserveMemory(1) })

      system().reserveMemory(Number.MAX_SAFE_INTEGER - 100)
      expect(manager.stat().system.memory).to.equal(Number.MAX_SAFE_INTEGER)

      // it could not be counted exactly, whatever the limit
      const err = expectRefused('ResourceLimitExceededError', () => { system().reserveMemory(1) })
      expect(err).to.have.property('limit', 2n ** 62n)
    })

    it('of 0 let nothing through, of Infinity everything', () => {
      manager = create({ limits: { connection: { memory: 0 }, stream: { memory: Infinity }, peerDefault: { memory: Infinity }, transient: { memory: Infinity }, system: { memory: Infinity } } })
      const c = connection()

      c.reserveMemory(0)
      expectRefused('ResourceLimitExceededError', () => { c.reserveMemory(1) }, c)
      stream().reserveMemory(Number.MAX_SAFE_INTEGER)
      expect(manager.stat().system.memory).to.equal(Number.MAX_SAFE_INTEGER)
    })

    it('can be changed, but only to what makes sense', () => {
      const scope = stream()
      const before = scope.limit

      for (const [limit, path] of [
        [{ memory: -1 }, 'limits.stream.memory'],
        [{ memory: 1, bytes: 1 }, 'limits.stream.bytes'],
        [null, 'limits.stream'],
        [5, 'limits.stream']
      ] as any[]) {
        const err = expectRefused('InvalidLimitError', () => { scope.setLimit(limit) }, scope)

        expect(err).to.have.property('path', path)
        expect(scope.limit).to.equal(before)
      }

      scope.setLimit({ memory: 10 })
      expect(scope.limit).to.deep.equal({ ...before, memory: 10 })
      expectRefused('ResourceLimitExceededError', () => { scope.reserveMemory(11) }, scope)

      scope.setLimit({ streams: 5 })
      expect(scope.limit).to.deep.equal({ ...before, memory: 10, streams: 5 })
    })

    it('do not keep a scope from collection if setting them failed', () => {
      expect(thrown(() => manager.viewPeer(PEER, scope => { scope.setLimit({ memory: -1 }) }))).to.have.property('name', 'InvalidLimitError')
      manager.removeUnusedScopes()
      expect(manager.listPeers()).to.be.empty()

      manager.viewPeer(PEER, scope => { scope.setLimit({ memory: 1 }) })
      manager.removeUnusedScopes()
      expect(manager.listPeers()).to.have.lengthOf(1)
      expect(manager.viewPeer(PEER, scope => scope.limit.memory)).to.equal(1)
    })

    it('cannot be changed by what they are read from', () => {
      expect(Object.isFrozen(system().limit)).to.be.true()
      expect(Object.isFrozen(stream().limit)).to.be.true()
    })

    it('are not those of the same scope after it was collected', () => {
      const limits: Limits = { peerDefault: { memory: 7 } }
      manager = create({ limits })
      const first = manager.viewPeer(PEER, scope => scope)
      manager.removeUnusedScopes()
      const second = manager.viewPeer(PEER, scope => scope)

      expect(second).to.not.equal(first)
      expect(second.limit.memory).to.equal(7)
    })
  })

  describe('file descriptors', () => {
    it('are not asked of a connection that uses none', () => {
      manager = create({ limits: { system: { fileDescriptors: 1 } } })
      connection()
      expectRefused('ResourceLimitExceededError', () => { connection() })
      manager.openConnection('inbound', false, ENDPOINT)

      // also where more are in use than may be
      system().setLimit({ fileDescriptors: 0 })
      manager.openConnection('outbound', false, ENDPOINT).setPeer(PEER)
      expect(manager.stat().system).to.include({ fileDescriptors: 1, inboundConnections: 2, outboundConnections: 1 })
    })
  })

  describe('priorities', () => {
    it('are the highest if none is given', () => {
      manager = create({ limits: { system: { memory: 256 } } })
      system().reserveMemory(256)

      const err = expectRefused('ResourceLimitExceededError', () => { system().reserveMemory(1) })
      expect(err).to.have.property('priority', ReservationPriority.Always)
    })

    it('are told by the refusal', () => {
      manager = create({ limits: { system: { memory: 256 } } })
      system().reserveMemory(102, ReservationPriority.Low)

      const err = expectRefused('ResourceLimitExceededError', () => { system().reserveMemory(1, ReservationPriority.Low) })
      expect(err).to.have.property('priority', 101)
      expect(err.message).to.include('101').and.include('102/256')
    })
  })

  function expectNothingHeld (): void {
    for (const [name, stat] of scopesOf(manager)) {
      expect(Object.values(stat), name).to.deep.equal([0, 0, 0, 0, 0, 0])
    }
  }
})

function fail (): never {
  throw new Error('callback')
}

function thrown (fn: () => void): any {
  try {
    fn()
  } catch (err) {
    return err
  }

  throw new Error('Nothing was thrown')
}

function describeValue (value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'an array' : 'an object'
  }

  return typeof value === 'string' ? JSON.stringify(value) : `${typeof value} ${String(value)}`
}
