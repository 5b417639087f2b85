/**
 * @file One scope of a replay: what it holds, what it belongs to, and with which
 * others it is added up.
 */

import { ownerOfPeer, ownerOfSpan, scopeName } from './names.ts'
import type { TraceClass } from './names.ts'
import type { ScopeState } from './replay-state.ts'
import type { Group } from './sums.ts'
import type { ConcreteLimit } from '../../core/types.ts'

const GROUPS: Partial<Record<TraceClass, Group>> = {
  system: 'system',
  allowlistedSystem: 'system',
  transient: 'transient',
  allowlistedTransient: 'transient',
  conn: 'connection',
  stream: 'stream',
  peer: 'peer',
  service: 'service',
  'service-peer': 'servicePeer',
  protocol: 'protocol',
  'protocol-peer': 'protocolPeer'
}

const WHOLE: Partial<Record<Group, Group>> = {
  servicePeer: 'service',
  protocolPeer: 'protocol'
}

/**
 * @param name - Of a scope
 * @param asSpan - whether a name that looks like that of a span is one
 * @param asPeer - whether a name that looks like that of a peer within a service or protocol is one
 */
export function groupOf (name: string, asSpan = true, asPeer = true): Group {
  if (asSpan && ownerOfSpan(name) !== undefined) {
    return 'span'
  }

  const group = GROUPS[scopeName(name).class] ?? 'other'

  return asPeer ? group : WHOLE[group] ?? group
}

export class ReplayedScope implements ScopeState {
  inboundStreams = 0
  outboundStreams = 0
  inboundConnections = 0
  outboundConnections = 0
  fileDescriptors = 0
  memory = 0
  memoryOfSpans = 0
  group: Group
  readonly name: string
  readonly limit?: ConcreteLimit

  /** The scope that a span was begun in */
  owner?: ReplayedScope

  /** The service or protocol that the scope of a peer is within */
  readonly parent?: ReplayedScope

  /**
   * @param name - Of the scope
   * @param limit - The one that it was made with
   * @param live - the scopes that it may belong to
   */
  constructor (name: string, limit: ConcreteLimit | undefined, live: ReadonlyMap<string, ReplayedScope>) {
    const ownerName = ownerOfSpan(name)
    const parentName = ownerName === undefined ? ownerOfPeer(name) : undefined

    this.name = name
    this.limit = limit
    this.group = groupOf(name)
    this.owner = ownerName === undefined ? undefined : live.get(ownerName)
    this.parent = parentName === undefined ? undefined : live.get(parentName)
  }

  get class (): TraceClass {
    return scopeName(this.name).class
  }

  get isLeaf (): boolean {
    return this.group === 'connection' || this.group === 'stream'
  }
}
