/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { ScopeRegistry } from '../../src/core/scope-registry.ts'
import { ScopeEnvironment } from '../../src/core/scope.ts'
import { ByService, ServiceNames } from '../../src/core/service-names.ts'
import { scaleLimits } from '../../src/limits/defaults.ts'
import { LimitTable } from '../../src/limits/limits.ts'
import { PEER } from '../fixtures/peers.ts'

const ODD = ['__proto__', 'constructor', 'toString', '', 'libp2p.ping']

describe('the names of services', () => {
  let names: ServiceNames

  beforeEach(() => {
    names = new ServiceNames()
  })

  it('stand for themselves unless said otherwise', () => {
    for (const name of ODD) {
      expect(names.canonical(name)).to.equal(name)
    }
  })

  for (const name of ODD) {
    it(`may be ${JSON.stringify(name)}`, () => {
      names.alias(name, 'service')
      expect(names.canonical(name)).to.equal('service')
      expect(names.canonical('service')).to.equal('service')

      const other = new ServiceNames()
      other.alias('service', name)
      expect(other.canonical('service')).to.equal(name)
    })
  }

  it('do not change once it is said what they stand for', () => {
    const asked: string[] = []
    names.onAlias = (name, canonical) => { asked.push(`${name} ${canonical}`) }
    names.keep('kept')
    names.alias('kept', 'a')
    names.alias('b', 'a')
    names.alias('b', 'c')
    names.alias('a', 'a')

    expect(['a', 'b', 'c', 'kept'].map(name => names.canonical(name))).to.deep.equal(['a', 'a', 'c', 'kept'])
    expect(asked).to.deep.equal(['b a'])
  })

  it('stay what they are if there are objections', () => {
    names.onAlias = () => { throw new Error('Objection') }

    expect(() => { names.alias('a', 'b') }).to.throw('Objection')
    expect(names.canonical('a')).to.equal('a')
  })

  it('all find what is kept by service, which is listed once', () => {
    names.alias('other', 'service')
    const map = new ByService([['service', 1], ['__proto__', 2]], names)

    expect(map.get('other')).to.equal(1)
    expect(map.get('service')).to.equal(1)
    expect(map.get('__proto__')).to.equal(2)
    expect(map.has('other')).to.be.true()
    expect(map.has('another')).to.be.false()
    expect([...map]).to.deep.equal([['service', 1], ['__proto__', 2]])
    expect(map.size).to.equal(2)
  })
})

describe('the scope of a service that has another name', () => {
  let names: ServiceNames
  let registry: ScopeRegistry

  beforeEach(() => {
    names = new ServiceNames()
    registry = new ScopeRegistry(new ScopeEnvironment({ blocked: () => {}, overReleased: () => {} }), new LimitTable(scaleLimits({ memory: 2 ** 30, fileDescriptors: 0 })), undefined, names)
    names.onAlias = (name, canonical) => { registry.renameService(name, canonical) }
  })

  function openStream (service: string): { done(): void } {
    const stream = registry.openStream(PEER, 'inbound')
    stream.setProtocol('/p/1')
    stream.setService(service)

    return stream
  }

  it('is the one of its first name, with what is in it', () => {
    const stream = openStream('first')
    const scope = registry.serviceScope('first')
    const scopeOfPeer = scope.forPeer(registry.peerScope(PEER))
    names.alias('first', 'service')

    expect(registry.serviceScope('service')).to.equal(scope)
    expect(registry.serviceScope('first')).to.equal(scope)
    expect(scope).to.include({ service: 'service', key: 'service', name: 'service:service', option: 'limits.services["service"]' })
    expect(scopeOfPeer).to.include({ key: 'service', name: `service:service.peer:${PEER}`, option: 'limits.servicePeers["service"]' })
    expect(registry.listServices()).to.deep.equal(['service'])
    expect(registry.stat().services.get('first')?.inboundStreams).to.equal(1)

    openStream('first').done()
    stream.done()
    expect(registry.stat().services.get('service')?.inboundStreams).to.equal(0)
    expect(registry.stat().system.inboundStreams).to.equal(0)
  })

  it('is the one that it has, if there are two, and the other gives back what it holds', () => {
    const stream = openStream('first')
    const other = openStream('service')
    names.alias('first', 'service')

    expect(registry.serviceScope('first')).to.equal(registry.serviceScope('service'))
    expect(registry.stat().services.get('first')?.inboundStreams).to.equal(1)
    expect([...registry.stat().services.entries()].map(([name, { inboundStreams }]) => [name, inboundStreams])).to.deep.equal([['first', 1], ['service', 1]])

    stream.done()
    other.done()
    expect([...registry.stat().services.values()].map(({ inboundStreams }) => inboundStreams)).to.deep.equal([0, 0])
    expect(registry.stat().system.inboundStreams).to.equal(0)
  })
})
