import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { expect } from 'aegir/chai'
import { Registry } from 'prom-client'
import { BASE_MEMORY } from '../../src/limits/base-memory.ts'
import { connect, createNode, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import type { TestNode } from '../fixtures/nodes.ts'

const ECHO = '/echo/1.0.0'

describe('the metrics of a node', () => {
  let listener: TestNode
  let dialer: TestNode

  afterEach(async () => {
    await stopAll(dialer, listener)
  })

  it('show use, limits and refusals as the manager has them', async () => {
    const registry = new Registry()

    listener = await createNode({
      limits: { protocolPeers: { [ECHO]: { inboundStreams: 2 } } },
      options: { metrics: prometheusMetrics({ registry }) }
    })
    dialer = await createNode()

    /**
     * The values of a metric by label
     */
    const read = async (name: string): Promise<Record<string, number>> => {
      const metric = (await registry.getMetricsAsJSON()).find(metric => metric.name === `libp2p_resource_manager_${name}`)

      return Object.fromEntries(metric?.values.map(({ labels, value }) => [Object.values(labels)[0], value]) ?? [])
    }

    let refused = 0
    managerOf(listener).addEventListener('blocked', () => { refused++ })

    const connection = await connect(dialer, listener)
    const streams = [await connection.newStream(ECHO), await connection.newStream(ECHO)]
    await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 2)

    // the third one is reset by the listener
    const third = await connection.newStream(ECHO)
    await eventually(() => third.status !== 'open' && refused === 1)

    const { system, protocols, transient } = managerOf(listener).stat()
    const limits = managerOf(listener).limits()

    expect(system).to.include({ inboundStreams: 2, inboundConnections: 1 })
    expect(await read('system')).to.deep.equal({ ...system, streams: 2, connections: 1 })
    expect(await read('transient')).to.deep.equal({ ...transient, streams: 0, connections: 0 })
    expect(await read('system_limit')).to.deep.equal({ ...limits.system })
    expect(await read('transient_limit')).to.deep.equal({ ...limits.transient })
    expect(await read('protocol_inbound_streams')).to.deep.equal(Object.fromEntries([...protocols].map(([name, stat]) => [name, stat.inboundStreams])))
    expect(await read('protocol_memory_bytes')).to.have.property(ECHO, 2 * BASE_MEMORY.stream)
    expect(await read('refusals_total')).to.deep.equal({ 'protocolPeer.inboundStreams': 1 })
    // counted once, however often it is read
    expect(await read('refusals_total')).to.deep.equal({ 'protocolPeer.inboundStreams': 1 })

    const services = managerOf(dialer)
    await dialer.services.ping.ping(listener.peerId)
    expect(services.listServices()).to.include('libp2p.ping')
    expect(await read('service_inbound_streams')).to.have.property('libp2p.ping')

    // no peer becomes a label
    expect(await registry.metrics()).to.not.include(dialer.peerId.toString())

    streams.forEach(stream => { stream.abort(new Error('enough')) })
  })
})
