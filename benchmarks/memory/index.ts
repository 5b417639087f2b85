/**
 * @file Compares what the resource manager accounts for with how much the
 * resident memory of a process really grows: a thousand connections, ten
 * thousand idle streams, 200 MiB of data that nobody reads. Each is measured in
 * a process of its own, over TCP on loopback with noise and yamux.
 *
 * `npm run benchmark:memory` runs it.
 *
 * The first two also print what one connection and one stream cost, which is
 * where the constants of `src/limits/base-memory.ts` come from.
 */

/* eslint-disable no-console */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { check, reportChecks } from '../harness.ts'
import { HELD } from './protocol.ts'
import type { Reading } from './protocol.ts'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const MiB = 2 ** 20
const PEERS = 50
const CONNECTIONS = 1_000
const STREAMS = 10_000
const UNREAD = 200 * MiB

/** What a yamux stream may send before the remote grants more */
const WINDOW = 256 * 1024

/** How far the accounting may be off */
const TOLERANCE = 0.25

interface Scenario {
  name: string
  unit: string
  /** Opens what is there before and not measured */
  prepare(remotes: Remotes): Promise<void>
  /** Opens what is measured, and says how many */
  open(remotes: Remotes): Promise<number>
  /** Whether all of it is there */
  isThere(reading: Reading, before: Reading): boolean
}

/**
 * Stock nodes that connect to the node that is measured
 */
class Remotes {
  readonly connections: Connection[] = []
  private readonly nodes: Libp2p[]
  private readonly target: Multiaddr

  constructor (nodes: Libp2p[], target: Multiaddr) {
    this.nodes = nodes
    this.target = target
  }

  async connect (count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.connections.push(await this.nodes[i % this.nodes.length].dial(this.target, { force: true }))
    }
  }

  async streams (count: number, data?: Uint8Array): Promise<void> {
    for (let i = 0; i < count; i++) {
      const stream = await this.connections[i % this.connections.length].newStream(HELD, { maxOutboundStreams: Infinity })

      if (data != null) {
        stream.send(data)
      }
    }
  }

  async stop (): Promise<void> {
    await Promise.all(this.nodes.map(async node => node.stop()))
  }
}

const SCENARIOS: Scenario[] = [{
  name: 'a thousand connections',
  unit: 'connection',
  prepare: async remotes => {
    await remotes.connect(PEERS)
  },
  open: async remotes => {
    await remotes.connect(CONNECTIONS)

    return CONNECTIONS
  },
  isThere: (reading, before) => reading.connections - before.connections === CONNECTIONS
}, {
  name: 'ten thousand idle streams',
  unit: 'stream',
  prepare: async remotes => {
    await remotes.connect(PEERS)
    await remotes.streams(PEERS)
  },
  open: async remotes => {
    await remotes.streams(STREAMS)

    return STREAMS
  },
  isThere: (reading, before) => reading.streams - before.streams === STREAMS
}, {
  name: '200 MiB of unread data',
  unit: 'byte',
  prepare: async remotes => {
    await remotes.connect(PEERS)
    await remotes.streams(PEERS)
  },
  open: async remotes => {
    await remotes.streams(UNREAD / WINDOW, new Uint8Array(WINDOW))

    return UNREAD
  },
  isThere: reading => reading.unread === UNREAD
}]

async function run (scenario: Scenario): Promise<void> {
  const child = fork(new URL('./node.ts', import.meta.url), { execArgv: ['--expose-gc'] })
  const [addresses] = await once(child, 'message') as [string[]]

  const measure = async (): Promise<Reading> => {
    child.send('measure')
    const [reading] = await once(child, 'message')

    return reading
  }

  const nodes = await Promise.all(Array.from({ length: PEERS }, async () => createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ maxOutboundStreams: Infinity })],
    connectionManager: { maxConnections: CONNECTIONS, maxParallelDials: CONNECTIONS },
    connectionMonitor: { enabled: false }
  })))
  const remotes = new Remotes(nodes, multiaddr(addresses[0]))

  await scenario.prepare(remotes)
  const before = await measure()
  const count = await scenario.open(remotes)
  const after = await measure()

  const there = scenario.isThere(after, before)
  const resident = after.rss - before.rss
  const accounted = after.accounted - before.accounted

  console.log(`${scenario.name.padEnd(28)}${format(resident)} resident ${format(accounted)} accounted ${(accounted / resident).toFixed(2).padStart(8)}` +
    (scenario.unit === 'byte' ? '' : `${Math.round(resident / count).toLocaleString('en').padStart(12)} B per ${scenario.unit}`))

  check(`${scenario.name}, all of it is there`, there, true)
  check(`${scenario.name}, the accounting is off by at most a quarter`, Math.abs(accounted / resident - 1) <= TOLERANCE, true)

  child.send('stop')
  await remotes.stop()
}

function format (bytes: number): string {
  return `${(bytes / MiB).toFixed(1)} MiB`.padStart(12)
}

const only = process.argv[2]

for (const scenario of SCENARIOS.filter(({ name }) => only == null || name.includes(only))) {
  await run(scenario)
}

reportChecks()
