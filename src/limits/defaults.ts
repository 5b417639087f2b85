/**
 * @file The default limits as data, and scaling them to a machine. The numbers
 * are go-libp2p's, but for the one with a comment.
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/limit_defaults.go#L663
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/limits.go#L14
 */

import { scaleTable } from './scaling.ts'
import type { ConcreteLimits } from './limits.ts'
import type { LimitIncrease, Resources, ScalingLimits } from './scaling.ts'
import type { ConcreteLimit } from '../core/types.ts'

const KiB = 2 ** 10
const MiB = 2 ** 20
const GiB = 2 ** 30

// in, out, both together
type Counts = [number, number, number]

function limit (streams: Counts, connections: Counts, fileDescriptors: number, memory: number): ConcreteLimit {
  return {
    inboundStreams: streams[0],
    outboundStreams: streams[1],
    streams: streams[2],
    inboundConnections: connections[0],
    outboundConnections: connections[1],
    connections: connections[2],
    fileDescriptors,
    memory
  }
}

function more (streams: Counts, connections: Counts, fileDescriptorFraction: number, memory: number): LimitIncrease {
  const { fileDescriptors, ...rest } = limit(streams, connections, 0, memory)

  return { ...rest, fileDescriptorFraction }
}

function streams (inbound: number, outbound: number, both: number, memory: number): ConcreteLimit {
  return limit([inbound, outbound, both], [0, 0, 0], 0, memory)
}

function moreStreams (inbound: number, outbound: number, both: number, memory: number): LimitIncrease {
  return more([inbound, outbound, both], [0, 0, 0], 0, memory)
}

const NOTHING = moreStreams(0, 0, 0, 0)

/**
 * The default table. Counts are inbound, outbound, both together; memory is in
 * bytes; increases are per GiB.
 */
export const scalingLimits: ScalingLimits = {
  system: {
    base: limit([1024, 2048, 2048], [64, 128, 128], 256, 128 * MiB),
    increase: more([1024, 2048, 2048], [64, 128, 128], 1, GiB)
  },
  transient: {
    base: limit([128, 256, 256], [32, 64, 64], 64, 32 * MiB),
    increase: more([128, 256, 256], [16, 32, 32], 0.25, 128 * MiB)
  },
  allowlistedSystem: {
    base: limit([1024, 2048, 2048], [64, 128, 128], 256, 128 * MiB),
    increase: more([1024, 2048, 2048], [64, 128, 128], 1, GiB)
  },
  allowlistedTransient: {
    base: limit([128, 256, 256], [32, 64, 64], 64, 32 * MiB),
    increase: more([128, 256, 256], [16, 32, 32], 0.25, 128 * MiB)
  },
  serviceDefault: {
    base: streams(1024, 4096, 4096, 64 * MiB),
    increase: moreStreams(512, 2048, 2048, 128 * MiB)
  },
  servicePeerDefault: {
    base: streams(128, 256, 256, 16 * MiB),
    increase: moreStreams(4, 8, 8, 4 * MiB)
  },
  protocolDefault: {
    base: streams(512, 2048, 2048, 64 * MiB),
    increase: moreStreams(256, 512, 512, 164 * MiB)
  },
  // go adds 4 bytes per GiB here, where all its neighbours add mebibytes
  protocolPeerDefault: {
    base: streams(64, 128, 256, 16 * MiB),
    increase: moreStreams(4, 8, 16, 4 * MiB)
  },
  peerDefault: {
    base: limit([256, 512, 512], [8, 8, 8], 4, 64 * MiB),
    increase: more([128, 256, 256], [0, 0, 0], 1 / 64, 128 * MiB)
  },
  connection: {
    base: limit([0, 0, 0], [1, 1, 1], 1, 32 * MiB),
    increase: more([0, 0, 0], [0, 0, 0], 0, 0)
  },
  stream: {
    base: streams(1, 1, 1, 16 * MiB),
    increase: moreStreams(0, 0, 0, 0)
  },
  services: {
    'libp2p.identify': { base: streams(64, 64, 128, 4 * MiB), increase: moreStreams(64, 64, 128, 4 * MiB) },
    'libp2p.ping': { base: streams(64, 64, 64, 4 * MiB), increase: moreStreams(64, 64, 64, 4 * MiB) },
    'libp2p.autonat': { base: streams(64, 64, 64, 4 * MiB), increase: moreStreams(4, 4, 4, 2 * MiB) },
    'libp2p.holepunch': { base: streams(32, 32, 64, 4 * MiB), increase: moreStreams(8, 8, 16, 4 * MiB) },
    'libp2p.relay/v2': { base: streams(256, 256, 256, 16 * MiB), increase: moreStreams(256, 256, 256, 16 * MiB) }
  },
  servicePeers: {
    'libp2p.identify': { base: streams(16, 16, 32, MiB), increase: NOTHING },
    'libp2p.ping': { base: streams(2, 3, 4, 8 * GiB + 512 * KiB), increase: NOTHING },
    'libp2p.autonat': { base: streams(2, 2, 2, MiB), increase: NOTHING },
    'libp2p.holepunch': { base: streams(2, 2, 2, MiB), increase: NOTHING },
    'libp2p.relay/v2': { base: streams(64, 64, 64, MiB), increase: NOTHING }
  },
  protocols: {
    '/ipfs/id/1.0.0': { base: streams(64, 64, 128, 4 * MiB), increase: moreStreams(64, 64, 128, 4 * MiB) },
    '/ipfs/id/push/1.0.0': { base: streams(64, 64, 128, 4 * MiB), increase: moreStreams(64, 64, 128, 4 * MiB) },
    '/ipfs/ping/1.0.0': { base: streams(64, 64, 64, 4 * MiB), increase: moreStreams(64, 64, 64, 4 * MiB) },
    '/libp2p/autonat/1.0.0': { base: streams(64, 64, 64, 4 * MiB), increase: moreStreams(4, 4, 4, 2 * MiB) },
    '/libp2p/dcutr': { base: streams(32, 32, 64, 4 * MiB), increase: moreStreams(8, 8, 16, 4 * MiB) },
    '/libp2p/circuit/relay/0.2.0/hop': { base: streams(640, 640, 640, 16 * MiB), increase: moreStreams(640, 640, 640, 16 * MiB) },
    '/libp2p/circuit/relay/0.2.0/stop': { base: streams(640, 640, 640, 16 * MiB), increase: moreStreams(640, 640, 640, 16 * MiB) }
  },
  protocolPeers: {
    '/ipfs/id/1.0.0': { base: streams(16, 16, 32, 8 * GiB + 512 * KiB), increase: NOTHING },
    '/ipfs/id/push/1.0.0': { base: streams(16, 16, 32, 8 * GiB + 512 * KiB), increase: NOTHING },
    '/ipfs/ping/1.0.0': { base: streams(2, 3, 4, 8 * GiB + 512 * KiB), increase: NOTHING },
    '/libp2p/autonat/1.0.0': { base: streams(2, 2, 2, MiB), increase: NOTHING },
    '/libp2p/dcutr': { base: streams(2, 2, 2, MiB), increase: NOTHING },
    '/libp2p/circuit/relay/0.2.0/hop': { base: streams(128, 128, 128, 32 * MiB), increase: NOTHING },
    '/libp2p/circuit/relay/0.2.0/stop': { base: streams(128, 128, 128, 32 * MiB), increase: NOTHING }
  }
}

/**
 * The default limits, or those of a table of your own, for a node that may use
 * this much memory and this many file descriptors.
 *
 * @throws {InvalidLimitError} if memory or file descriptors is not a number
 */
export function scaleLimits (resources: Resources, table: ScalingLimits = scalingLimits): ConcreteLimits {
  return scaleTable(resources, table)
}
