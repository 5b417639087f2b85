/**
 * @file What the metrics of a node say is what its manager says, whichever
 * implementation of metrics the node has.
 */

import { expect } from 'aegir/chai'
import Sinon from 'sinon'
import { BASE_MEMORY } from '../../src/limits/base-memory.ts'
import { IMPLEMENTATIONS } from '../fixtures/metrics-implementations.ts'
import { connect, createNode, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import { readUntil } from '../fixtures/prometheus-server.ts'
import type { ScopeStat } from '../../src/index.ts'
import type { ReadableMetrics } from '../fixtures/metrics-implementations.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'

const ECHO = '/echo/1.0.0'

/** What markup and quotes would do damage with, were they not escaped */
const NASTY = '/"><script>alert(1)</script>\n{le="1"} 7\\/1.0.0'

Object.entries(IMPLEMENTATIONS).forEach(([implementation, createReadable]) => describe(`the metrics of a node with ${implementation}`, () => {
  let nodes: TestNode[]
  let readable: ReadableMetrics

  beforeEach(() => {
    nodes = []
    readable = createReadable()
  })

  afterEach(async () => {
    await stopAll(...nodes)
    await readable.stop()
  })

  async function create (init: NodeInit = {}): Promise<TestNode> {
    const node = await createNode(init)
    nodes.push(node)

    return node
  }

  async function createMeasured (init: NodeInit = {}): Promise<TestNode> {
    return create({ ...init, options: { metrics: readable.metrics } })
  }

  /**
   * The values of a metric by label, none if there is nothing to tell
   */
  async function read (name: string): Promise<Record<string, number>> {
    return (await readable.readAll()).get(`libp2p_resource_manager_${name}`)?.values ?? {}
  }

  function fields (stats: Map<string, ScopeStat>, field: keyof ScopeStat): Record<string, number> {
    return Object.fromEntries([...stats].map(([name, stat]) => [name, stat[field]]))
  }

  it('show use, limits and refusals as the manager has them', async () => {
    const listener = await createMeasured({ limits: { protocolPeers: { [ECHO]: { inboundStreams: 2 } } } })
    const dialer = await create()
    let refused = 0
    managerOf(listener).addEventListener('blocked', () => { refused++ })

    const connection = await connect(dialer, listener)
    const streams = [await connection.newStream(ECHO), await connection.newStream(ECHO)]
    await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 2)

    // what is one too many is reset by the listener
    const refuse = async (): Promise<void> => {
      const before = refused
      const stream = await connection.newStream(ECHO)
      await eventually(() => stream.status !== 'open' && refused === before + 1)
    }

    await refuse()

    const { system, protocols, services, transient } = managerOf(listener).stat()
    const limits = managerOf(listener).limits()
    const none = { streams: 0, connections: 0, inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0, memory: 0 }

    expect(system).to.include({ inboundStreams: 2, inboundConnections: 1 })
    expect(await read('system')).to.deep.equal({ ...system, streams: 2, connections: 1 })
    expect(await read('transient')).to.deep.equal({ ...transient, streams: 0, connections: 0 })
    expect(await read('allowlisted_system')).to.deep.equal(none)
    expect(await read('allowlisted_transient')).to.deep.equal(none)
    expect(await read('system_limit')).to.deep.equal({ ...limits.system })
    expect(await read('transient_limit')).to.deep.equal({ ...limits.transient })
    expect(await read('allowlisted_system_limit')).to.deep.equal({ ...limits.allowlistedSystem })
    expect(await read('allowlisted_transient_limit')).to.deep.equal({ ...limits.allowlistedTransient })

    for (const [name, field] of [['inbound_streams', 'inboundStreams'], ['outbound_streams', 'outboundStreams'], ['memory_bytes', 'memory']] as const) {
      expect(await read(`protocol_${name}`), name).to.deep.equal(fields(protocols, field))
      expect(await read(`service_${name}`), name).to.deep.equal(fields(services, field))
    }

    expect(await read('protocol_memory_bytes')).to.have.property(ECHO, 2 * BASE_MEMORY.stream)
    expect(await read('service_inbound_streams')).to.have.property('echo', 2)

    expect(await read('near_limit')).to.include({ 'protocolPeer.inboundStreams': 1 })

    // all that there were, however often they are read
    for (const more of [0, 0, 3, 0]) {
      for (let i = 0; i < more; i++) {
        await refuse()
      }

      expect(await read('refusals_total')).to.deep.equal({ 'inbound protocolPeer.inboundStreams': refused })
      expect(await read('observed_refusals_total')).to.deep.equal({})
    }

    expect(refused).to.equal(4)

    // simple-metrics has no labels
    if (implementation !== 'simple-metrics') {
      const all = await readable.readAll()

      for (const [name, label] of [['system', 'resource'], ['transient_limit', 'resource'], ['protocol_memory_bytes', 'protocol'], ['service_inbound_streams', 'service'], ['peer_memory_bytes', 'le'], ['near_limit', 'limit'], ['refusals_total', 'limit']]) {
        expect(all.get(`libp2p_resource_manager_${name}`)?.label, name).to.equal(label)
      }
    }

    streams.forEach(stream => { stream.abort(new Error('enough')) })
  })

  it('show how much peers and connections hold, and not which peers', async () => {
    const listener = await createMeasured()
    const dialers = [await create(), await create(), await create()]

    for (const [i, dialer] of dialers.entries()) {
      const connection = await connect(dialer, listener)

      for (let n = 0; n <= i; n++) {
        await connection.newStream(ECHO)
      }
    }

    await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 6)

    // one peer has one stream, one has two, one has three
    expect(await read('peer_inbound_streams')).to.include({ 1: 1, 2: 2, 3: 3, 256: 3, '+Inf': 3 })
    expect(await read('peer_outbound_streams')).to.include({ 1: 0, '+Inf': 0 })
    expect(await read('peer_inbound_connections')).to.include({ 1: 3, '+Inf': 3 })
    expect(await read('peer_outbound_connections')).to.include({ '+Inf': 0 })
    expect(await read('peer_file_descriptors')).to.include({ 1: 3, '+Inf': 3 })
    expect(await read('connection_memory_bytes')).to.include({ [2 ** 15]: 0, [2 ** 20]: 3, '+Inf': 3 })

    const manager = managerOf(listener)
    const held = [...manager.stat().peers.values()].map(({ memory }) => memory)

    for (const [bucket, count] of Object.entries(await read('peer_memory_bytes'))) {
      expect(count, bucket).to.equal(held.filter(memory => memory > 0 && memory <= Number(bucket.replace('+Inf', 'Infinity'))).length)
    }

    expect(manager.listConnections().map(scope => scope.peerScope?.peer.toString())).to.deep.equal(dialers.map(dialer => dialer.peerId.toString()))

    const text = JSON.stringify([...await readable.readAll()].filter(([name]) => name.startsWith('libp2p_resource_manager_')))
    expect(text).to.include(ECHO)

    for (const { peerId } of nodes) {
      expect(text).to.not.include(peerId.toString())
    }
  })

  it('fall to zero when protocols and peers are gone', async () => {
    const listener = await createMeasured()
    const dialer = await create()
    const connection = await connect(dialer, listener)
    await connection.newStream(ECHO)
    await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 1)
    expect(await read('protocol_inbound_streams')).to.have.property(ECHO, 1)

    await connection.close()
    await eventually(() => managerOf(listener).stat().system.inboundConnections === 0)
    managerOf(listener).removeUnusedScopes()
    expect(managerOf(listener).listProtocols()).to.not.include(ECHO)

    for (let i = 0; i < 2; i++) {
      expect(await read('protocol_inbound_streams')).to.have.property(ECHO, 0)
      expect(await read('protocol_memory_bytes')).to.have.property(ECHO, 0)
    }

    expect(await read('peer_inbound_connections')).to.include({ 1: 0, '+Inf': 0 })
    expect(managerOf(listener).listConnections()).to.be.empty()
  })

  it('count what would have been refused apart', async () => {
    const listener = await createMeasured({ enforce: false, limits: { protocols: { [ECHO]: { inboundStreams: 0 } } } })
    const connection = await connect(await create(), listener)
    await connection.newStream(ECHO)
    await eventually(() => managerOf(listener).refusals().length > 0)

    expect(await read('observed_refusals_total')).to.deep.equal({ 'inbound protocol.inboundStreams': 1 })
    expect(await read('refusals_total')).to.deep.equal({})
    expect(managerOf(listener).refusals()).to.deep.equal([
      { kind: 'protocol', resource: 'inboundStreams', direction: 'inbound', enforced: false, count: 1, attempted: 1 }
    ])
  })

  it('count what has failed', async () => {
    const listener = await createMeasured()
    const connection = await connect(await create(), listener)
    const reset = async (): Promise<void> => {
      const before = managerOf(listener).failures()[0]?.count ?? 0
      const stream = await connection.newStream(ECHO)
      await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 1)
      stream.abort(new Error('enough'))
      await eventually(() => managerOf(listener).failures()[0]?.count === before + 1)
    }
    let failed = 0

    expect(await read('failures_total')).to.deep.equal({})

    for (const more of [2, 0, 3, 0]) {
      for (let i = 0; i < more; i++) {
        await reset()
      }

      failed += more
      expect(await read('failures_total')).to.deep.equal({ 'inbound stream open StreamResetError': failed })
    }

    expect(await read('refusals_total')).to.deep.equal({})
  })

  it('are calculated when somebody reads them', async () => {
    const listener = await createMeasured()
    const spies = (['stat', 'limits', 'nearLimits', 'refusals', 'failures', 'listConnections'] as const).map(name => Sinon.spy(managerOf(listener), name))
    const connection = await connect(await create(), listener)
    const stream = await connection.newStream(ECHO)
    stream.abort(new Error('enough'))

    // nobody has an interval in which it calculates
    expect(spies.map(spy => spy.callCount)).to.deep.equal([0, 0, 0, 0, 0, 0])

    for (let i = 1; i < 3; i++) {
      await readable.readAll()

      // simple-metrics waits between one metric and the next, so that it is another moment
      if (implementation !== 'simple-metrics') {
        expect(spies.map(spy => spy.callCount)).to.deep.equal([i, i, i, i, i, i])
      }

      expect(spies.every(spy => spy.callCount >= i)).to.be.true()
    }
  })

  it('can be read while the node stops, and after', async () => {
    const listener = await createMeasured()
    const connection = await connect(await create(), listener)
    await connection.newStream(ECHO)
    await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 1)

    await readUntil(listener.stop(), async () => {
      expect(await read('system')).to.have.property('connections')
    })
    await eventually(async () => (await read('system')).connections === 0)
    expect(await read('protocol_inbound_streams')).to.have.property(ECHO, 0)
  })

  it('have names as they are, whatever is in them', async () => {
    const manager = managerOf(await createMeasured())
    const names = [NASTY, '__proto__', 'constructor', 'le', '', ' ', '\r\t\u2028', '✓ \u{1f600}']

    names.forEach((name, i) => {
      manager.viewService(name, scope => { scope.reserveMemory(1 + i) })
      manager.viewProtocol(name, scope => { scope.reserveMemory(1 + i) })
    })

    for (const metric of ['service_memory_bytes', 'protocol_memory_bytes']) {
      const values = Object.entries(await read(metric)).filter(([, value]) => value > 0)

      expect(values, metric).to.have.deep.members(names.map((name, i) => [name, 1 + i]))
    }
  })

  it('have no more than a thousand names', async () => {
    const manager = managerOf(await createMeasured())
    const sum = (values: Record<string, number>): number => Object.values(values).reduce((sum, value) => sum + value, 0)
    const scopes = Array.from({ length: 1_500 }, (_, i) => manager.viewProtocol(`/made-up/${i}`, scope => {
      scope.reserveMemory(1)

      return scope
    }))

    // OpenTelemetry sums up what goes beyond 2,000 by itself, without the metric being known
    for (let i = 0; i < 2; i++) {
      const values = await read('protocol_memory_bytes')

      expect(Object.keys(values)).to.have.length(1_001)
      expect(values).to.have.property('/made-up/0', 1)
      expect(values).to.have.property('(others)').that.is.above(1)
      expect(sum(values)).to.equal(1_500)
    }

    scopes.forEach(scope => { scope.releaseMemory(1) })
    manager.removeUnusedScopes()
    manager.viewProtocol('/new', scope => { scope.reserveMemory(7) })

    const values = await read('protocol_memory_bytes')
    expect(Object.keys(values)).to.have.length(1_001)
    expect(values).to.have.property('(others)', 7)
    expect(sum(values)).to.equal(7)
    expect(Object.keys(await read('service_memory_bytes'))).to.not.include('(others)')
  })
}))
