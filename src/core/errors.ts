/**
 * @file What the accounting throws, and how to recognise a refusal.
 */

import type { ConcreteLimit, Direction, Resource, ScopeKind } from './types.ts'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Where limits are: in scopes, or in the gates before them that count
 * connections by address and how often something happens, and look at the memory
 * of the whole process
 */
export type RefusalKind = ScopeKind | 'subnet' | 'rate' | 'process'

export type RefusedResource = Resource | 'connectionsPerSecond' | 'inboundStreamsPerSecond'

/**
 * Who something is reserved for, as far as it is known
 */
export interface Remote {
  /** Unset until the handshake of a connection has shown it */
  readonly peer?: PeerId | undefined
  /** The address of a connection */
  readonly endpoint?: Multiaddr | undefined
}

/**
 * Everything that is known of a refusal
 */
export interface RefusalDetail {
  /** Name of the scope whose limit it was */
  scope: string
  /** What kind of scope that is, or which gate before the scopes */
  kind: RefusalKind
  /** The scopes from the one that was asked down to the one that refused */
  path: string[]
  /** The limit that was hit, as it is called in the configuration, or what is limited per second */
  resource: RefusedResource
  /** Of the stream or connection that was refused, if it was one */
  direction?: Direction
  /** In use at the time; bytes for memory */
  current: number
  /** What was asked for on top of it */
  attempted: number
  /** The value of the limit */
  limit: ConcreteLimit[Resource]
  /** Of a memory reservation */
  priority?: number
  /** Of a rate: when it will let the next one through, in milliseconds from now */
  retryAfter?: number
  /** What to change, such as `limits.system.memory` */
  option: string
}

const WORDS: Record<RefusedResource, string> = {
  streams: 'streams',
  inboundStreams: 'inbound streams',
  outboundStreams: 'outbound streams',
  connections: 'connections',
  inboundConnections: 'inbound connections',
  outboundConnections: 'outbound connections',
  fileDescriptors: 'file descriptors',
  memory: 'bytes of memory',
  connectionsPerSecond: 'connections per second',
  inboundStreamsPerSecond: 'inbound streams per second'
}

/**
 * A limit of this node's resource manager was hit: a reservation was refused
 * here, locally, and nothing was changed by it. It may succeed later.
 */
export class ResourceLimitExceededError extends Error implements RefusalDetail {
  static name = 'ResourceLimitExceededError'

  readonly scope: string
  readonly kind: RefusalKind
  readonly path: string[]
  readonly resource: RefusedResource
  readonly direction?: Direction
  readonly current: number
  readonly attempted: number
  readonly limit: ConcreteLimit[Resource]
  readonly priority?: number
  readonly retryAfter?: number
  readonly option: string
  readonly temporary = true

  /**
   * False if refusals are only observed: then nothing was refused
   */
  enforced = true

  /** The peer it was asked for, unset until the handshake has shown it */
  peer?: PeerId

  /** The address of the connection it was asked for */
  endpoint?: Multiaddr

  constructor (detail: RefusalDetail) {
    super(explain(detail))
    this.name = 'ResourceLimitExceededError'
    this.scope = detail.scope
    this.kind = detail.kind
    this.path = detail.path
    this.resource = detail.resource
    this.direction = detail.direction
    this.current = detail.current
    this.attempted = detail.attempted
    this.limit = detail.limit
    this.priority = detail.priority
    this.retryAfter = detail.retryAfter
    this.option = detail.option
  }
}

function explain (detail: RefusalDetail): string {
  if (detail.kind === 'rate') {
    return `Local rate limit exceeded: ${detail.scope} may open ${detail.limit} ${WORDS[detail.resource]} after a burst of ${detail.current}, ` +
      `the next one in ${Math.ceil(detail.retryAfter ?? 0)} ms; raise ${detail.option} if this is legitimate`
  }

  if (detail.kind === 'process') {
    return `Local resource limit exceeded: the process may hold ${detail.limit} bytes of memory, ${detail.current} are resident, ` +
      `nothing new is let in until there are fewer; raise ${detail.option} if this is legitimate`
  }

  const share = detail.priority != null && detail.priority < 255
    ? ` of which priority ${detail.priority} may use ${detail.priority + 1}/256`
    : ''

  return `Local resource limit exceeded: ${detail.scope} may hold ${detail.limit} ${WORDS[detail.resource]}${share}, ` +
    `${detail.current} in use, ${detail.attempted} more asked for; raise ${detail.option} if this is legitimate`
}

/**
 * Makes a refusal without a stack trace. Refusals are what a flood makes a node
 * do most, and capturing a stack costs more than the rest of a refusal together.
 *
 * `Error.stackTraceLimit` is put back before anybody else can run, where it can
 * be set at all (it cannot be under frozen intrinsics, engines other than V8
 * ignore it).
 */
export function refusal (detail: RefusalDetail): ResourceLimitExceededError {
  const limit = Error.stackTraceLimit
  const settable = setStackTraceLimit(0)

  try {
    return new ResourceLimitExceededError(detail)
  } finally {
    if (settable) {
      setStackTraceLimit(limit)
    }
  }
}

function setStackTraceLimit (limit: number): boolean {
  try {
    Error.stackTraceLimit = limit

    return true
  } catch {
    return false
  }
}

/**
 * The scope has ended (`done` was called, or it was collected): it accepts
 * nothing any more
 */
export class ScopeClosedError extends Error {
  static name = 'ScopeClosedError'

  /** Name of the scope that has ended */
  readonly scope: string
  /** The scopes from the one that was asked down to the one that has ended */
  readonly path: string[]

  constructor (path: string[]) {
    const scope = path[path.length - 1]
    super(`The resource scope ${scope} has ended`)
    this.name = 'ScopeClosedError'
    this.scope = scope
    this.path = path
  }
}

/**
 * The peer, protocol or service of a scope can be set only once
 */
export class ScopeAttachedError extends Error {
  static name = 'ScopeAttachedError'

  constructor (scope: string, to: string) {
    super(`The resource scope ${scope} belongs to ${to} already`)
    this.name = 'ScopeAttachedError'
  }
}

/**
 * A stream needs its protocol before it can be given its service
 */
export class ScopeNotAttachedError extends Error {
  static name = 'ScopeNotAttachedError'

  constructor (scope: string) {
    super(`The protocol of the resource scope ${scope} must be set before its service`)
    this.name = 'ScopeNotAttachedError'
  }
}

/**
 * A size, priority, direction or name that makes no sense
 */
export class InvalidReservationError extends Error {
  static name = 'InvalidReservationError'

  constructor (message: string) {
    super(message)
    this.name = 'InvalidReservationError'
  }
}

/**
 * A limit, or something else in the configuration, that makes no sense
 */
export class InvalidLimitError extends Error {
  static name = 'InvalidLimitError'

  /** Where it stands, such as `limits.system.memory` */
  readonly path: string
  readonly value: unknown
  /** What may stand there */
  readonly allowed: string

  constructor (path: string, value: unknown, allowed: string) {
    super(`${path} is ${show(value)}, allowed is ${allowed}`)
    this.name = 'InvalidLimitError'
    this.path = path
    this.value = value
    this.allowed = allowed
  }
}

/**
 * For messages: not everything can be made a string
 */
export function show (value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'bigint':
      return `${value}n`
    case 'function':
      return 'a function'
    case 'object':
      if (value === null) {
        return 'null'
      }

      return Array.isArray(value) ? 'an array' : 'an object'
    default:
      return String(value)
  }
}

/**
 * Whether a limit of this node's resource manager is the reason for an error.
 * Sees through `cause` and through the errors of an `AggregateError`, which is
 * what js-libp2p throws when a dial to several addresses fails.
 */
export function isResourceLimitExceeded (err: unknown): boolean {
  // an error may be its own cause
  const seen = new Set<unknown>([err])

  for (const candidate of seen) {
    if (candidate == null || typeof candidate !== 'object') {
      continue
    }

    const { name, cause, errors } = candidate as { name?: unknown, cause?: unknown, errors?: unknown }

    if (name === 'ResourceLimitExceededError') {
      return true
    }

    seen.add(cause)

    if (Array.isArray(errors)) {
      for (const e of errors) {
        seen.add(e)
      }
    }
  }

  return false
}
