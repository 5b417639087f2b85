import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import sinon from 'sinon'
import { Admission } from '../../src/admission/admission.ts'
import { ScopeRegistry } from '../../src/core/scope-registry.ts'
import { ScopeEnvironment } from '../../src/core/scope.ts'
import { createResourceManager, scaleLimits } from '../../src/index.ts'
import { LimitTable } from '../../src/limits/limits.ts'
import { StaleScopes } from '../../src/observe/stale-scopes.ts'
import { keepLog } from '../fixtures/log.ts'
import { PEER } from '../fixtures/peers.ts'
import type { DefaultResourceManager, OpenConnection, OpenStream, ResourceManagerInit } from '../../src/index.ts'
import type { KeptLog } from '../fixtures/log.ts'

const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')

describe('what stays transient', () => {
  let clock: sinon.SinonFakeTimers
  let kept: KeptLog
  let manager: DefaultResourceManager
  let stale: Array<OpenConnection | OpenStream>

  beforeEach(() => {
    clock = sinon.useFakeTimers()
    kept = keepLog()
  })

  afterEach(() => {
    manager.close()
    clock.restore()
  })

  function manage (init: ResourceManagerInit = {}): void {
    manager = createResourceManager(init)
    stale = []
    manager.addEventListener('stale', ({ detail }) => { stale.push(detail) })
  }

  it('for more than a minute is told, once, with all that is known of it', () => {
    manage()
    const connection = manager.openConnection('inbound', true, ENDPOINT)
    connection.reserveMemory(100)
    clock.tick(2_000)
    const stream = manager.openStream(PEER, 'outbound')
    stream.reserveMemory(7)

    clock.tick(58_000)
    expect(stale).to.be.empty()

    clock.tick(5_000)
    expect(stale.map(({ age, ...rest }) => rest)).to.deep.equal([
      { scope: 'conn-1', direction: 'inbound', peer: undefined, endpoint: ENDPOINT, fileDescriptors: 1, memory: 100 },
      { scope: 'stream-1', direction: 'outbound', peer: PEER, protocol: undefined, service: undefined, memory: 7 }
    ])
    expect(stale.map(({ age }) => age)).to.deep.equal([65, 63])

    clock.tick(600_000)
    expect(stale).to.have.lengthOf(2)

    connection.done()
    stream.done()
  })

  it('is not what has its peer or protocol, or has ended', () => {
    manage({ allowlist: ['/ip4/192.0.2.1'] })
    manager.openConnection('inbound', true, ENDPOINT).setPeer(PEER)
    manager.openConnection('inbound', true, ENDPOINT).done()
    manager.openStream(PEER, 'inbound').setProtocol('/p/1')
    manager.openStream(PEER, 'inbound').done()

    clock.tick(600_000)
    expect(stale).to.be.empty()

    // nor does one that is transient make it so
    const late = manager.openStream(PEER, 'inbound')
    manager.openConnection('outbound', true, ENDPOINT)
    clock.tick(70_000)
    expect(stale.map(({ scope }) => scope)).to.have.members(['stream-3', 'conn-3'])
    late.setProtocol('/p/1')
  })

  it('is found in the allowlisted scopes as well', () => {
    manage({ limits: { system: { connections: 0 } }, allowlist: ['/ip4/192.0.2.1'] })
    manager.openConnection('inbound', true, ENDPOINT)

    clock.tick(70_000)
    expect(stale).to.have.lengthOf(1)
    expect(manager.stat().allowlistedTransient.inboundConnections).to.equal(1)
  })

  it('may be so for as long as an option says, or for ever', () => {
    manage({ maxTransientAge: 5_000 })
    manager.openStream(PEER, 'inbound')
    clock.tick(5_000)
    expect(stale).to.be.empty()
    clock.tick(5_000)
    expect(stale).to.have.lengthOf(1)
    manager.close()

    manage({ maxTransientAge: Infinity })
    manager.openStream(PEER, 'inbound')
    clock.tick(3_600_000)
    expect(stale).to.be.empty()
  })

  it('may be ended by who is told', () => {
    manage()
    const connections = Array.from({ length: 20 }, () => manager.openConnection('inbound', true))
    manager.addEventListener('stale', () => {
      connections.forEach(connection => { connection.done() })
      manager.openConnection('inbound', true)
    })

    clock.tick(70_000)
    expect(stale.map(({ scope }) => scope)).to.deep.equal(connections.map(({ name }) => name))
  })

  it('is in the log, a leak of thousands in a few lines', () => {
    manage()
    const registry = new ScopeRegistry(new ScopeEnvironment(), new LimitTable(scaleLimits({ memory: 2 ** 40, fileDescriptors: 10_000 })))
    const scopes = new StaleScopes(registry, { maxAge: 60, log: kept.log, onStale: () => {} })
    const pass = (seconds: number): void => {
      for (let i = 0; i < seconds; i++) {
        registry.seconds++
        scopes.beat()
      }
    }

    registry.openConnection('inbound', true).reserveMemory(100)
    pass(70)
    expect(kept.errors).to.deep.equal(['conn-1, an inbound connection, has shown no peer for 65 seconds and holds 100 B of memory: it takes a place in the transient scope until it ends'])

    const count = 500
    Array.from({ length: count }, () => registry.openStream(PEER, 'outbound'))
    pass(70)
    expect(kept.errors).to.have.lengthOf(12)
    expect(kept.errors[1]).to.equal(`stream-1, an outbound stream of ${PEER}, has no protocol for 65 seconds and holds 0 B of memory: it takes a place in the transient scope until it ends`)
    expect(kept.errors.at(-1)).to.equal(`${count - 10} more connections and streams are as old, and not set up yet`)
  })

  it('has one line in the log, whatever is in its address', () => {
    manage()
    const registry = new ScopeRegistry(new ScopeEnvironment(), new LimitTable(scaleLimits({ memory: 2 ** 40, fileDescriptors: 10_000 })))
    const scopes = new StaleScopes(registry, { maxAge: 0, log: kept.log, onStale: () => {} })
    const admission = new Admission()
    registry.openConnection('outbound', true, admission.connection('outbound', multiaddr('/dns4/a\nlibp2p: all is well\u001b[2J\u009b31m\u202e/tcp/1')))

    for (let i = 0; i < 5; i++) {
      registry.seconds++
      scopes.beat()
    }

    expect(kept.errors).to.have.lengthOf(1)
    expect(kept.errors[0]).to.include('/dns4/a�libp2p: all is well�[2J�31m�/tcp/1')
  })

  it('is looked for only while the manager runs', () => {
    const timers = clock.countTimers()
    manage()
    expect(clock.countTimers()).to.be.greaterThan(timers)
    manager.openStream(PEER, 'inbound')
    manager.close()

    expect(clock.countTimers()).to.equal(timers)
    clock.tick(600_000)
    expect(stale).to.be.empty()
  })
})
