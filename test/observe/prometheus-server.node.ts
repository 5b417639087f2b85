/**
 * @file A real Prometheus server scrapes a node that works hard, and has at every
 * scrape what the manager had at that moment.
 */

import { readFile } from 'node:fs/promises'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { expect } from 'aegir/chai'
import pWaitFor from 'p-wait-for'
import { Gauge, Registry } from 'prom-client'
import { registerPrometheusMetrics } from '../../src/observe/prometheus.ts'
import dashboard from '../fixtures/go-dashboard.json' with { type: 'json' }
import { connect, createNode, managerOf, stopAll } from '../fixtures/nodes.ts'
import { PROMETHEUS, serveMetrics, startPrometheus } from '../fixtures/prometheus-server.ts'
import type { DefaultResourceManager, RefusalCount, ScopeStats } from '../../src/index.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { MetricsEndpoint, PrometheusServer } from '../fixtures/prometheus-server.ts'
import type { Connection } from '@libp2p/interface'

const ECHO = '/echo/1.0.0'
const FULL = '/full/1.0.0'
const HOSTILE = '/"><script>alert(1)</script>\n{le="1"} 7\\/1.0.0'

const SCRAPES = 6
const COUNTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 32, 64, 128, 256, Infinity]
const BYTES = [2 ** 10, 2 ** 12, 2 ** 15, 2 ** 20, 2 ** 25, 2 ** 28, 2 ** 29, 2 ** 30, 2 ** 31, 2 ** 32, Infinity]
const DIRECTIONS = ['inbound', 'outbound'] as const
const SCOPES = ['system', 'transient'] as const

/** What the manager had when it was scraped */
interface Moment {
  stat: ScopeStats
  limits: ReturnType<DefaultResourceManager['limits']>
  connections: number[]
  refusals: RefusalCount[]
}

type Expected = Array<[labels: Record<string, string>, value: number]>

function distribution (labels: Record<string, string>, values: number[], buckets: number[]): Expected {
  const held = values.filter(value => value > 0)

  return buckets.map(bucket => [
    { ...labels, le: bucket === Infinity ? '+Inf' : `${bucket}` },
    held.filter(value => value <= bucket).length
  ])
}

/**
 * Every metric of go-libp2p, what of it is asked for, and what it must be
 */
function everything ({ stat, limits, connections, refusals }: Moment): Record<string, Expected> {
  const peers = [...stat.peers.values()]
  const difference = (name: string): string => `libp2p_rcmgr_${name} - libp2p_rcmgr_previous_${name}`
  const blocked = (...path: [RefusalCount['kind'], RefusalCount['resource']]): number => refusals
    .find(({ kind, resource }) => kind === path[0] && resource === path[1])?.attempted ?? 0

  return {
    libp2p_rcmgr_connections: SCOPES.flatMap(scope => DIRECTIONS.map((dir): Expected[0] => [{ dir, scope }, stat[scope][`${dir}Connections`]])),
    libp2p_rcmgr_streams: DIRECTIONS.flatMap(dir => [
      ...SCOPES.map((scope): Expected[0] => [{ dir, scope }, stat[scope][`${dir}Streams`]]),
      ...[...stat.protocols].map(([protocol, use]): Expected[0] => [{ dir, scope: 'protocol', protocol }, use[`${dir}Streams`]])
    ]),
    libp2p_rcmgr_memory: [
      ...SCOPES.map((scope): Expected[0] => [{ scope }, stat[scope].memory]),
      ...[...stat.protocols].map(([protocol, use]): Expected[0] => [{ scope: 'protocol', protocol }, use.memory]),
      ...[...stat.services].map(([service, use]): Expected[0] => [{ scope: 'service', service }, use.memory])
    ],
    libp2p_rcmgr_fds: SCOPES.map(scope => [{ scope }, stat[scope].fileDescriptors]),
    libp2p_rcmgr_limit: SCOPES.flatMap((scope): Expected => [
      [{ scope, resource: 'memory' }, Number(limits[scope].memory)],
      [{ scope, resource: 'fd' }, Number(limits[scope].fileDescriptors)],
      [{ scope, resource: 'conns' }, Number(limits[scope].connections)],
      [{ scope, resource: 'conns_inbound' }, Number(limits[scope].inboundConnections)],
      [{ scope, resource: 'conns_outbound' }, Number(limits[scope].outboundConnections)],
      [{ scope, resource: 'streams' }, Number(limits[scope].streams)],
      [{ scope, resource: 'streams_inbound' }, Number(limits[scope].inboundStreams)],
      [{ scope, resource: 'streams_outbound' }, Number(limits[scope].outboundStreams)]
    ]),
    libp2p_rcmgr_blocked_resources: [
      [{ dir: 'inbound', scope: 'protocol', resource: 'stream' }, blocked('protocol', 'inboundStreams')],
      [{ scope: 'peer', resource: 'memory' }, blocked('peer', 'memory')]
    ],
    [difference('peer_connections_bucket')]: DIRECTIONS.flatMap(dir => distribution({ dir }, peers.map(use => use[`${dir}Connections`]), COUNTS)),
    [difference('peer_streams_bucket')]: DIRECTIONS.flatMap(dir => distribution({ dir }, peers.map(use => use[`${dir}Streams`]), COUNTS)),
    [difference('peer_memory_bucket')]: distribution({}, peers.map(use => use.memory), BYTES),
    [difference('peer_memory_sum')]: [[{}, stat.peers.size === 0 ? 0 : peers.reduce((sum, { memory }) => sum + memory, 0)]],
    [difference('conn_memory_bucket')]: distribution({}, connections, BYTES),
    [difference('conn_memory_count')]: [[{}, connections.filter(memory => memory > 0).length]],
    // those of the node's own metrics, which are on the same registry
    libp2p_resource_manager_system: Object.entries({
      ...stat.system,
      streams: stat.system.inboundStreams + stat.system.outboundStreams,
      connections: stat.system.inboundConnections + stat.system.outboundConnections
    }).map(([resource, value]) => [{ resource }, value]),
    libp2p_resource_manager_peer_inbound_streams: distribution({}, peers.map(use => use.inboundStreams), COUNTS),
    'libp2p_resource_manager_refusals_total{limit="inbound protocol.inboundStreams"}': [
      [{ limit: 'inbound protocol.inboundStreams' }, blocked('protocol', 'inboundStreams')]
    ]
  }
}

function sorted (expected: Expected): string[] {
  return expected.map(([labels, value]) => JSON.stringify([Object.entries(labels).sort(), value])).sort()
}

describe('the metrics in a real Prometheus server', function () {
  this.timeout(120_000)

  let nodes: TestNode[]
  let endpoint: MetricsEndpoint
  let server: PrometheusServer | undefined
  let manager: DefaultResourceManager
  let moments: Moment[]
  const progress = { stop: false }
  let work: Promise<unknown>

  before(async function () {
    if (PROMETHEUS === undefined) {
      // eslint-disable-next-line no-console
      console.warn('\n!!! NOT TESTED WITH PROMETHEUS: there is no prometheus on the PATH. Install it, such as with apt-get install prometheus.\n')
      this.skip()
    }

    const registry = new Registry()
    nodes = [await createNode({
      limits: { protocols: { [FULL]: { inboundStreams: 0 } } },
      options: { metrics: prometheusMetrics({ registry }) }
    })]
    manager = managerOf(nodes[0])
    registerPrometheusMetrics(manager, registry)

    for (let i = 0; i < 3; i++) {
      nodes.push(await createNode())
    }

    await Promise.all([FULL, HOSTILE].map(async protocol => nodes[0].handle(protocol, () => {})))

    // each scrape carries its own number, by which it is known what it must say
    const scrape = new Gauge({ name: 'test_scrape', help: 'The number of this scrape', registers: [registry] })
    moments = []
    endpoint = await serveMetrics(registry, () => {
      scrape.set(moments.length)
      moments.push({
        stat: manager.stat(),
        limits: manager.limits(),
        connections: manager.listConnections().map(scope => scope.stat().memory),
        refusals: manager.refusals()
      })
    })
    server = await startPrometheus(endpoint.port)
    work = Promise.all(nodes.slice(1).map(async (dialer, i) => keepBusy(dialer, i)))
  })

  after(async () => {
    progress.stop = true
    await work
    await server?.stop()
    await endpoint?.stop()
    await stopAll(...nodes ?? [])
  })

  /**
   * Connects, opens some streams of each protocol, more with each round, is
   * refused, closes everything
   */
  async function keepBusy (dialer: TestNode, number: number): Promise<void> {
    for (let round = 0; !progress.stop; round++) {
      const connection = await connect(dialer, nodes[0])
      const streams = await Promise.all(Array.from({ length: 1 + (round + number * 5) % 12 }, async (_, i) => open(connection, i % 2 === 0 ? ECHO : HOSTILE)))
      await open(connection, FULL)
      manager.viewPeer(dialer.peerId, scope => {
        expect(() => { scope.reserveMemory(Number.MAX_SAFE_INTEGER) }).to.throw().with.property('name', 'ResourceLimitExceededError')
      })
      const back = await nodes[0].dialProtocol(dialer.peerId, ECHO).catch(() => undefined)
      await new Promise(resolve => setTimeout(resolve, 150 + 50 * number))
      streams.slice(round % 3).forEach(stream => { stream?.abort(new Error('enough')) })
      await new Promise(resolve => setTimeout(resolve, 100))
      back?.abort(new Error('enough'))
      await connection.close()
    }
  }

  async function open (connection: Connection, protocol: string): ReturnType<Connection['newStream']> {
    return connection.newStream(protocol).catch(() => undefined) as any
  }

  /**
   * The times at which Prometheus has scraped, and what the manager had then
   */
  async function scraped (prometheus: PrometheusServer): Promise<Array<[time: number, moment: Moment]>> {
    return (await prometheus.history('test_scrape')).map(([time, number]) => [time, moments[number]])
  }

  /**
   * Prometheus waits for five seconds before it begins
   */
  async function scrapedUntil (condition: (scrapes: Array<[time: number, moment: Moment]>) => boolean): Promise<void> {
    const prometheus = server as PrometheusServer

    await pWaitFor(async () => condition(await scraped(prometheus)), { interval: 100, timeout: 60_000 }).catch(async err => {
      throw new Error(`Prometheus does not scrape, ${moments.length} times it did, the last error is '${await prometheus.lastError()}'`, { cause: err })
    })
  }

  it('are at every scrape what the manager had at that moment', async () => {
    const prometheus = server as PrometheusServer

    // the first scrapes may have come before the first refusal
    const busy = (scrapes: Array<[time: number, moment: Moment]>): Array<[time: number, moment: Moment]> => scrapes
      .filter(([, { refusals, stat }]) => new Set(refusals.map(({ kind }) => kind)).size === 2 && stat.protocols.has(HOSTILE))

    // of every kind there was something, and it was not always the same
    await scrapedUntil(scrapes => {
      const stats = busy(scrapes).map(([, { stat }]) => stat.system)

      return stats.length >= SCRAPES && new Set(stats.map(stat => stat.inboundStreams)).size > 2 && stats.some(stat => stat.outboundStreams > 0)
    })

    for (const [time, moment] of busy(await scraped(prometheus))) {
      for (const [query, expected] of Object.entries(everything(moment))) {
        const result = await prometheus.query(query, time)

        expect(sorted(result.map(({ labels, value }) => [labels, value])), query).to.deep.equal(sorted(expected))
      }
    }
  })

  it('have no peer in any label', async () => {
    const prometheus = server as PrometheusServer
    const [[time]] = (await scraped(prometheus)).slice(-1)
    const names = await prometheus.query('count by (__name__) ({__name__=~"libp2p_.*"})', time)
    const ids = nodes.map(node => node.peerId.toString())
    const all = await prometheus.query('{__name__=~"libp2p_(rcmgr|resource_manager)_.*"}', time)

    expect(names.length).to.be.above(14)
    expect(all.length).to.be.above(300)
    expect(all.filter(({ labels }) => ids.some(id => JSON.stringify(labels).includes(id)))).to.be.empty()
  })

  it('answer every query of go-libp2p\'s dashboard', async () => {
    const prometheus = server as PrometheusServer
    const [[time]] = (await scraped(prometheus)).slice(-1)

    expect(dashboard.queries).to.have.length(24)

    for (const { title, expr, legend } of dashboard.queries) {
      // what Grafana puts in the place of its variables
      const result = await prometheus.query(expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m'), time)

      expect(result, `${title}: ${expr}`).to.not.be.empty()

      // what the legend shows is there
      for (const [, label] of legend.matchAll(/{{(\w+)}}/g)) {
        if (label !== 'instance') {
          expect(result.some(({ labels }) => labels[label] !== undefined), `${title}: {{${label}}}`).to.be.true()
        }
      }
    }
  })

  it('answer the query of the README for how full the node is', async () => {
    const prometheus = server as PrometheusServer
    const [, query] = /^topk\(3, (libp2p_resource_manager_.+)\)$/m.exec(await readFile('README.md', 'utf8')) ?? []
    const [[time, { stat: { system }, limits }]] = (await scraped(prometheus)).slice(-1)
    const use: Record<string, number> = {
      ...system,
      streams: system.inboundStreams + system.outboundStreams,
      connections: system.inboundConnections + system.outboundConnections
    }
    const full = Object.entries(use).map(([resource, value]): Expected[0] => [{ resource }, value / Number(limits.system[resource as keyof typeof limits.system])])
    const answer = await prometheus.query(query, time)

    expect(answer).to.have.length(8)
    expect(sorted(answer.map(({ labels, value }) => [labels, value]))).to.deep.equal(sorted(full))
  })

  it('answer the query of the README for what is left', async () => {
    const [, query] = /`(libp2p_rcmgr_limit.+?)`/.exec(await readFile('README.md', 'utf8')) ?? []
    const [[time, { stat, limits }]] = (await scraped(server as PrometheusServer)).slice(-1)

    expect((await (server as PrometheusServer).query(query, time)).map(({ value }) => value)).to.deep.equal([Number(limits.system.memory) - stat.system.memory])
  })

  it('rise where they may only rise', async () => {
    const prometheus = server as PrometheusServer
    const [[time]] = (await scraped(prometheus)).slice(-1)
    const histograms = ['peer_connections', 'peer_streams', 'peer_memory', 'conn_memory'].flatMap(name => [name, `previous_${name}`])
    const names = histograms.flatMap(name => [`${name}_bucket`, `${name}_sum`, `${name}_count`])

    for (const name of [...names, 'blocked_resources']) {
      const resets = await prometheus.query(`resets(libp2p_rcmgr_${name}[1h])`, time)

      expect(resets, name).to.not.be.empty()
      expect(resets.filter(({ value }) => value !== 0), name).to.be.empty()
    }

    const moved = await prometheus.query('increase(libp2p_rcmgr_previous_peer_streams_count[1h]) > 0', time)
    expect(moved.map(({ labels }) => labels.dir)).to.include('inbound')
  })

  it('go to zero when the node stops, while it is scraped on', async () => {
    const prometheus = server as PrometheusServer
    progress.stop = true
    await work
    await nodes[0].stop()

    const stopped = moments.length
    await scrapedUntil(scrapes => scrapes.some(([, moment]) => moments.indexOf(moment) > stopped))

    const [[time, moment]] = (await scraped(prometheus)).slice(-1)
    expect(moment.stat.system.inboundConnections).to.equal(0)

    for (const query of ['sum(libp2p_rcmgr_connections)', 'sum(libp2p_rcmgr_streams)', 'sum(libp2p_rcmgr_fds)', 'sum(libp2p_rcmgr_peer_streams_bucket - libp2p_rcmgr_previous_peer_streams_bucket)', 'libp2p_rcmgr_conn_memory_count - libp2p_rcmgr_previous_conn_memory_count']) {
      expect((await prometheus.query(query, time)).map(({ value }) => value), query).to.deep.equal([0])
    }
  })
})
