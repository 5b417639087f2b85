/**
 * @file What the processes of a run tell each other.
 */

import type { Attack, Mode, Plan } from './plan.ts'
import type { ScopeRow } from './scopes.ts'

/**
 * Handed to a child process when it is made
 */
export interface ChildOptions {
  role: 'node' | 'steady' | 'reconnect' | 'attacker'
  mode: Mode
  plan: Plan
  /** Whether somebody wants to look at the node and try other limits */
  watch?: boolean
}

/**
 * Where the node is to be seen
 */
export interface Pages {
  /** URLs */
  inspector: string
  metrics: string
  /** The path of a file */
  trace: string
}

export type ToChild =
  /** To clients and the attacker: where the node listens */
  { type: 'target', address: string } |
  /** To the node: measure what it holds before the attacks */
  { type: 'idle' } |
  /** To clients: begin, end */
  { type: 'start' } |
  { type: 'finish' } |
  /** To the attacker: begin, end */
  { type: 'attack', attack: Attack } |
  { type: 'halt' }

export interface Sample {
  type: 'sample'
  /** Resident memory now, and the most there was since the node was idle, in bytes */
  rss: number
  mostRss: number
  connections: number
  streams: number
  /** Bytes that arrived in streams and that nobody has read, now and the most there were */
  unread: number
  mostUnread: number
  /** Use, limits and refusals of scopes; none without the resource manager */
  scopes: ScopeRow[]
  /** Samples that found a scope above its limit */
  excesses: string[]
}

export interface Request {
  type: 'request'
  role: 'steady' | 'reconnect'
  /** When it began, as `Date.now()` has it */
  at: number
  milliseconds: number
  /** Why it was lost, undefined if it was served */
  error?: string
}

export type FromChild =
  /** The node listens, a client has connected, the attacker has its identities */
  { type: 'ready', address?: string, pages?: Pages } |
  { type: 'idle', rss: number } |
  { type: 'finished' } |
  { type: 'halted', tried: number } |
  Sample |
  Request
