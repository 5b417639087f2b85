import { expect } from 'aegir/chai'
import { RESOURCES } from '../../src/core/limit.ts'
import { createResourceManager, InvalidLimitError, scaleLimits } from '../../src/index.ts'
import { resolveLimits } from '../../src/limits/limits.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import type { ConcreteLimit, ConcreteLimits, Limits, ResourceManagerInit } from '../../src/index.ts'

const defaults = scaleLimits({ memory: 2 ** 30, fileDescriptors: 1024 })

function limitsWith (init: ResourceManagerInit): ConcreteLimits {
  const manager = createResourceManager({ memory: 2 ** 30, fileDescriptors: 1024, ...init })
  manager.close()

  return manager.limits()
}

describe('options', () => {
  describe('that do not exist are errors', () => {
    for (const name of ['limit', 'Limits', 'maxMemory', 'maxConnections', 'allowList', 'service', 'gcInterval', '__proto__', 'constructor', '']) {
      it(JSON.stringify(name), () => {
        // in JSON `__proto__` is a key like any other
        expect(() => createResourceManager(JSON.parse(`{${JSON.stringify(name)}: {}}`)))
          .to.throw(InvalidLimitError).that.deep.includes({ path: name, value: {} })
          .with.property('allowed').that.includes('limits').and.includes('collectionInterval')
        expect(({} as any).limits).to.be.undefined()
      })
    }
  })

  describe('that make no sense are errors', () => {
    const WRONG: Record<string, unknown[]> = {
      memory: [-1, 0.5, NaN, Infinity, 2 ** 53, '1', 1n, null, {}],
      fileDescriptors: [-1, 0.5, NaN, Infinity, '1', null],
      collectionInterval: [0, -1, 0.5, NaN, Infinity, '60000', null],
      logInterval: [0, -1, 0.5, NaN, Infinity, 2 ** 31, '10000', null],
      maxTransientAge: [0, -1, 0.5, NaN, 2 ** 53, '60', null],
      enforce: ['false', 0, null],
      allowlist: ['/ip4/192.0.2.1', null, {}],
      services: [null, [], 'svc'],
      now: [5, null]
    }

    for (const [name, values] of Object.entries(WRONG)) {
      for (const value of values) {
        it(`${name}: ${typeof value} ${JSON.stringify(value, (_, v) => typeof v === 'bigint' ? `${v}n` : v)}`, () => {
          const err = thrown(() => createResourceManager({ [name]: value } as any))

          expect(err).to.be.an.instanceOf(InvalidLimitError)
          expect(err).to.have.property('path', name)
          expect(Object.is(err.value, value)).to.be.true()
          expect(err).to.have.property('allowed').that.is.a('string').and.is.not.empty()
          expect(err.message).to.include(name).and.include(err.allowed)
        })
      }
    }

    for (const init of [null, [], 'limits', 5, true] as any[]) {
      it(`all of them: ${JSON.stringify(init)}`, () => {
        expect(() => createResourceManager(init)).to.throw(InvalidLimitError).with.property('value', init)
      })
    }

    it('an interval that no timer can hold, a timer would run every millisecond instead', () => {
      for (const collectionInterval of [2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
        expect(() => { createResourceManager({ collectionInterval }).close() }, String(collectionInterval)).to.throw(InvalidLimitError)
      }

      createResourceManager({ collectionInterval: 2 ** 31 - 1 }).close()
    })
  })

  it('may be undefined', () => {
    createResourceManager(undefined).close()
    createResourceManager({ limits: undefined, memory: undefined, fileDescriptors: undefined, collectionInterval: undefined, services: undefined, allowlist: undefined, logInterval: undefined, maxTransientAge: undefined, enforce: undefined, now: undefined }).close()
  })
})

describe('values of limits', () => {
  it('0 lets nothing through and is not the same as left out', () => {
    const { system } = limitsWith({ limits: { system: Object.fromEntries(RESOURCES.map(resource => [resource, 0])) } })

    for (const resource of RESOURCES) {
      expect(system[resource], resource).to.equal(0)
    }
  })

  it('-0 is 0', () => {
    expect(Object.is(limitsWith({ limits: { system: { memory: -0 } } }).system.memory, 0)).to.be.true()
  })

  it('Infinity lets everything through', () => {
    const { stream } = limitsWith({ limits: { stream: Object.fromEntries(RESOURCES.map(resource => [resource, Infinity])) } })

    for (const resource of RESOURCES) {
      expect(stream[resource], resource).to.equal(Infinity)
    }
  })

  it('undefined inherits', () => {
    const limits = limitsWith({})

    expect(limitsWith({ limits: {} })).to.deep.equal(limits)
    expect(limitsWith({ limits: { system: undefined, services: undefined, peers: {} } })).to.deep.equal(limits)
    expect(limitsWith({ limits: { transient: {}, protocols: { '/x': undefined as any } } }).transient).to.deep.equal(limits.transient)
    expect(limitsWith({ limits: { system: Object.fromEntries(RESOURCES.map(resource => [resource, undefined])) } })).to.deep.equal(limits)
  })

  it('a bigint is a number where that is exact', () => {
    const { system } = limitsWith({ limits: { system: { memory: 5n, streams: 2n ** 53n - 1n, connections: 2n ** 53n, fileDescriptors: 2n ** 63n - 1n } } })

    expect(system).to.include({ memory: 5, streams: Number.MAX_SAFE_INTEGER, connections: 2n ** 53n, fileDescriptors: 2n ** 63n - 1n })
  })

  it('what is given is not changed, nor are the defaults', () => {
    const given: Limits = { system: { memory: 1 }, services: { svc: { streams: 1 } } }
    const before = structuredClone(given)
    const defaultsBefore = structuredClone(defaults)

    resolveLimits(given, defaults)

    expect(given).to.deep.equal(before)
    expect(defaults).to.deep.equal(defaultsBefore)
  })

  it('cannot be changed by what they are read from', () => {
    const manager = createResourceManager({ limits: { protocolDefault: { streams: 1 } } })
    manager.close()

    const limits: any = manager.limits()
    const raised = { ...limits.protocolDefault, streams: 1_000 }

    for (const change of [
      () => { limits.protocolDefault.streams = 1_000 },
      () => { limits.protocolDefault = raised },
      () => { limits.protocols['/x'] = raised }
    ]) {
      try {
        change()
      } catch {
        // frozen
      }
    }

    expect(manager.viewProtocol('/x', scope => scope.limit.streams)).to.equal(1)
  })
})

describe('named limits', () => {
  const KINDS = [
    ['services', 'serviceDefault', 'libp2p.ping'],
    ['servicePeers', 'servicePeerDefault', 'libp2p.ping'],
    ['protocols', 'protocolDefault', '/ipfs/ping/1.0.0'],
    ['protocolPeers', 'protocolPeerDefault', '/ipfs/ping/1.0.0']
  ] as const

  for (const [key, fallback, known] of KINDS) {
    it(`in ${key} take what they leave out from the defaults' entry of that name`, () => {
      const limits = resolveLimits({ [key]: { [known]: { memory: 1 } }, [fallback]: { memory: 2, streams: 3 } }, defaults)

      expect(limits[key][known]).to.deep.equal({ ...defaults[key][known], memory: 1 })
    })

    it(`in ${key} take it from ${fallback} as it is configured, if there is no such entry`, () => {
      const limits = resolveLimits({ [key]: { unknown: { memory: 1 } }, [fallback]: { memory: 2, streams: 3 } }, defaults)

      expect(limits[key].unknown).to.deep.equal({ ...defaults[fallback], memory: 1, streams: 3 })
    })

    it(`in ${key} that are not given stay as they are`, () => {
      const limits = resolveLimits({ [key]: { unknown: { memory: 1 } }, [fallback]: { memory: 2 } }, defaults)

      expect(limits[key][known]).to.deep.equal(defaults[key][known])
    })
  }

  it('of peers are those of that peer only', () => {
    const given: Limits = { peerDefault: { connections: 4 }, peers: { [PEER.toString()]: { memory: 7 } } }
    const manager = createResourceManager({ limits: given })
    manager.close()

    const limitOf = (peer: typeof PEER): ConcreteLimit => manager.viewPeer(peer, scope => scope.limit)

    expect(limitOf(PEER)).to.include({ connections: 4, memory: 7 })
    expect(limitOf(OTHER_PEER)).to.deep.equal(manager.limits().peerDefault)
    expect(limitOf(OTHER_PEER)).to.have.property('connections', 4)
  })

  it('in a Map, which stat() gives, are an error and not ignored', () => {
    for (const limits of [
      { protocols: new Map([['/x', { streams: 1 }]]) },
      { peers: new Map([[PEER.toString(), { streams: 1 }]]) },
      new Map([['system', { streams: 1 }]]),
      { system: new Map([['streams', 1]]) }
    ] as any[]) {
      expect(() => { createResourceManager({ limits }).close() }).to.throw(InvalidLimitError)
    }
  })
})

function thrown (fn: () => void): any {
  try {
    fn()
  } catch (err) {
    return err
  }

  throw new Error('Nothing was thrown')
}
