import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../src/index.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import { nonZero, scopesOf } from '../fixtures/vectors-scenarios.ts'
import type { ConnectionManagementScope, DefaultResourceManager } from '../../src/index.ts'

const ALLOWED = multiaddr('/ip4/192.0.2.1/tcp/4001')
const ORDINARY = multiaddr('/ip4/198.51.100.1/tcp/4001')

describe('streams of a peer with an allowlisted connection', () => {
  const peer = `peer:${PEER.toString()}`
  let manager: DefaultResourceManager

  beforeEach(() => {
    manager = createResourceManager({
      limits: { system: { streams: 1 } },
      allowlist: ['/ip4/192.0.2.1'],
      memory: 2 ** 30,
      fileDescriptors: 1_000
    })
    manager.close()
    // no room for another stream in the ordinary scopes
    manager.openStream(OTHER_PEER, 'inbound')
  })

  function connect (endpoint: typeof ALLOWED): ConnectionManagementScope {
    const connection = manager.openConnection('inbound', true, endpoint)
    connection.setPeer(PEER)

    return connection
  }

  /**
   * What is held but for the stream of the other peer and connections
   */
  function held (): Record<string, any> {
    return Object.fromEntries(Object.entries(nonZero(scopesOf(manager)))
      .map(([name, { inboundConnections, fileDescriptors, ...rest }]): [string, any] => [name, rest])
      .filter(([name, stat]) => name !== `peer:${OTHER_PEER.toString()}` && Object.keys(stat).length > 0))
  }

  it('count in the allowlisted scopes, and only there, with their protocol and service', () => {
    connect(ALLOWED)
    const before = held()
    const stream = manager.openStream(PEER, 'inbound')
    const span = stream.beginSpan()
    const counts = { inboundStreams: 1, memory: 15 }
    const ordinary = { system: { inboundStreams: 1 }, transient: { inboundStreams: 1 } }
    stream.reserveMemory(10)
    span.reserveMemory(5)

    expect(held()).to.deep.equal({ ...ordinary, allowlistedSystem: counts, allowlistedTransient: counts, [peer]: counts })

    stream.setProtocol('/p/1')
    const named = { [peer]: counts, 'protocol:/p/1': counts, [`protocol:/p/1.${peer}`]: counts }
    expect(held()).to.deep.equal({ ...ordinary, allowlistedSystem: counts, ...named })

    // what is taken from now on counts there as well
    span.reserveMemory(100)
    expect(held().system).to.deep.equal(ordinary.system)
    expect(held().allowlistedSystem).to.deep.equal({ inboundStreams: 1, memory: 115 })
    span.releaseMemory(100)
    expect(held()).to.deep.equal({ ...ordinary, allowlistedSystem: counts, ...named })

    stream.setService('svc')
    span.reserveMemory(100)
    expect(held().system).to.deep.equal(ordinary.system)
    expect(held().allowlistedSystem).to.deep.equal({ inboundStreams: 1, memory: 115 })
    span.releaseMemory(100)
    expect(held()).to.deep.equal({ ...ordinary, allowlistedSystem: counts, ...named, 'service:svc': counts, [`service:svc.${peer}`]: counts })

    stream.done()
    expect(held()).to.deep.equal(before)
  })

  it('may use them while any connection is allowlisted, whatever happens to the others', () => {
    const allowed = [connect(ALLOWED), connect(ALLOWED)]
    const ordinary = connect(ORDINARY)

    ordinary.done()
    ordinary.done()
    allowed[0].done()
    allowed[0].done()
    allowed[0][Symbol.dispose]()
    manager.openStream(PEER, 'inbound').done()

    allowed[1].done()
    expect(() => manager.openStream(PEER, 'inbound')).to.throw().with.property('name', 'ResourceLimitExceededError')

    // and again later
    connect(ORDINARY).done()
    connect(ALLOWED)
    manager.openStream(PEER, 'inbound').done()
  })

  it('of another peer may not', () => {
    connect(ALLOWED)
    expect(() => manager.openStream(OTHER_PEER, 'inbound')).to.throw().with.property('scope', 'system')
  })
})
