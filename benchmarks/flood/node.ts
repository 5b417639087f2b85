/**
 * @file Child process: the node under attack, in one of its three modes. It
 * tells the parent what it holds.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { echo } from '@libp2p/echo'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p as createStockLibp2p } from 'libp2p'
import { createLibp2p, resourceManager } from '../../src/index.ts'
import { childOptions, onMessage, tell } from './child.ts'
import { LIMITS } from './limits.ts'
import { SINK } from './plan.ts'
import { ScopeWatch } from './scopes.ts'
import type { Mode } from './plan.ts'
import type { Libp2p } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'

const SAMPLE_INTERVAL = 50
const TELL_INTERVAL = 250
const MANY = 100_000

const { mode } = childOptions()
const { node, watch } = await createNode(mode)

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

onMessage(async message => {
  if (message.type === 'idle') {
    tell({ type: 'idle', rss: await idle() })
    mostRss = 0
  } else if (message.type === 'finish') {
    tellSample()
    tell({ type: 'finished' })
  }
})

tell({ type: 'ready', address: node.getMultiaddrs()[0].toString() })

async function createNode (mode: Mode): Promise<{ node: Libp2p, watch?: ScopeWatch }> {
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

  const node = await createLibp2p({ ...wide, resourceManager: resourceManager({ limits: LIMITS }) })

  return { node, watch: new ScopeWatch(node.services.resourceManager) }
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

/**
 * Resident memory with no garbage and nothing to do, the least of a few readings
 */
async function idle (): Promise<number> {
  let least = Infinity

  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await delay(50)
    least = Math.min(least, process.memoryUsage.rss())
  }

  return least
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

  tell({
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
