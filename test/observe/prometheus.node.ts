import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { Gauge, Registry } from 'prom-client'
import Sinon from 'sinon'
import { createResourceManager } from '../../src/index.ts'
import { registerPrometheusMetrics } from '../../src/observe/prometheus.ts'
import { connect, createNode, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import { readUntil } from '../fixtures/prometheus-server.ts'
import { pick, random } from '../fixtures/random.ts'
import type { ConnectionManagementScope, DefaultResourceManager, StreamManagementScope } from '../../src/index.ts'
import type { PeerId } from '@libp2p/interface'

const ECHO = '/echo/1.0.0'
const COUNTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 32, 64, 128, 256]
const BYTES = [2 ** 10, 2 ** 12, 2 ** 15, 2 ** 20, 2 ** 25, 2 ** 28, 2 ** 29, 2 ** 30, 2 ** 31, 2 ** 32]

/**
 * As go-libp2p v0.48.0 declares them in p2p/host/resource-manager/stats.go. Its
 * dashboard shows a label service of memory, which go-libp2p itself does not set.
 */
const GO: Record<string, { type: string, labels: string[], buckets?: number[] }> = {
  connections: { type: 'gauge', labels: ['dir', 'scope'] },
  streams: { type: 'gauge', labels: ['dir', 'scope', 'protocol'] },
  memory: { type: 'gauge', labels: ['scope', 'protocol', 'service'] },
  fds: { type: 'gauge', labels: ['scope'] },
  blocked_resources: { type: 'gauge', labels: ['dir', 'scope', 'resource'] },
  limit: { type: 'gauge', labels: ['scope', 'resource'] },
  peer_connections: { type: 'histogram', labels: ['dir'], buckets: COUNTS },
  previous_peer_connections: { type: 'histogram', labels: ['dir'], buckets: COUNTS },
  peer_streams: { type: 'histogram', labels: ['dir'], buckets: COUNTS },
  previous_peer_streams: { type: 'histogram', labels: ['dir'], buckets: COUNTS },
  peer_memory: { type: 'histogram', labels: [], buckets: BYTES },
  previous_peer_memory: { type: 'histogram', labels: [], buckets: BYTES },
  conn_memory: { type: 'histogram', labels: [], buckets: BYTES },
  previous_conn_memory: { type: 'histogram', labels: [], buckets: BYTES }
}

interface Sample {
  metricName?: string
  labels: Partial<Record<string, string | number>>
  value: number
}

describe('the Prometheus metrics of go-libp2p', () => {
  let registry: Registry
  let manager: DefaultResourceManager
  let managers: DefaultResourceManager[]

  beforeEach(() => {
    registry = new Registry()
    managers = []
    manager = create()
  })

  afterEach(() => {
    managers.forEach(manager => { manager.close() })
  })

  function create (init?: Parameters<typeof createResourceManager>[0]): DefaultResourceManager {
    const manager = createResourceManager(init)
    managers.push(manager)

    return manager
  }

  async function samples (name: string): Promise<Sample[]> {
    return (await registry.getMetricsAsJSON()).find(metric => metric.name === `libp2p_rcmgr_${name}`)?.values ?? []
  }

  /**
   * The value of a gauge, undefined if there is no series with exactly these labels
   */
  async function gauge (name: string, labels: Record<string, string>): Promise<number | undefined> {
    const found = (await samples(name)).filter(sample => JSON.stringify(Object.entries(sample.labels).sort()) === JSON.stringify(Object.entries(labels).sort()))
    expect(found.length, JSON.stringify(labels)).to.be.at.most(1)

    return found[0]?.value
  }

  /**
   * The values that a histogram has in its series with these labels, by bucket,
   * and `sum` and `count`
   */
  function series (all: Sample[], labels: Record<string, string>): Record<string, number> {
    return Object.fromEntries(all
      .filter(sample => Object.entries(labels).every(([name, value]) => sample.labels[name] === value))
      .map(({ metricName, labels: { le }, value }) => [le ?? `${metricName}`.replace(/.*_/, ''), value]))
  }

  /**
   * What a dashboard shows: X − previous_X
   */
  async function distribution (name: string, labels: Record<string, string> = {}): Promise<Record<string, number>> {
    const all = await registry.getMetricsAsJSON()
    const [now, previous] = [name, `previous_${name}`].map(name =>
      series(all.find(metric => metric.name === `libp2p_rcmgr_${name}`)?.values ?? [], labels))

    expect(Object.keys(now)).to.have.members(Object.keys(previous))

    return Object.fromEntries(Object.entries(now).map(([key, value]) => [key, value - previous[key]]))
  }

  function distributionOf (values: number[], buckets: number[]): Record<string, number> {
    const held = values.filter(value => value > 0)

    return {
      ...Object.fromEntries([...buckets, Infinity].map(bucket => [bucket === Infinity ? '+Inf' : bucket, held.filter(value => value <= bucket).length])),
      count: held.length,
      sum: held.reduce((sum, value) => sum + value, 0)
    }
  }

  /** Takes of everything, and is refused everything */
  function useAll (manager: DefaultResourceManager): void {
    const connection = manager.openConnection('inbound', true, multiaddr('/ip4/127.0.0.1/tcp/1'))
    connection.setPeer(PEER)
    connection.reserveMemory(5_000)
    manager.openConnection('outbound', true)
    const stream = manager.openStream(PEER, 'inbound')
    stream.setProtocol(ECHO)
    stream.setService('echo')
    stream.reserveMemory(300)
    manager.openStream(PEER, 'outbound')
  }

  it('have the names, types, labels and buckets of go-libp2p, and no others', async () => {
    registerPrometheusMetrics(manager, registry)
    useAll(manager)
    manager.setLimits({ system: { connections: 0 } })
    expect(() => manager.openConnection('inbound', true)).to.throw().with.property('name', 'ResourceLimitExceededError')

    const metrics = await registry.getMetricsAsJSON()
    expect(metrics.map(({ name }) => name)).to.have.members(Object.keys(GO).map(name => `libp2p_rcmgr_${name}`))

    for (const { name, type, values } of metrics) {
      const go = GO[name.replace('libp2p_rcmgr_', '')]
      const labels = new Set(values.flatMap(({ labels }) => Object.keys(labels)))
      const buckets = new Set(values.map(({ labels }) => labels.le).filter(le => le !== undefined))

      expect(`${type}`, name).to.equal(go.type)
      expect([...labels].filter(label => label !== 'le'), name).to.have.members(go.labels)
      expect([...buckets], name).to.deep.equal(go.buckets === undefined ? [] : [...go.buckets, '+Inf'])
    }
  })

  it('show what the manager has', async () => {
    registerPrometheusMetrics(manager, registry)
    useAll(manager)

    for (const scope of ['system', 'transient'] as const) {
      const stat = manager.stat()[scope]
      const limit = manager.limits()[scope]

      expect(await gauge('connections', { dir: 'inbound', scope })).to.equal(stat.inboundConnections)
      expect(await gauge('connections', { dir: 'outbound', scope })).to.equal(stat.outboundConnections)
      expect(await gauge('streams', { dir: 'inbound', scope, protocol: '' })).to.equal(stat.inboundStreams)
      expect(await gauge('streams', { dir: 'outbound', scope, protocol: '' })).to.equal(stat.outboundStreams)
      expect(await gauge('memory', { scope, protocol: '' })).to.equal(stat.memory)
      expect(await gauge('fds', { scope })).to.equal(stat.fileDescriptors)
      expect(Object.fromEntries((await samples('limit')).filter(({ labels }) => labels.scope === scope).map(({ labels, value }) => [labels.resource, value]))).to.deep.equal({
        memory: limit.memory,
        fd: limit.fileDescriptors,
        conns: limit.connections,
        conns_inbound: limit.inboundConnections,
        conns_outbound: limit.outboundConnections,
        streams: limit.streams,
        streams_inbound: limit.inboundStreams,
        streams_outbound: limit.outboundStreams
      })
    }

    expect(manager.stat().system).to.deep.equal({ inboundConnections: 1, outboundConnections: 1, inboundStreams: 1, outboundStreams: 1, fileDescriptors: 2, memory: 5_300 })
    expect(await gauge('streams', { dir: 'inbound', scope: 'protocol', protocol: ECHO })).to.equal(1)
    expect(await gauge('streams', { dir: 'outbound', scope: 'protocol', protocol: ECHO })).to.equal(0)
    expect(await gauge('memory', { scope: 'protocol', protocol: ECHO })).to.equal(300)
    expect(await gauge('memory', { scope: 'service', protocol: '', service: 'echo' })).to.equal(300)
    expect(await distribution('peer_connections', { dir: 'inbound' })).to.deep.equal(distributionOf([1], COUNTS))
    expect(await distribution('peer_connections', { dir: 'outbound' })).to.deep.equal(distributionOf([], COUNTS))
    expect(await distribution('peer_streams', { dir: 'inbound' })).to.deep.equal(distributionOf([1], COUNTS))
    expect(await distribution('peer_streams', { dir: 'outbound' })).to.deep.equal(distributionOf([1], COUNTS))
    expect(await distribution('peer_memory')).to.deep.equal(distributionOf([5_300], BYTES))
    expect(await distribution('conn_memory')).to.deep.equal(distributionOf([5_000], BYTES))
  })

  it('show limits that are no ordinary numbers', async () => {
    manager.setLimits({ system: { memory: Infinity, streams: 2n ** 62n }, transient: { connections: 0 } })
    registerPrometheusMetrics(manager, registry)

    const text = await registry.metrics()
    expect(text).to.include('libp2p_rcmgr_limit{scope="system",resource="memory"} +Inf\n')
    expect(text).to.include('libp2p_rcmgr_limit{scope="system",resource="streams"} 4611686018427388000\n')
    expect(text).to.include('libp2p_rcmgr_limit{scope="transient",resource="conns"} 0\n')
  })

  it('have no more than a thousand names of protocols and services, and all others together', async () => {
    registerPrometheusMetrics(manager, registry)
    const names = Array.from({ length: 1_500 }, (_, i) => `/made-up/${i}`)

    for (const name of names) {
      manager.viewProtocol(name, scope => { scope.reserveMemory(2) })
      manager.viewService(name, scope => { scope.reserveMemory(3) })
    }

    for (const [scope, each] of [['protocol', 2], ['service', 3]] as const) {
      const values = (await samples('memory')).filter(({ labels }) => labels.scope === scope)

      expect(values, scope).to.have.length(1_001)
      expect(values.find(({ labels }) => labels[scope] === names[0])?.value).to.equal(each)
      expect(values.find(({ labels }) => labels[scope] === '(others)')?.value).to.equal(500 * each)
    }

    expect((await samples('streams')).filter(({ labels }) => labels.scope === 'protocol')).to.have.length(2 * 1_001)
  })

  it('show the limits there are, and all other metrics, when a limiter of the user\'s own fails', async () => {
    let isFailing = false
    const limited = create({
      limits: {
        limitFor: (kind) => {
          if (isFailing) {
            throw new Error('no limit today')
          }

          return kind === 'system' ? { memory: 777 } : undefined
        }
      }
    })
    registerPrometheusMetrics(limited, registry)
    isFailing = true
    expect(() => { limited.refreshLimits() }).to.throw('no limit today')

    expect(await gauge('limit', { scope: 'system', resource: 'memory' })).to.equal(777)
    expect(await gauge('fds', { scope: 'system' })).to.equal(0)
  })

  it('count refusals under the names that go-libp2p has for them', async () => {
    const none = { inboundConnections: 0, fileDescriptors: 0 }
    manager = create({
      limits: {
        transient: { outboundStreams: 0, outboundConnections: 1 },
        protocols: { '/none': { inboundStreams: 0 } },
        protocolPeers: { '/none-each': { inboundStreams: 0 } },
        services: { none: { inboundStreams: 0 } },
        servicePeers: { 'none-each': { inboundStreams: 0 } },
        peers: { [OTHER_PEER.toString()]: { memory: 0, inboundStreams: 0, connections: 0 } },
        system: { memory: 100 },
        connection: { memory: 10 }
      }
    })
    registerPrometheusMetrics(manager, registry)
    let refused = 0
    manager.addEventListener('blocked', () => { refused++ })

    const fails = (fn: () => void): void => {
      expect(fn).to.throw().with.property('name', 'ResourceLimitExceededError')
    }

    const stream = (): StreamManagementScope => manager.openStream(PEER, 'inbound')
    const connection = manager.openConnection('outbound', true)
    fails(() => manager.openStream(PEER, 'outbound'))
    fails(() => manager.openConnection('outbound', true))
    fails(() => { stream().setProtocol('/none') })
    fails(() => { stream().setProtocol('/none-each') })

    for (const service of ['none', 'none-each']) {
      const withProtocol = stream()
      withProtocol.setProtocol(ECHO)
      fails(() => { withProtocol.setService(service) })
    }

    fails(() => manager.openStream(OTHER_PEER, 'inbound'))
    fails(() => { manager.viewPeer(OTHER_PEER, scope => { scope.reserveMemory(7) }) })
    fails(() => { manager.viewSystem(scope => { scope.reserveMemory(1_000) }) })
    fails(() => { manager.viewSystem(scope => { scope.reserveMemory(2_000) }) })
    fails(() => { connection.reserveMemory(11) })
    fails(() => { connection.setPeer(OTHER_PEER) })
    manager.setLimits({ transient: none })
    fails(() => manager.openConnection('inbound', true))
    manager.setLimits({ transient: { inboundConnections: 1 } })
    fails(() => manager.openConnection('inbound', true))

    const counted = Object.fromEntries((await samples('blocked_resources')).map(({ labels: { dir, scope, resource }, value }) => [`${dir} ${scope} ${resource}`, value]))
    expect(counted).to.deep.equal({
      'outbound transient stream': 1,
      'outbound transient connection': 1,
      'inbound protocol stream': 2,
      'inbound service stream': 2,
      'inbound peer stream': 1,
      ' peer memory': 7,
      ' system memory': 3_000,
      ' conn memory': 11,
      'outbound peer connection': 1,
      // one by the limit of connections, one by that of descriptors
      'inbound transient connection': 2,
      ' transient fd': 1
    })
    expect(refused).to.equal(14)
    expect(manager.refusals().reduce((sum, { count }) => sum + count, 0)).to.equal(refused)
  })

  it('count what the gates before the scopes refuse', async () => {
    manager = create({ limits: { rates: { inboundStreamsOfPeer: { default: { perSecond: 1, burst: 1 } } } } })
    registerPrometheusMetrics(manager, registry)
    const address = multiaddr('/ip4/203.0.113.1/tcp/1')
    const fails = (fn: () => void): void => {
      expect(fn).to.throw().with.property('name', 'ResourceLimitExceededError')
    }

    for (let i = 0; i < 8; i++) {
      manager.openConnection('outbound', true, address)
    }

    fails(() => manager.openConnection('outbound', true, address))
    manager.openStream(PEER, 'inbound')
    fails(() => manager.openStream(PEER, 'inbound'))
    fails(() => manager.openStream(PEER, 'inbound'))

    expect(await gauge('blocked_resources', { dir: 'outbound', scope: 'subnet', resource: 'connection' })).to.equal(1)
    expect(await gauge('blocked_resources', { dir: 'inbound', scope: 'rate', resource: 'stream' })).to.equal(2)

    manager = create({ maxProcessMemory: 1 })
    registry = new Registry()
    registerPrometheusMetrics(manager, registry)
    fails(() => manager.openConnection('inbound', true, address))
    expect(await gauge('blocked_resources', { dir: 'inbound', scope: 'process', resource: 'memory' })).to.equal(1)
  })

  it('show as blocked only what was', async () => {
    manager = create({ enforce: false, limits: { system: { memory: 1 } } })
    registerPrometheusMetrics(manager, registry)
    manager.viewSystem(scope => { scope.reserveMemory(2) })

    expect(manager.refusals()).to.have.length(1)
    expect(await samples('blocked_resources')).to.be.empty()
    expect(await gauge('memory', { scope: 'system', protocol: '' })).to.equal(2)
  })

  ;[1, 2, 3].forEach(seed => {
    it(`X less previous_X is the distribution whatever happens between scrapes, and both only rise (${seed})`, async () => {
      const next = random(seed)
      const peers: PeerId[] = []

      for (let i = 0; i < 12; i++) {
        peers.push(peerIdFromPrivateKey(await generateKeyPair('Ed25519')))
      }

      manager.setLimits({
        peerDefault: { streams: Infinity, inboundStreams: Infinity, outboundStreams: Infinity, connections: Infinity, inboundConnections: Infinity, outboundConnections: Infinity, fileDescriptors: Infinity, memory: Infinity },
        transient: { memory: Infinity, streams: Infinity, inboundStreams: Infinity, outboundStreams: Infinity, connections: Infinity, inboundConnections: Infinity, outboundConnections: Infinity },
        system: { memory: Infinity },
        connection: { memory: Infinity },
        stream: { memory: Infinity }
      })
      registerPrometheusMetrics(manager, registry)
      const streams: StreamManagementScope[] = []
      const connections: ConnectionManagementScope[] = []
      const last = new Map<string, number>()

      for (let round = 0; round < 60; round++) {
        for (let i = Math.floor(next() * 8); i > 0; i--) {
          const dir = pick(next, ['inbound', 'outbound'] as const)
          const peer = peers[Math.floor(next() ** 3 * peers.length)]
          const all = next() < 0.5 ? streams : connections

          if (next() < 0.4 && all.length > 0) {
            all.splice(Math.floor(next() * all.length), 1)[0].done()
          } else if (all === streams) {
            const stream = manager.openStream(peer, dir)
            stream.reserveMemory(Math.floor(2 ** (next() * 34)))
            streams.push(stream)
          } else {
            const connection = manager.openConnection(dir, false)
            connection.reserveMemory(Math.floor(2 ** (next() * 34)))
            connection.setPeer(peer)
            connections.push(connection)
          }
        }

        if (next() < 0.1) {
          manager.removeUnusedScopes()
        }

        if (next() < 0.3) {
          continue
        }

        // scraped by several servers at once
        const text = await registry.metrics()
        expect(await registry.metrics()).to.equal(text)

        const stats = [...manager.stat().peers.values()]

        for (const dir of ['inbound', 'outbound'] as const) {
          expect(await distribution('peer_connections', { dir })).to.deep.equal(distributionOf(stats.map(stat => stat[`${dir}Connections`]), COUNTS))
          expect(await distribution('peer_streams', { dir })).to.deep.equal(distributionOf(stats.map(stat => stat[`${dir}Streams`]), COUNTS))
        }

        expect(await distribution('peer_memory')).to.deep.equal(distributionOf(stats.map(stat => stat.memory), BYTES))
        expect(await distribution('conn_memory')).to.deep.equal(distributionOf(connections.map(scope => scope.stat().memory), BYTES))

        for (const line of text.split('\n').filter(line => /^libp2p_rcmgr_(previous|peer|conn_)/.test(line))) {
          const [, key, value] = /^(\S+) (\S+)$/.exec(line) ?? []
          expect(Number(value), key).to.be.at.least(last.get(key) ?? 0)
          last.set(key, Number(value))
        }
      }

      expect([...last].filter(([key, value]) => key.includes('_count') && value > 0)).to.have.length(12)

      // a reset of one resets both, so that the difference stays right
      registry.getSingleMetric('libp2p_rcmgr_peer_memory')?.reset()
      expect(await distribution('peer_memory')).to.deep.equal(distributionOf([...manager.stat().peers.values()].map(stat => stat.memory), BYTES))
    })
  })

  it('are calculated when somebody scrapes, once for all', async () => {
    const stat = Sinon.spy(manager, 'stat')
    registerPrometheusMetrics(manager, registry)
    useAll(manager)
    expect(stat.callCount).to.equal(0)

    await registry.metrics()
    expect(stat.callCount).to.equal(1)
    await registry.getSingleMetricAsString('libp2p_rcmgr_streams')
    expect(stat.callCount).to.equal(2)
  })

  it('of several managers are on one registry with labels', async () => {
    const other = create()
    const unregister = registerPrometheusMetrics(manager, registry, { labels: { node: 'a' } })
    registerPrometheusMetrics(other, registry, { labels: { node: 'b"\n' } })
    useAll(manager)
    useAll(other)
    other.openStream(PEER, 'inbound')

    expect(await gauge('streams', { dir: 'inbound', scope: 'system', protocol: '', node: 'a' })).to.equal(1)
    expect(await gauge('streams', { dir: 'inbound', scope: 'system', protocol: '', node: 'b"\n' })).to.equal(2)
    expect(await distribution('peer_streams', { dir: 'inbound', node: 'a' })).to.deep.equal(distributionOf([1], COUNTS))
    expect(await distribution('peer_streams', { dir: 'inbound', node: 'b"\n' })).to.deep.equal(distributionOf([2], COUNTS))
    expect(await registry.metrics()).to.include('libp2p_rcmgr_fds{scope="system",node="b\\"\\n"} 2\n')

    unregister()
    // again changes nothing
    unregister()

    const text = await registry.metrics()
    expect(text).to.not.include('node="a"')
    expect(text).to.include('node="b')

    // there is room for another one with these labels, it starts anew
    const third = create()
    registerPrometheusMetrics(third, registry, { labels: { node: 'a' } })
    expect(await gauge('streams', { dir: 'inbound', scope: 'system', protocol: '', node: 'a' })).to.equal(0)
    expect((await samples('peer_streams')).filter(({ labels }) => labels.node === 'a').every(({ value }) => value === 0)).to.be.true()
  })

  it('of several managers on one registry need labels that tell them apart', async () => {
    const other = create()
    registerPrometheusMetrics(manager, registry)
    expect(() => registerPrometheusMetrics(other, registry)).to.throw('same labels')
      .with.property('name', 'InvalidParametersError')
    expect(() => registerPrometheusMetrics(other, registry, { labels: { node: 'a' } })).to.throw('has [node]')
      .with.property('name', 'InvalidParametersError')

    // a registry of its own
    const own = new Registry()
    registerPrometheusMetrics(other, own)
    other.openStream(PEER, 'inbound')
    expect(await own.metrics()).to.include('libp2p_rcmgr_streams{dir="inbound",scope="system",protocol=""} 1\n')
    expect(await registry.metrics()).to.include('libp2p_rcmgr_streams{dir="inbound",scope="system",protocol=""} 0\n')
  })

  it('refuse labels that make no sense, and a registry in which the names are taken', async () => {
    const makeNoSense: Array<Record<string, any>> = [{ le: 'a' }, { dir: 'a' }, { service: 'a' }, { 'a-b': 'a' }, { __name__: 'a' }, { node: 1 }]
    makeNoSense.forEach(labels => {
      expect(() => registerPrometheusMetrics(manager, registry, { labels })).to.throw().with.property('name', 'InvalidParametersError')
    })

    // eslint-disable-next-line no-new
    new Gauge({ name: 'libp2p_rcmgr_fds', help: 'somebody else\'s', registers: [registry] })
    expect(() => registerPrometheusMetrics(manager, registry)).to.throw('libp2p_rcmgr_fds').with.property('name', 'InvalidParametersError')
    expect(registry.getMetricsAsArray()).to.have.length(1)
  })

  it('leave the registry as it was, and come back', async () => {
    const unregister = registerPrometheusMetrics(manager, registry)
    expect(registry.getMetricsAsArray()).to.have.length(14)
    unregister()
    expect(registry.getMetricsAsArray()).to.be.empty()

    registerPrometheusMetrics(manager, registry)
    // as prometheusMetrics() of js-libp2p does with the global one when a node is made
    registry.clear()
    registerPrometheusMetrics(manager, registry)
    useAll(manager)
    expect(await gauge('fds', { scope: 'system' })).to.equal(2)

    // the first one has nothing to take out any more
    unregister()
    expect(registry.getMetricsAsArray()).to.have.length(14)
  })

  it('can be scraped while the node stops and after, with names that are hostile', async () => {
    const hostile = '/"><script>alert(1)</script>\n{le="1"} 7\\/1.0.0'
    const node = await createNode()
    const dialer = await createNode()
    registerPrometheusMetrics(managerOf(node), registry)
    await node.handle(hostile, () => {})

    try {
      const connection = await connect(dialer, node)
      await connection.newStream(hostile)
      await eventually(() => managerOf(node).stat().protocols.get(hostile)?.inboundStreams === 1)

      expect(await gauge('streams', { dir: 'inbound', scope: 'protocol', protocol: hostile })).to.equal(1)
      const lines = (await registry.metrics()).split('\n')
      expect(lines).to.include('libp2p_rcmgr_streams{dir="inbound",scope="protocol",protocol="/\\"><script>alert(1)</script>\\n{le=\\"1\\"} 7\\\\/1.0.0"} 1')
      expect(lines.join('\n')).to.not.include(dialer.peerId.toString())
      // every line is one that Prometheus reads: no name has broken out of its own
      expect(lines.filter(line => !/^($|# (HELP|TYPE) libp2p_rcmgr_\w+ .+$|libp2p_rcmgr_\w+(\{(\w+="([^"\\\n]|\\["\\n])*",?)*\})? (\d[\d.e+]*|\+Inf)$)/.test(line))).to.be.empty()

      await readUntil(node.stop(), async () => {
        expect(await registry.metrics()).to.include('libp2p_rcmgr_connections{dir="inbound",scope="system"}')
      })
      await eventually(async () => await gauge('connections', { dir: 'inbound', scope: 'system' }) === 0)
      expect(await distribution('conn_memory')).to.deep.equal(distributionOf([], BYTES))
    } finally {
      await stopAll(node, dialer)
    }
  })
})
