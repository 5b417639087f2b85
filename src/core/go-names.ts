/**
 * @file What go-libp2p calls the fields of a limit, in its configuration and in
 * its trace.
 */

import type { Resource } from './types.ts'

export const GO_FIELDS: Readonly<Record<Resource, string>> = {
  streams: 'Streams',
  inboundStreams: 'StreamsInbound',
  outboundStreams: 'StreamsOutbound',
  connections: 'Conns',
  inboundConnections: 'ConnsInbound',
  outboundConnections: 'ConnsOutbound',
  fileDescriptors: 'FD',
  memory: 'Memory'
}

/** The largest integer of a go node, which it takes for no limit at all */
export const MAX_INT64 = 2n ** 63n - 1n
