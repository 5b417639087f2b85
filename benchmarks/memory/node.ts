/**
 * @file The process that is measured: a protected node, and what it says of its
 * memory when it is asked.
 */

import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, resourceManager } from '../../src/index.ts'
import { residentMemory } from '../resident-memory.ts'
import { HELD } from './protocol.ts'
import type { Question, Reading } from './protocol.ts'
import type { ConcreteLimit } from '../../src/index.ts'
import type { Stream } from '@libp2p/interface'

const NO_LIMIT: ConcreteLimit = {
  streams: Infinity,
  inboundStreams: Infinity,
  outboundStreams: Infinity,
  connections: Infinity,
  inboundConnections: Infinity,
  outboundConnections: Infinity,
  fileDescriptors: Infinity,
  memory: Infinity
}

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionManager: { maxConnections: 10_000, maxIncomingPendingConnections: 10_000, inboundConnectionThreshold: Infinity },
  // so that nothing but what is measured happens
  connectionMonitor: { enabled: false },
  resourceManager: resourceManager({
    limits: {
      system: NO_LIMIT,
      transient: NO_LIMIT,
      peerDefault: NO_LIMIT,
      protocolDefault: NO_LIMIT,
      protocolPeerDefault: NO_LIMIT
    }
  })
})

// the application keeps the streams and does not read them
const streams: Stream[] = []

await node.handle(HELD, stream => {
  streams.push(stream)
}, { maxInboundStreams: Infinity })

process.on('message', (question: Question) => {
  if (question === 'stop') {
    process.disconnect()
    void node.stop()
    return
  }

  void residentMemory(8, 150).then(rss => {
    const { system } = node.services.resourceManager.stat()

    const reading: Reading = {
      rss,
      accounted: system.memory,
      connections: system.inboundConnections,
      streams: system.inboundStreams,
      unread: streams.reduce((sum, stream) => sum + stream.readBufferLength, 0)
    }
    process.send?.(reading)
  })
})

process.send?.(node.getMultiaddrs().map(address => address.toString()))
