/**
 * @file The metrics of nodes that share a process, of a node that is scraped in
 * every way there is, and of one that somebody attacks with names.
 */

import { openTelemetryMetrics } from '@libp2p/opentelemetry-metrics'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { AggregationTemporality } from '@opentelemetry/sdk-metrics'
import { expect } from 'aegir/chai'
import { register, Registry } from 'prom-client'
import { registerPrometheusMetrics } from '../../src/observe/prometheus.ts'
import { parseExposition } from '../fixtures/exposition.ts'
import { openTelemetryReader } from '../fixtures/metrics-implementations.ts'
import { connect, createNode, eventually, managerOf, stopAll } from '../fixtures/nodes.ts'
import type { DefaultResourceManager } from '../../src/index.ts'
import type { OpenTelemetryReader } from '../fixtures/metrics-implementations.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { PrometheusMetricsInit } from '@libp2p/prometheus-metrics'

const ECHO = '/echo/1.0.0'
const NASTY = ['/"><script>alert(1)</script>\n{le="1"} 7\\/1.0.0', '\\', '\\n', '"', '\n', '', '# TYPE a gauge', '\r\n', '\u2028✓', '__proto__', 'a="b",c="d"']

/** Reserves memory for a protocol and for a service */
function hold (manager: DefaultResourceManager, name: string, bytes: number): void {
  manager.viewProtocol(name, scope => { scope.reserveMemory(bytes) })
  manager.viewService(name, scope => { scope.reserveMemory(bytes) })
}

describe('the metrics of nodes', () => {
  let nodes: TestNode[]

  beforeEach(() => {
    nodes = []
  })

  afterEach(async () => {
    await stopAll(...nodes)
    register.clear()
  })

  async function create (metrics?: any, init: NodeInit = {}): Promise<TestNode> {
    const node = await createNode({ ...init, options: { metrics } })
    nodes.push(node)

    return node
  }

  describe('with prometheus-metrics', () => {
    /** Reserves something under a name of its own in each of two nodes */
    async function createTwo (first: Partial<PrometheusMetricsInit>, second: Partial<PrometheusMetricsInit>): Promise<void> {
      for (const [name, init] of [['first', first], ['second', second]] as const) {
        hold(managerOf(await create(prometheusMetrics(init))), name, 1)
      }
    }

    async function servicesIn (registry: Registry): Promise<string[]> {
      return parseExposition(await registry.metrics())
        .filter(({ name }) => name === 'libp2p_resource_manager_service_memory_bytes')
        .map(({ labels }) => labels.service)
    }

    it('are those of each node in a registry of its own', async () => {
      const [a, b] = [new Registry(), new Registry()]
      await createTwo({ registry: a }, { registry: b })

      expect(await servicesIn(a)).to.deep.equal(['first'])
      expect(await servicesIn(b)).to.deep.equal(['second'])
    })

    it('are those of the last node in the registry of the process', async () => {
      await createTwo({}, {})

      expect(await servicesIn(register)).to.deep.equal(['second'])
    })

    it('are those of the first node if the second preserves them', async () => {
      await createTwo({}, { preserveExistingMetrics: true, collectDefaultMetrics: false })

      expect(await servicesIn(register)).to.deep.equal(['first'])
    })

    it('cannot be those of two nodes in a registry that was made for them', async () => {
      const registry = new Registry()

      await expect(createTwo({ registry }, { registry })).to.eventually.be.rejected
        .with.property('message').that.include('has already been registered')
      expect(await servicesIn(registry)).to.deep.equal(['first'])
    })

    it('are valid text, whatever is in names and limits', async () => {
      const registry = new Registry()
      const manager = managerOf(await create(prometheusMetrics({ registry }), {
        limits: { system: { memory: Infinity }, transient: { memory: 2n ** 63n - 1n, streams: 0 } }
      }))
      registerPrometheusMetrics(manager, registry)
      NASTY.forEach((name, i) => { hold(manager, name, 1 + i) })

      const text = await registry.metrics()
      const samples = parseExposition(text)
      const held = (name: string, label: string): Array<[string, number]> => samples
        .filter(({ name: metric, labels, value }) => metric === name && value > 0 && label in labels && (labels.scope ?? label) === label)
        .map(({ labels, value }) => [labels[label], value])

      for (const label of ['protocol', 'service']) {
        for (const name of [`libp2p_resource_manager_${label}_memory_bytes`, 'libp2p_rcmgr_memory']) {
          expect(held(name, label), `${name} by ${label}`).to.have.deep.members(NASTY.map((name, i) => [name, 1 + i]))
        }
      }

      expect(text).to.include('{protocol="/\\"><script>alert(1)</script>\\n{le=\\"1\\"} 7\\\\/1.0.0"} 1\n')
      expect(samples).to.deep.include({ name: 'libp2p_resource_manager_system_limit', labels: { resource: 'memory' }, value: Infinity })
      expect(samples).to.deep.include({ name: 'libp2p_resource_manager_transient_limit', labels: { resource: 'memory' }, value: 2 ** 63 })
      expect(samples).to.deep.include({ name: 'libp2p_resource_manager_transient_limit', labels: { resource: 'streams' }, value: 0 })
    })

    it('have the resident memory beside what is accounted', async () => {
      const registry = new Registry()
      await create(prometheusMetrics({ registry, collectDefaultMetrics: false }))

      const samples = parseExposition(await registry.metrics())
      const resident = samples.find(({ name, labels }) => name === 'nodejs_memory_usage_bytes' && labels.memory === 'rss')
      const accounted = samples.find(({ name, labels }) => name === 'libp2p_resource_manager_system' && labels.resource === 'memory')

      expect(resident?.value).to.be.above(2 ** 20)
      expect(accounted?.value).to.equal(0)
    })

    it('do not grow with the names of protocols that a remote asks for', async () => {
      const registry = new Registry()
      const listener = await create(prometheusMetrics({ registry, collectDefaultMetrics: false }))
      registerPrometheusMetrics(managerOf(listener), registry)
      const dialer = await create()
      const connection = await connect(dialer, listener)
      const series = async (): Promise<string[]> => parseExposition(await registry.metrics())
        .filter(({ name }) => /^libp2p_(?:resource_manager|rcmgr)_/.test(name))
        .map(({ name, labels }) => JSON.stringify([name, labels]))
        .sort()

      // the ordinary streams have come, and one that negotiates
      const stream = await connection.newStream(['/unknown', ECHO])
      await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 1)
      stream.abort(new Error('enough'))
      // and one that fails, as all others will
      await expect(connection.newStream(['/made-up', '/made-up/too'])).to.eventually.be.rejected.with.property('name', 'UnsupportedProtocolError')
      await eventually(() => managerOf(listener).failures().length === 2)
      const before = await series()

      let asked = 0

      for (let i = 0; i < 20; i++) {
        const names = Array.from({ length: 100 }, (_, n) => `/made-up/${i}/${n}`)
        await expect(connection.newStream(names)).to.eventually.be.rejected.with.property('name', 'UnsupportedProtocolError')
        asked += names.length
      }

      expect(asked).to.equal(2_000)
      expect(await series()).to.deep.equal(before)
      expect(managerOf(listener).listProtocols().filter(name => name.startsWith('/made-up'))).to.be.empty()
      expect(managerOf(dialer).listProtocols().filter(name => name.startsWith('/made-up'))).to.be.empty()
    })
  })

  describe('with opentelemetry-metrics', () => {
    let readable: OpenTelemetryReader

    afterEach(async () => {
      await readable.stop()
    })

    async function createRefusing (): Promise<() => Promise<void>> {
      const listener = await create(readable.metrics, { limits: { protocols: { [ECHO]: { inboundStreams: 0 } } } })
      const connection = await connect(await create(), listener)
      let expected = 0

      return async () => {
        expected++
        await connection.newStream(ECHO)
        await eventually(() => managerOf(listener).refusals()[0]?.count === expected)
      }
    }

    async function refusals (): Promise<Record<string, number>> {
      return (await readable.readAll()).get('libp2p_resource_manager_refusals_total')?.values ?? {}
    }

    it('count refusals since the last export, if that is what an exporter wants', async () => {
      readable = openTelemetryReader(AggregationTemporality.DELTA)
      const refuse = await createRefusing()

      for (const times of [1, 3]) {
        for (let i = 0; i < times; i++) {
          await refuse()
        }

        expect(await refusals()).to.deep.equal({ 'inbound protocol.inboundStreams': times })
      }

      expect(Object.values(await refusals()).filter(value => value > 0)).to.be.empty()
    })

    it('are those of each node under a meter of its own', async () => {
      readable = openTelemetryReader(AggregationTemporality.CUMULATIVE, 'first')
      const first = await create(readable.metrics)
      const second = await create(openTelemetryMetrics({ meterName: 'second' }))
      hold(managerOf(first), 'first', 1)
      hold(managerOf(second), 'second', 2)

      const meters = await readable.readMeters()

      expect(meters.get('first')?.get('libp2p_resource_manager_service_memory_bytes')?.values).to.deep.equal({ first: 1 })
      expect(meters.get('second')?.get('libp2p_resource_manager_service_memory_bytes')?.values).to.deep.equal({ second: 2 })
    })

    it('have the resident memory beside what is accounted', async () => {
      readable = openTelemetryReader(AggregationTemporality.CUMULATIVE)
      await create(readable.metrics)
      const all = await readable.readAll()

      expect(all.get('nodejs_memory_usage_bytes')?.values.rss).to.be.above(2 ** 20)
      expect(all.get('libp2p_resource_manager_system')?.values).to.have.property('memory', 0)
    })
  })
})

describe('the parser of the text that Prometheus scrapes', () => {
  const TYPE = '# TYPE a gauge\n'

  it('reads what is valid', () => {
    expect(parseExposition(`# HELP a words\n${TYPE}a 1\na{b="c",d="\\\\\\"\\n"} -1.5e-3\na{b="}{"} +Inf\n`)).to.deep.equal([
      { name: 'a', labels: {}, value: 1 },
      { name: 'a', labels: { b: 'c', d: '\\"\n' }, value: -0.0015 },
      { name: 'a', labels: { b: '}{' }, value: Infinity }
    ])
  })

  Object.entries({
    'a quote': `${TYPE}a{b="""} 1\n`,
    'a backslash': `${TYPE}a{b="\\x"} 1\n`,
    'a newline': `${TYPE}a{b="\n"} 1\n`,
    'a comma too many': `${TYPE}a{b="c",} 1\n`,
    'a label twice': `${TYPE}a{b="c",b="d"} 1\n`,
    'a series twice': `${TYPE}a{b="c"} 1\na{b="c"} 1\n`,
    'no type': 'a 1\n',
    'a type twice': `${TYPE}${TYPE}a 1\n`,
    'no number': `${TYPE}a 1s\n`,
    'another comment': '# whatever\n',
    'no end': `${TYPE}a 1`
  }).forEach(([what, text]) => it(`refuses ${what}`, () => {
    expect(() => parseExposition(text)).to.throw()
  }))
})
