/**
 * @file What the page shows of a manager at one moment.
 */

import { ROOTS } from '../observed.ts'
import { cut } from './cut.ts'
import { encodeLimit } from './inspected.ts'
import { TopRows } from './top-rows.ts'
import type { DefaultKey, InspectedLimits, InspectedManager, NamedKey } from './inspected.ts'
import type { Memory, Row, Rows, Snapshot } from './page/messages.ts'
import type { ScopeStats } from '../../core/scope-registry.ts'
import type { ScopeKind, ScopeStat } from '../../core/types.ts'

/** How many peers, protocols and so on are sent of each order they are sorted in */
const TOP = 50

/** What is shown of connections and streams are the oldest, and of limits the fullest */
const LISTED = 50

export function snapshotOf (manager: InspectedManager): Snapshot {
  const stat = manager.stat()
  const limits = manager.limits()
  const near = manager.nearLimits()
  const connections = manager.connections()
  const streams = manager.streams()

  return {
    at: Date.now(),
    uptime: Math.round(process.uptime()),
    memory: memoryOf(manager),
    roots: rootsOf(stat, limits),
    services: top('service', stat.services, limits, 'services', 'serviceDefault'),
    protocols: top('protocol', stat.protocols, limits, 'protocols', 'protocolDefault'),
    peers: top('peer', stat.peers, limits, 'peers', 'peerDefault'),
    shares: sharesOf(stat, limits),
    near: {
      total: near.length,
      rows: near.slice(0, LISTED).map(({ scope, resource, current, limit, fraction, option }) => ({
        scope: cut(scope), resource, current, limit: encodeLimit(limit), fraction: Math.min(2, fraction), option: cut(option)
      }))
    },
    connections: {
      total: connections.length,
      rows: connections.slice(0, LISTED).map(({ scope, direction, age, memory, peer, endpoint }) => ({
        scope, direction, age, memory, peer: peer?.toString(), endpoint: endpoint === undefined ? undefined : cut(endpoint.toString())
      }))
    },
    streams: {
      total: streams.length,
      rows: streams.slice(0, LISTED).map(({ scope, direction, age, memory, peer, protocol, service }) => ({
        scope, direction, age, memory, peer: peer.toString(), protocol: cut(protocol ?? ''), service: cut(service ?? '')
      }))
    },
    refusals: manager.refusals().map(({ kind, resource, direction, enforced, count }) => ({ kind, resource, direction, enforced, count }))
  }
}

function memoryOf (manager: InspectedManager): Memory {
  const { accounted, limit, resident, maxProcessMemory, heapUsed, external, arrayBuffers } = manager.memoryUsage()

  return { accounted, limit: encodeLimit(limit), resident, maxProcessMemory: encodeLimit(maxProcessMemory), heapUsed, external, arrayBuffers }
}

function rootsOf (stat: ScopeStats, limits: InspectedLimits): Row[] {
  return ROOTS.map(root => {
    const rows = new TopRows(1)
    rows.add(root, root, stat[root], limits[root])

    return rows.rows().rows[0]
  })
}

function top (kind: ScopeKind, stats: Map<string, ScopeStat>, limits: InspectedLimits, named: NamedKey, fallback: DefaultKey): Rows {
  const rows = new TopRows(TOP)

  for (const [name, stat] of stats) {
    rows.add(kind, name, stat, limits[named][name] ?? limits[fallback])
  }

  return rows.rows()
}

/**
 * Only what is the fullest, all others are in the sum of their protocol or service
 */
function sharesOf (stat: ScopeStats, limits: InspectedLimits): Rows {
  const rows = new TopRows(LISTED / 10)

  for (const [kind, groups, named, fallback] of [
    ['servicePeer', stat.servicePeers, 'servicePeers', 'servicePeerDefault'],
    ['protocolPeer', stat.protocolPeers, 'protocolPeers', 'protocolPeerDefault']
  ] as const) {
    for (const [name, peers] of groups) {
      const limit = limits[named][name] ?? limits[fallback]

      for (const [peer, stat] of peers) {
        rows.add(kind, `${peer} ${cut(name)}`, stat, limit, name)
      }
    }
  }

  return rows.rows()
}
