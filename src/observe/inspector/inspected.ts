/**
 * @file What the inspector needs of a resource manager, and how values that JSON
 * does not have are written in it.
 */

import type { NearLimit } from '../near-limits.ts'
import type { Observed, Root } from '../observed.ts'
import type { OpenConnection, OpenStream } from '../open-scopes.ts'
import type { LimitValue } from './page/messages.ts'
import type { ResourceLimitExceededError } from '../../core/errors.ts'
import type { ConcreteLimit, Resource, ResourceScope } from '../../core/types.ts'

export type DefaultKey = 'serviceDefault' | 'servicePeerDefault' | 'protocolDefault' | 'protocolPeerDefault' | 'peerDefault'
export type NamedKey = 'services' | 'servicePeers' | 'protocols' | 'protocolPeers' | 'peers'

export type InspectedLimits = Record<Root | DefaultKey, ConcreteLimit> & Record<NamedKey, Record<string, ConcreteLimit>>

export interface InspectedMemory {
  accounted: number
  limit: ConcreteLimit[Resource]
  /** Undefined where it is not known */
  resident?: number
  maxProcessMemory: number
  heapUsed?: number
  external?: number
  arrayBuffers?: number
}

export interface InspectedChange {
  option: string
  from: unknown
  to: unknown
  inUse?: number
  exceeded: boolean
}

/**
 * A resource manager, as far as it is inspected
 */
export interface InspectedManager extends Pick<Observed, 'stat' | 'refusals'> {
  limits(): InspectedLimits
  setLimits(limits: any): void
  previewLimits(limits: any): InspectedChange[]
  memoryUsage(): InspectedMemory
  nearLimits(fraction?: number): NearLimit[]
  connections(): OpenConnection[]
  streams(): OpenStream[]
  viewSystem<T>(fn: (scope: ResourceScope) => T): T
  addEventListener(type: 'blocked', listener: (event: CustomEvent<ResourceLimitExceededError>) => void): void
  removeEventListener(type: 'blocked', listener: (event: CustomEvent<ResourceLimitExceededError>) => void): void
}

const UNLIMITED = 'unlimited'

export function encodeLimit (value: number | bigint): LimitValue {
  if (value === Infinity) {
    return UNLIMITED
  }

  return typeof value === 'bigint' ? `${value}` : value
}

/**
 * JSON of anything that has limits in it
 */
export function toJSON (value: unknown): string {
  return JSON.stringify(value, (_, value) => typeof value === 'bigint' || value === Infinity ? encodeLimit(value) : value)
}

/**
 * The opposite. What is no limit stays a string, and whoever takes the limits says
 * what is wrong with it.
 *
 * @throws {SyntaxError} if it is not JSON
 */
export function fromJSON (text: string): unknown {
  return JSON.parse(text, (_, value) => {
    if (value === UNLIMITED) {
      return Infinity
    }

    // more digits than any limit of 64 bits has are no number
    return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : value
  })
}
