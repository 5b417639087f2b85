/**
 * @file What the node tells the page. All of it is JSON, which has neither
 * Infinity nor bigint: a limit that lets everything through is `unlimited`, one
 * that is too large for a number is its digits.
 */

/** The eight words of limits, in the order in which their values are sent */
export const FIELDS = [
  'streams',
  'inboundStreams',
  'outboundStreams',
  'connections',
  'inboundConnections',
  'outboundConnections',
  'fileDescriptors',
  'memory'
] as const

export type Field = typeof FIELDS[number]

export type LimitValue = number | string

/**
 * A scope: what it holds and what it may hold, in the order of `FIELDS`
 */
export interface Row {
  kind: string
  name: string
  /** How the configuration calls its limit */
  option: string
  use: number[]
  limit: LimitValue[]
  /** Of the limit that is the fullest: how much of it is in use, 1 is all of it */
  fullness: number
}

/**
 * Those that hold the most of something, of all that there are
 */
export interface Rows {
  total: number
  rows: Row[]
}

export interface Near {
  scope: string
  resource: string
  current: number
  limit: LimitValue
  fraction: number
  option: string
}

export interface OpenRow {
  scope: string
  direction: string
  /** In seconds */
  age: number
  memory: number
  peer?: string
  endpoint?: string
  protocol?: string
  service?: string
}

export interface Open {
  total: number
  rows: OpenRow[]
}

export interface RefusalTotal {
  kind: string
  resource: string
  direction?: string
  enforced: boolean
  count: number
}

/** All in bytes */
export interface Memory {
  accounted: number
  limit: LimitValue
  resident?: number
  maxProcessMemory: LimitValue
  heapUsed?: number
  external?: number
  arrayBuffers?: number
}

export interface Snapshot {
  /** As `Date.now()` has it */
  at: number
  /** Of the process, in seconds */
  uptime: number
  memory: Memory
  roots: Row[]
  services: Rows
  protocols: Rows
  peers: Rows
  /** What single peers use of services and protocols */
  shares: Rows
  near: { total: number, rows: Near[] }
  connections: Open
  streams: Open
  refusals: RefusalTotal[]
}

/**
 * The numbers of one second
 */
export interface Sample {
  at: number
  memory: number
  resident: number
  connections: number
  streams: number
  /** In that second */
  refusals: number
}

/**
 * Refusals of one limit, as many as there were since somebody looks
 */
export interface Refusal {
  key: string
  count: number
  /** As `Date.now()` has it */
  at: number
  message: string
  scope: string
  kind: string
  resource: string
  direction?: string
  enforced: boolean
  limit: LimitValue
  current: number
  /** What to change */
  option: string
  /** Who was refused the last time */
  peer?: string
  endpoint?: string
}

export interface Welcome {
  /** Of the node, if the program gave it one */
  name?: string
  pid: number
  allowChanges: boolean
}

/**
 * Limits as they stand in the configuration, values as in `Row`
 */
export type LimitTree = Record<string, any>

export interface LimitsAnswer {
  limits: LimitTree
  allowChanges: boolean
}

export interface Change {
  option: string
  from: unknown
  to: unknown
  inUse?: number
  exceeded: boolean
}

export interface ChangesAnswer {
  changes: Change[]
}

/**
 * Why limits were not taken
 */
export interface ErrorAnswer {
  message: string
  /** Which limit it was, such as `limits.system.memory` */
  path?: string
  allowed?: string
}
