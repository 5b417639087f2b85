/**
 * @file Child process: the node under attack, in one of its three modes. It
 * tells the parent what it holds.
 */

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { echo } from '@libp2p/echo'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p as createStockLibp2p } from 'libp2p'
import { Registry } from 'prom-client'
import { createLibp2p, resourceManager } from '../../src/index.ts'
import { fileSink } from '../../src/observe/trace/file-sink.ts'
import { Parent } from '../child.ts'
import { residentMemory } from '../resident-memory.ts'
import { LIMITS } from './limits.ts'
import { servePages } from './pages.ts'
import { SINK } from './plan.ts'
import { ScopeWatch } from './scopes.ts'
import type { ChildOptions, FromChild, Pages, ToChild } from './messages.ts'
import type { Mode } from './plan.ts'
import type { Libp2p } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'

const SAMPLE_INTERVAL = 50
const TELL_INTERVAL = 250
const MANY = 100_000

/** There are two files of this size at most */
const TRACE_BYTES = 16 * 1024 * 1024

const parent = new Parent<ChildOptions, ToChild, FromChild>()
const { mode, watch: isWatched = false } = parent.options
const { node, watch, pages } = await createNode(mode)

await node.handle(SINK, () => {
  // takes the stream and never reads it
}, mode === 'stock' ? {} : { maxInboundStreams: MANY })

let mostRss = 0
let mostUnread = 0

setInterval(() => {
  mostRss = Math.max(mostRss, process.memoryUsage.rss())
  watch?.sample()
}, SAMPLE_INTERVAL)

setInterval(tellSample, TELL_INTERVAL)

parent.onMessage(async message => {
  if (message.type === 'idle') {
    parent.tell({ type: 'idle', rss: await residentMemory(4, 50) })
    mostRss = 0
  } else if (message.type === 'finish') {
    tellSample()
    parent.tell({ type: 'finished' })
  }
})

parent.tell({ type: 'ready', address: node.getMultiaddrs()[0].toString(), pages })

async function createNode (mode: Mode): Promise<{ node: Libp2p, watch?: ScopeWatch, pages?: Pages }> {
  if (mode === 'stock') {
    return { node: await createStockLibp2p(options(undefined)) }
  }

  const wide = options({ maxInboundStreams: MANY, maxOutboundStreams: MANY })
  wide.connectionManager = {
    maxConnections: 10_000,
    inboundConnectionThreshold: Infinity,
    maxIncomingPendingConnections: 10_000
  }

  if (mode === 'wide') {
    return { node: await createStockLibp2p(wide) }
  }

  // all there is to be seen of a node, at once
  const registry = new Registry()
  const trace = join(tmpdir(), `libp2p-resource-manager-${process.pid}.trace.gz`)
  const node = await createLibp2p({
    ...wide,
    metrics: prometheusMetrics({ registry }),
    resourceManager: resourceManager({ limits: LIMITS, trace: fileSink(trace, { maxBytes: TRACE_BYTES, maxFiles: 2 }) })
  })
  const manager = node.services.resourceManager

  return {
    node,
    watch: new ScopeWatch(manager),
    pages: { ...await servePages(manager, registry, { name: node.peerId.toString(), allowChanges: isWatched }), trace }
  }
}

function options (streamLimits?: { maxInboundStreams: number, maxOutboundStreams: number }): Libp2pOptions<{}> {
  return {
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(streamLimits)],
    services: {
      echo: echo(streamLimits),
      ping: ping(streamLimits)
    }
  }
}

function tellSample (): void {
  const connections = node.getConnections()
  let streams = 0
  let unread = 0

  for (const connection of connections) {
    streams += connection.streams.length

    for (const stream of connection.streams) {
      unread += stream.readBufferLength
    }
  }

  mostUnread = Math.max(mostUnread, unread)

  parent.tell({
    type: 'sample',
    rss: process.memoryUsage.rss(),
    mostRss,
    connections: connections.length,
    streams,
    unread,
    mostUnread,
    scopes: watch?.rows() ?? [],
    excesses: [...watch?.excesses ?? []]
  })
}
