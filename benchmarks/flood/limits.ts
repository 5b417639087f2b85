/**
 * @file The limits of the protected node. One peer or protocol gets only a part
 * of what is shared, so whoever attacks leaves room for others.
 */

import { ECHO, MiB, PING, SINK } from './plan.ts'
import type { Limits } from '../../src/index.ts'

export const LIMITS: Limits = {
  system: { memory: 64 * MiB, streams: 2048, inboundStreams: 1024, connections: 256, inboundConnections: 128, fileDescriptors: 256 },
  transient: { memory: 32 * MiB, streams: 1024, inboundStreams: 512, connections: 128, inboundConnections: 64, fileDescriptors: 128 },
  peerDefault: { memory: 16 * MiB, streams: 128, inboundStreams: 64, connections: 8, inboundConnections: 8, fileDescriptors: 8 },
  protocols: {
    [SINK]: { memory: 6 * MiB, streams: 48, inboundStreams: 48 },
    [ECHO]: { memory: 16 * MiB, streams: 512, inboundStreams: 512 },
    [PING]: { memory: 16 * MiB, streams: 1024, inboundStreams: 512, outboundStreams: 512 }
  },
  protocolPeers: {
    [SINK]: { memory: 4 * MiB, streams: 32, inboundStreams: 32 },
    [ECHO]: { memory: 4 * MiB, streams: 64, inboundStreams: 64 },
    // js-libp2p opens a stream for every ping, the default of 2 is for nodes that keep one
    [PING]: { memory: 4 * MiB, streams: 128, inboundStreams: 64, outboundStreams: 64 }
  },
  services: {
    'libp2p.ping': { memory: 16 * MiB, streams: 1024, inboundStreams: 512, outboundStreams: 512 }
  },
  servicePeers: {
    'libp2p.ping': { memory: 4 * MiB, streams: 128, inboundStreams: 64, outboundStreams: 64 }
  }
}
