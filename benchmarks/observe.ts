/**
 * @file What it costs to be observed: the lives of streams and connections and
 * refusals with metrics that nobody scrapes, a scrape, and a snapshot of the
 * inspector.
 */

/* eslint-disable no-console */

import { defaultLogger } from '@libp2p/logger'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Registry } from 'prom-client'
import { createResourceManager, ResourceLimitExceededError } from '../src/index.ts'
import { toJSON } from '../src/observe/inspector/inspected.ts'
import { snapshotOf } from '../src/observe/inspector/snapshot.ts'
import { registerMetrics } from '../src/observe/metrics.ts'
import { registerPrometheusMetrics } from '../src/observe/prometheus.ts'
import { RefusalLog } from '../src/observe/refusal-log.ts'
import { RefusalCounts } from '../src/observe/refusals.ts'
import { check, measure, printTable, reportChecks } from './harness.ts'
import { makePeers } from './peers.ts'
import type { Side } from './harness.ts'
import type { DefaultResourceManager, Limits } from '../src/index.ts'
import type { PeerId } from '@libp2p/interface'

const ROUNDS = 81
const PEERS = 1_000
const LEAP = 7_919
const TARGET = 1.05
const PROTOCOL = '/echo/1.0.0'

const plenty = { streams: Infinity, inboundStreams: Infinity, outboundStreams: Infinity, connections: Infinity, inboundConnections: Infinity, outboundConnections: Infinity, fileDescriptors: Infinity, memory: 2 ** 45 }

const limits: Limits = { system: plenty, transient: plenty, peerDefault: plenty, protocolDefault: plenty, protocolPeerDefault: plenty }

interface Measured {
  manager: DefaultResourceManager
  registry: Registry
}

/**
 * With both kinds of metrics, in a registry that is there to be scraped
 */
function observed (limits: Limits): Measured {
  const manager = createResourceManager({ limits })
  const registry = new Registry()

  registerMetrics(prometheusMetrics({ registry, collectDefaultMetrics: false })({ logger: defaultLogger() }), manager)
  registerPrometheusMetrics(manager, registry)

  return { manager, registry }
}

function streamLives (name: string, manager: DefaultResourceManager, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % peers.length
        const scope = manager.openStream(peers[n], 'inbound')
        scope.setProtocol(PROTOCOL)
        scope.reserveMemory(4_096)
        scope.done()
      }
    }
  }
}

function connectionLives (name: string, manager: DefaultResourceManager, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % peers.length
        const scope = manager.openConnection('inbound', true)
        scope.setPeer(peers[n])
        scope.done()
      }
    }
  }
}

let refused = 0

function refusals (name: string, manager: DefaultResourceManager, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % peers.length

        try {
          manager.openStream(peers[n], 'outbound')
        } catch {
          refused++
        }
      }
    }
  }
}

interface Logged {
  name: string
  enabled: boolean
  peers: PeerId[]
}

/**
 * What the log takes by itself of a flood of refusals, in lines that nobody prints
 */
function logging (): string[][] {
  const sides = [
    { name: 'off', enabled: false, peers: makePeers(1) },
    { name: 'one peer', enabled: true, peers: makePeers(1) },
    { name: 'many peers', enabled: true, peers: makePeers(PEERS) }
  ].map(({ name, enabled, peers }: Logged) => {
    let lines = 0
    let n = 0
    const log = Object.assign(() => { lines++ }, { enabled, error: () => {}, trace: () => {}, newScope: () => log })
    const refusalLog = new RefusalLog(log, 10_000)
    const refusals = peers.map(peer => {
      const scope = `peer:${peer}`
      const refusal = new ResourceLimitExceededError({ scope, kind: 'peer', path: ['stream-1', scope], resource: 'outboundStreams', direction: 'outbound', current: 0, attempted: 1, limit: 0, option: `limits.peers[${JSON.stringify(peer)}].outboundStreams` })
      refusal.peer = peer

      return refusal
    })

    return {
      name,
      lines: () => lines,
      refusalLog,
      run (times: number) {
        for (let i = 0; i < times; i++) {
          n = (n + LEAP) % refusals.length
          refusalLog.add(refusals[n])
        }
      }
    }
  })

  const medians = measure(sides, { rounds: ROUNDS })

  // no timer runs meanwhile: it is one interval, whatever number of refusals
  check('log: lines of one interval', sides.map(({ lines }) => lines()), [0, 1, 33])
  sides.forEach(({ refusalLog }) => { refusalLog.stop() })
  check('log: lines after it', sides.map(({ lines }) => lines()), [0, 2, 66])

  return [
    ['  the log of it, while the logger is off', medians.off],
    ['  the same on, all of one peer', medians['one peer']],
    [`  the same on, of ${PEERS.toLocaleString('en')} peers`, medians['many peers']]
  ].map(([what, took]) => [`${what}`, '', `${Number(took).toFixed(0)} ns`, '', '', '', ''])
}

async function scrape (peers: PeerId[]): Promise<number> {
  const { manager, registry } = observed({ ...limits, peerDefault: { ...plenty, memory: 2 ** 30 } })
  const took: number[] = []

  for (const peer of peers) {
    const stream = manager.openStream(peer, 'inbound')
    stream.setProtocol(PROTOCOL)
    manager.openConnection('inbound', true).setPeer(peer)
  }

  for (let i = 0; i < 15; i++) {
    // all of them have changed
    for (const peer of peers) {
      manager.viewPeer(peer, scope => { scope.reserveMemory(4_096) })
    }

    const start = performance.now()
    const text = await registry.metrics()
    took.push((performance.now() - start) * 1e6)

    if (i === 14) {
      check(`scrape: all of ${peers.length} peers`, text.includes(`libp2p_rcmgr_streams{dir="inbound",scope="system",protocol=""} ${peers.length}\n`), true)
      check('scrape: as many in the distribution', text.includes(`libp2p_resource_manager_peer_inbound_streams{le="+Inf"} ${peers.length}\n`), true)
    }
  }

  manager.close()

  return took.sort((a, b) => a - b)[7]
}

/**
 * What the inspector sends at most twice a second while somebody looks
 */
function snapshot (peers: PeerId[]): [nanoseconds: number, bytes: number] {
  const manager = createResourceManager({ limits: { ...limits, peerDefault: { ...plenty, memory: 2 ** 30 } } })
  const took: number[] = []
  let text = ''

  for (const [i, peer] of peers.entries()) {
    const stream = manager.openStream(peer, 'inbound')
    stream.setProtocol(PROTOCOL)
    stream.reserveMemory(i)
    manager.openConnection('inbound', true).setPeer(peer)
  }

  for (let i = 0; i < 31; i++) {
    const start = performance.now()
    text = toJSON(snapshotOf(manager))
    took.push((performance.now() - start) * 1e6)
  }

  const { peers: { total, rows } } = JSON.parse(text)
  check(`snapshot: of ${peers.length} peers`, total, peers.length)
  check('snapshot: the one that holds the most', rows.some(({ name }: { name: string }) => name === `${peers.at(-1)}`), true)
  manager.close()

  return [took.sort((a, b) => a - b)[15], text.length]
}

async function main (): Promise<void> {
  const peers = makePeers(PEERS)
  const rows: string[][] = []
  const tight: Limits = { ...limits, peerDefault: { ...plenty, outboundStreams: 0 } }

  for (const [what, side, given] of [
    ['stream life: open, setProtocol, reserve, done', streamLives, limits],
    ['connection life: open, setPeer, done', connectionLives, limits],
    ['refusal, thrown and caught', refusals, tight]
  ] as const) {
    const [off, again] = [createResourceManager({ limits: given }), createResourceManager({ limits: given })]
    const { manager: on, registry } = observed(given)
    const medians = measure([side('off', off, peers), side('on', on, peers), side('again', again, peers)], { rounds: ROUNDS })
    const ratio = medians.on / medians.off
    const noise = medians.again / medians.off

    rows.push([what, `${medians.off.toFixed(0)} ns`, `${medians.on.toFixed(0)} ns`, `${ratio.toFixed(3)}×`, `${noise.toFixed(3)}×`, `≤ ${TARGET}×`, ratio <= TARGET ? 'ok' : 'OVER'])
    check(`${what}: nothing is held at the end`, [off, on, again].map(manager => manager.stat().system.inboundStreams + manager.stat().system.inboundConnections), [0, 0, 0])

    if (side === refusals) {
      const [{ count }] = on.refusals()
      check('refusals: every one was thrown and counted', [off, on, again].reduce((sum, manager) => sum + manager.refusals()[0].count, 0), refused)
      check('refusals: the metrics have as many', (await registry.metrics()).includes(`libp2p_rcmgr_blocked_resources{dir="outbound",scope="peer",resource="stream"} ${count}\n`), true)

      // the count is kept whether there are metrics or not: what it takes by itself
      const counts = new RefusalCounts()
      const refusal = new ResourceLimitExceededError({ scope: 'peer:x', kind: 'peer', path: ['stream-1', 'peer:x'], resource: 'outboundStreams', direction: 'outbound', current: 0, attempted: 1, limit: 0, option: 'limits.peerDefault.outboundStreams' })
      const { counting } = measure([{ name: 'counting', run (times) { for (let i = 0; i < times; i++) { counts.add(refusal) } } }], { rounds: ROUNDS })
      rows.push(['  of it to count the refusal', `${counting.toFixed(0)} ns`, '', `${(counting / medians.off).toFixed(3)}×`, '', `≤ ${(TARGET - 1).toFixed(2)}×`, counting / medians.off <= TARGET - 1 ? 'ok' : 'OVER'], ...logging())
    }

    off.close()
    on.close()
    again.close()
  }

  for (const count of [PEERS, 10 * PEERS]) {
    const took = await scrape(makePeers(count))
    rows.push([`a scrape, ${count.toLocaleString('en')} peers with a connection and a stream, all changed`, '', `${(took / 1e6).toFixed(1)} ms`, '', '', '', ''])
  }

  for (const count of [PEERS, 10 * PEERS]) {
    const [took, bytes] = snapshot(makePeers(count))
    rows.push([`a snapshot of the inspector, ${count.toLocaleString('en')} peers with a connection and a stream, ${Math.round(bytes / 1024)} KiB`, '', `${(took / 1e6).toFixed(1)} ms`, '', '', '', ''])
  }

  console.info(`Observed, Node.js ${process.version}, ${PEERS.toLocaleString('en')} peers, medians of ${ROUNDS} rounds in turn`)
  console.info('off: no metrics; on: the metrics of the node and those of go-libp2p in a registry that nobody scrapes')
  console.info('off/off: another manager without metrics, which shows how much of the figures is noise\n')
  printTable(['', 'off', 'on', 'on/off', 'off/off', 'target', ''], rows)
  reportChecks()
}

await main()
