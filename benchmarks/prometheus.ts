/**
 * @file What a real Prometheus server answers about a node under some load, which
 * is what the README shows: every answer is checked against the manager.
 */

/* eslint-disable no-console */

import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Registry } from 'prom-client'
import { connect, createNode, eventually, managerOf, stopAll } from '../test/fixtures/nodes.ts'
import { PROMETHEUS, serveMetrics, startPrometheus } from '../test/fixtures/prometheus-server.ts'
import { check, reportChecks } from './harness.ts'
import type { TestNode } from '../test/fixtures/nodes.ts'

const ECHO = '/echo/1.0.0'
const DIALERS = 12
const STREAMS = 8
const MOST_STREAMS = 6

const QUERIES = [
  'topk(3, libp2p_resource_manager_system / libp2p_resource_manager_system_limit)',
  'histogram_quantile(0.9, libp2p_resource_manager_peer_memory_bytes)',
  'libp2p_resource_manager_refusals_total',
  'libp2p_resource_manager_near_limit > 0',
  'nodejs_memory_usage_bytes{memory="rss"}'
]

async function main (): Promise<void> {
  if (PROMETHEUS === undefined) {
    throw new Error('There is no prometheus on the PATH')
  }

  const registry = new Registry()
  const node = await createNode({
    limits: {
      system: { connections: 16, memory: 64 * 1024 * 1024 },
      protocolPeers: { [ECHO]: { inboundStreams: MOST_STREAMS } }
    },
    options: { metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }) }
  })
  const manager = managerOf(node)
  const dialers: TestNode[] = []
  let refused = 0
  manager.addEventListener('blocked', () => { refused++ })

  for (let i = 0; i < DIALERS; i++) {
    dialers.push(await createNode())
    const connection = await connect(dialers[i], node)

    for (let n = 0; n < STREAMS; n++) {
      await connection.newStream(ECHO)
    }
  }

  await eventually(() => refused === DIALERS * (STREAMS - MOST_STREAMS) && manager.stat().transient.inboundStreams === 0)

  const endpoint = await serveMetrics(registry, () => {})
  const server = await startPrometheus(endpoint.port)
  let scrapes: Array<[time: number, value: number]> = []

  await eventually(async () => {
    scrapes = await server.history('libp2p_resource_manager_system{resource="memory"}')

    return scrapes.length > 1
  })

  const answers = []

  for (const query of QUERIES) {
    const answer = await server.query(query, scrapes[scrapes.length - 1][0])
    answers.push(answer)
    console.info(`${query}\n${answer.map(({ labels, value }) => `  {${Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join()}} ${value}`).join('\n')}\n`)
  }

  const { inboundConnections, inboundStreams } = manager.stat().system
  check('connections as the manager has them', answers[0].find(({ labels }) => labels.resource === 'connections')?.value, inboundConnections / 16)
  check('refusals as the manager has counted them', answers[2].map(({ value }) => value), [refused])
  check('each peer is at its limit', answers[3].find(({ labels }) => labels.limit === 'protocolPeer.inboundStreams')?.value, DIALERS)
  check('all streams are there', inboundStreams, DIALERS * MOST_STREAMS)

  await server.stop()
  await endpoint.stop()
  await stopAll(node, ...dialers)
  reportChecks()
}

await main()
