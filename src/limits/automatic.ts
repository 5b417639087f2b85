/**
 * @file The limits of a node whose user has not given any: the default table,
 * scaled to a part of what this process may use, and raised to what an ordinary
 * js-libp2p node does.
 */

import { BASE_MEMORY } from './base-memory.ts'
import { scaleLimits } from './defaults.ts'
import { resolveLimits } from './limits.ts'
import { systemResources } from './system-resources.ts'
import type { ConcreteLimits, Limits } from './limits.ts'
import type { Resources } from './scaling.ts'
import type { ConcreteLimit, Limit } from '../core/types.ts'

/**
 * What an ordinary node does all by itself, Infinity where nothing ends it
 */
export interface NodeProfile {
  /** How many connections the connection manager keeps before it prunes */
  maxConnections: number
  /** How many dials run at the same time */
  maxParallelDials: number
  /** How many connections that come in are set up at the same time */
  maxIncomingPendingConnections: number
}

/**
 * js-libp2p's own defaults, for accounting without a node, and for what a node
 * does not tell. Of connections that come in it sets up only ten at once, but
 * those of relays and WebRTC are not among them.
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection-manager/constants.ts
 */
export const DEFAULT_PROFILE: NodeProfile = {
  maxConnections: 300,
  maxParallelDials: 100,
  maxIncomingPendingConnections: 100
}

/**
 * The connection monitor pings all connections at the same moment, and aborts
 * those whose ping fails; identify runs on every connection that opens, and
 * pushes to all when addresses change. go-libp2p does none of this at once, so
 * its limits of these are too low here.
 */
const SIMULTANEOUS = {
  services: ['libp2p.identify', 'libp2p.ping'],
  protocols: ['/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0', '/ipfs/ping/1.0.0']
} as const

/**
 * Two nodes may have several connections to each other (eight by default), the
 * monitors of both ping each of them, and js-libp2p lets two pings through per
 * connection. go-libp2p's two per peer refuse that.
 */
const PINGS: Limit = { inboundStreams: 16, outboundStreams: 16, streams: 32 }

/**
 * Long-lived streams that a connection has in each direction, such as those of
 * pubsub, and short-lived ones that may overlap
 */
const STREAMS_PER_CONNECTION = 8

/**
 * Of these so many may be of one protocol, such as one that stays open with every
 * peer, or requests
 */
const STREAMS_OF_PROTOCOL = 2

/**
 * So many peers may open all their streams at once and never negotiate them
 * before others find no room to negotiate theirs
 */
const PEERS_TO_FILL_TRANSIENT = 4

/**
 * js-libp2p takes all that an application sends at once, and counts it until the
 * remote has taken it. In go-libp2p it waits in the application, and nobody counts
 * it: its limits of a stream and of one protocol of a peer are for what is read.
 */
const UNSENT: Limit = { memory: 64 * 2 ** 20 }

/** So that no peer alone uses up what all may use of a protocol or service */
const UNSENT_TO_ALL: Limit = { memory: 128 * 2 ** 20 }

/**
 * A relayed connection is a stream to each of its ends, of which js-libp2p lets 300
 * to each. What comes from one end waits here until the other takes it.
 */
const RELAYED_STREAMS = 300
const RELAYED: Limit = { inboundStreams: RELAYED_STREAMS, outboundStreams: RELAYED_STREAMS, streams: 2 * RELAYED_STREAMS, ...UNSENT }
const RELAYED_TO_ALL: Limit = { inboundStreams: 1_024, outboundStreams: 1_024, streams: 2_048, ...UNSENT_TO_ALL }

const RELAY_PROTOCOLS = ['/libp2p/circuit/relay/0.2.0/hop', '/libp2p/circuit/relay/0.2.0/stop'] as const

/** More than a node can have at a time is as good as without an end */
const MOST_CONNECTIONS = 2 ** 31

/**
 * @param resources - what the node may use, instead of an eighth of the memory
 * and half of the file descriptors of this process
 * @param profile - what the node does
 */
export function automaticLimits (resources: Partial<Resources> = {}, profile: NodeProfile = DEFAULT_PROFILE): ConcreteLimits {
  const system = systemResources()
  const memory = Number(system.memory)
  const descriptors = Number(system.fileDescriptors)

  const limits = scaleLimits({
    memory: resources.memory ?? Math.floor(memory / 8),
    fileDescriptors: resources.fileDescriptors ?? Math.floor(descriptors / 2)
  })

  return fitToNode(limits, profile, {
    memory: resources.memory == null ? Math.floor(memory / 2) : Infinity,
    // 0 is not known, or without a limit
    fileDescriptors: [Number(resources.fileDescriptors ?? 0), descriptors].find(given => given > 0) ?? Infinity
  })
}

/**
 * Raises limits so that they never refuse what an ordinary node does, and
 * lowers the memory of all together to what there is
 */
export function fitToNode (limits: ConcreteLimits, profile: NodeProfile, available: Resources): ConcreteLimits {
  const memory = least(limits.system.memory, available.memory)
  // without an end there may be as many as there is memory for
  const maxConnections = finite(profile.maxConnections, Math.floor(Number(memory) / BASE_MEMORY.connection))
  const maxParallelDials = Math.max(DEFAULT_PROFILE.maxParallelDials, finite(profile.maxParallelDials, maxConnections))
  const maxIncomingPendingConnections = Math.max(DEFAULT_PROFILE.maxIncomingPendingConnections, finite(profile.maxIncomingPendingConnections, maxConnections))
  // room for as many again as the connection manager keeps, it prunes only
  // after a new connection is there
  const connections = Math.max(2 * maxConnections, maxConnections + maxParallelDials)
  const pending = maxParallelDials + maxIncomingPendingConnections
  const streams = STREAMS_PER_CONNECTION * connections
  const descriptors = least(connections, available.fileDescriptors)
  const unnegotiated = Math.max(connections, PEERS_TO_FILL_TRANSIENT * Number(limits.peerDefault.inboundStreams))
  // of one protocol, with all peers
  const toAll = STREAMS_OF_PROTOCOL * connections
  const ofProtocol = { streams: 2 * toAll, inboundStreams: toAll, outboundStreams: toAll }

  const raised: Limits = {
    system: {
      ...atLeast(limits.system, {
        connections,
        inboundConnections: connections,
        outboundConnections: connections,
        fileDescriptors: descriptors,
        streams: 2 * streams + unnegotiated,
        inboundStreams: streams + unnegotiated,
        outboundStreams: streams
      }),
      memory
    },
    transient: atLeast(limits.transient, {
      connections: pending,
      inboundConnections: maxIncomingPendingConnections,
      outboundConnections: maxParallelDials,
      fileDescriptors: least(pending, available.fileDescriptors),
      streams: unnegotiated + toAll,
      inboundStreams: unnegotiated,
      outboundStreams: toAll,
      memory: (unnegotiated + toAll) * BASE_MEMORY.stream + pending * BASE_MEMORY.connection
    }),
    peerDefault: atLeast(limits.peerDefault, { fileDescriptors: least(limits.peerDefault.connections, available.fileDescriptors) }),
    serviceDefault: atLeast(limits.serviceDefault, { ...ofProtocol, ...UNSENT_TO_ALL }),
    servicePeerDefault: atLeast(limits.servicePeerDefault, UNSENT),
    protocolDefault: atLeast(limits.protocolDefault, { ...ofProtocol, ...UNSENT_TO_ALL }),
    protocolPeerDefault: atLeast(limits.protocolPeerDefault, UNSENT),
    stream: atLeast(limits.stream, UNSENT),
    services: { 'libp2p.relay/v2': atLeast(limits.services['libp2p.relay/v2'], RELAYED_TO_ALL) },
    protocols: Object.fromEntries(RELAY_PROTOCOLS.map(name => [name, atLeast(limits.protocols[name], RELAYED_TO_ALL)])),
    servicePeers: {
      'libp2p.ping': atLeast(limits.servicePeers['libp2p.ping'], PINGS),
      'libp2p.relay/v2': atLeast(limits.servicePeers['libp2p.relay/v2'], RELAYED)
    },
    protocolPeers: {
      '/ipfs/ping/1.0.0': atLeast(limits.protocolPeers['/ipfs/ping/1.0.0'], PINGS),
      ...Object.fromEntries(RELAY_PROTOCOLS.map(name => [name, atLeast(limits.protocolPeers[name], RELAYED)]))
    }
  }

  for (const key of ['services', 'protocols'] as const) {
    for (const name of SIMULTANEOUS[key]) {
      raised[key]![name] = atLeast(limits[key][name], {
        streams: 2 * connections,
        inboundStreams: connections,
        outboundStreams: connections,
        memory: 2 * connections * BASE_MEMORY.stream
      })
    }
  }

  return resolveLimits(raised, limits)
}

function atLeast (limit: ConcreteLimit, floor: Limit): Limit {
  const raised: Limit = {}

  for (const [resource, value] of Object.entries(floor) as Array<[keyof Limit, number | bigint]>) {
    if (limit[resource] < value) {
      raised[resource] = value
    }
  }

  return raised
}

function finite (value: number, otherwise: number): number {
  return value < MOST_CONNECTIONS ? Math.ceil(value) : otherwise
}

function least (a: number | bigint, b: number | bigint): number | bigint {
  return a < b ? a : b
}
