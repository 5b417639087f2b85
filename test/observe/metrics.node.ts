import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { expect } from 'aegir/chai'
import { Registry } from 'prom-client'
import Sinon from 'sinon'
import { BASE_MEMORY } from '../../src/limits/base-memory.ts'
import { connect, createNode, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import { readUntil } from '../fixtures/prometheus-server.ts'
import type { ScopeStat } from '../../src/index.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'

const ECHO = '/echo/1.0.0'

/** What markup and quotes would do damage with, were they not escaped */
const NASTY = '/"><script>alert(1)</script>\n{le="1"} 7\\/1.0.0'

describe('the metrics of a node', () => {
  let nodes: TestNode[]
  let registry: Registry

  beforeEach(() => {
    nodes = []
    registry = new Registry()
  })

  afterEach(async () => {
    await stopAll(...nodes)
  })

  async function create (init: NodeInit = {}): Promise<TestNode> {
    const node = await createNode(init)
    nodes.push(node)

    return node
  }

  async function createMeasured (init: NodeInit = {}): Promise<TestNode> {
    return create({ ...init, options: { metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }) } })
  }

  /**
   * The values of a metric by label
   */
  async function read (name: string): Promise<Record<string, number>> {
    const metric = (await registry.getMetricsAsJSON()).find(metric => metric.name === `libp2p_resource_manager_${name}`)

    return Object.fromEntries(metric?.values.map(({ labels, value }) => [Object.values(labels)[0], value]) ?? [])
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

    // the third one is reset by the listener
    const third = await connection.newStream(ECHO)
    await eventually(() => third.status !== 'open' && refused === 1)

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

    // counted once, however often it is read
    for (let i = 0; i < 2; i++) {
      expect(await read('refusals_total')).to.deep.equal({ 'inbound protocolPeer.inboundStreams': 1 })
      expect(await read('observed_refusals_total')).to.deep.equal({})
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

    const text = await registry.metrics()
    expect(text).to.include('libp2p_resource_manager_peer_memory_bytes{le="1048576"} 3')

    for (const dialer of dialers) {
      expect(text).to.not.include(dialer.peerId.toString())
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

    expect(await read('protocol_inbound_streams')).to.have.property(ECHO, 0)
    expect(await read('protocol_memory_bytes')).to.have.property(ECHO, 0)
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

  it('are calculated when somebody reads them, once for all', async () => {
    const listener = await createMeasured()
    const stat = Sinon.spy(managerOf(listener), 'stat')
    const limits = Sinon.spy(managerOf(listener), 'limits')
    const connection = await connect(await create(), listener)
    const stream = await connection.newStream(ECHO)
    stream.abort(new Error('enough'))

    expect(stat.callCount).to.equal(0)
    limits.resetHistory()

    await registry.metrics()
    expect(stat.callCount).to.equal(1)
    expect(limits.callCount).to.equal(1)

    await registry.metrics()
    expect(stat.callCount).to.equal(2)
  })

  it('can be read while the node stops, and after', async () => {
    const listener = await createMeasured()
    const connection = await connect(await create(), listener)
    await connection.newStream(ECHO)
    await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 1)

    await readUntil(listener.stop(), async () => {
      expect(await registry.metrics()).to.include('libp2p_resource_manager_system{resource="connections"}')
    })
    await eventually(async () => (await read('system')).connections === 0)
    expect(await read('protocol_inbound_streams')).to.have.property(ECHO, 0)
  })

  it('escape what is in names', async () => {
    const listener = await createMeasured()
    await listener.handle(NASTY, () => {})
    const dialer = await create()
    const connection = await connect(dialer, listener)
    await connection.newStream(NASTY)
    await eventually(() => managerOf(listener).stat().protocols.get(NASTY)?.inboundStreams === 1)
    managerOf(listener).viewService(NASTY, scope => { scope.reserveMemory(5) })

    expect(await read('protocol_inbound_streams')).to.have.property(NASTY, 1)
    expect((await registry.metrics()).split('\n').filter(line => line.startsWith('libp2p_resource_manager_') && line.includes('alert')).map(line => line.replace(/ \d+$/, ''))).to.have.members([
      ...['protocol', 'service'].flatMap(label => ['inbound_streams', 'outbound_streams', 'memory_bytes'].map(name =>
        `libp2p_resource_manager_${label}_${name}{${label}="/\\"><script>alert(1)</script>\\n{le=\\"1\\"} 7\\\\/1.0.0"}`))
    ])
  })
})
