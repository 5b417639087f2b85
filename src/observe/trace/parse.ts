/**
 * @file A line of a trace, of this package or of go-libp2p, as an event.
 */

import { show } from '../../core/errors.ts'
import { GO_FIELDS } from '../../core/go-names.ts'
import { isPlain, RESOURCES } from '../../core/limit.ts'
import { parseExactly } from './exact-json.ts'
import { EVENT_FIELDS } from './fields.ts'
import type { TraceEvent, TraceEventType } from './event.ts'
import type { ConcreteLimit, Resource } from '../../core/types.ts'

const TYPES: readonly string[] = [
  'start',
  'create_scope',
  'destroy_scope',
  'reserve_memory',
  'block_reserve_memory',
  'release_memory',
  'add_stream',
  'block_add_stream',
  'remove_stream',
  'add_conn',
  'block_add_conn',
  'remove_conn'
] satisfies TraceEventType[]

const FIELDS = Object.entries(EVENT_FIELDS) as Array<[keyof typeof EVENT_FIELDS, string]>

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)$/

/** Of what is found, characters that an error shows */
const MAX_SHOWN = 80

/**
 * What was read is not a trace
 */
export class TraceSyntaxError extends Error {
  static name = 'TraceSyntaxError'

  /** From 1 */
  readonly line: number

  constructor (line: number, problem: string, options?: ErrorOptions) {
    super(`The trace is not readable at line ${line}: ${problem}`, options)
    this.name = 'TraceSyntaxError'
    this.line = line
  }
}

/**
 * Fields that are not known are ignored, so is `Scope`: the name says the same
 *
 * @param text - The line
 * @param line - Its number, from 1, for errors
 * @throws {TraceSyntaxError} if it is not an event
 */
export function parseEvent (text: string, line: number): TraceEvent {
  const json = parse(text, line)
  const type = json.Type

  if (typeof type !== 'string' || !TYPES.includes(type)) {
    throw invalid(line, 'Type', type, `one of ${TYPES.join(', ')}`)
  }

  const event: TraceEvent = {
    time: time(json.Time, line),
    type: type as TraceEventType,
    name: name(json.Name, type, line),
    priority: 0,
    delta: 0,
    deltaIn: 0,
    deltaOut: 0,
    memory: 0,
    streamsIn: 0,
    streamsOut: 0,
    connsIn: 0,
    connsOut: 0,
    fd: 0
  }

  if (json.Limit !== undefined && json.Limit !== null) {
    event.limit = limit(json.Limit, type, line)
  }

  for (const [field, key] of FIELDS) {
    const value = json[key]

    if (value === undefined) {
      continue
    }

    if (typeof value === 'bigint') {
      // rounded: what was asked for and refused may be that much
      event[field] = Number(value)
    } else if (value === Infinity) {
      event[field] = 2 ** 63
    } else if (Number.isInteger(value)) {
      // -0 is 0
      event[field] = (value as number) + 0
    } else {
      throw invalid(line, key, value, 'an integer')
    }
  }

  if (event.priority < 0 || event.priority > 255) {
    throw invalid(line, 'Priority', event.priority, 'an integer from 0 to 255')
  }

  return event
}

function parse (text: string, line: number): Record<string, unknown> {
  let json: unknown

  try {
    json = parseExactly(text)
  } catch (err) {
    throw new TraceSyntaxError(line, `${abbreviate(text)} is not JSON`, { cause: err })
  }

  if (!isPlain(json)) {
    throw new TraceSyntaxError(line, `it is ${abbreviate(text)}, allowed is an object with an event`)
  }

  // a key that is not there must not be found on the prototype
  return Object.assign(Object.create(null), json)
}

function time (value: unknown, line: number): number {
  const match = typeof value === 'string' ? TIME.exec(value) : null
  const seconds = match === null ? NaN : Date.parse((value as string).replace(/\.\d+/, ''))

  if (Number.isNaN(seconds)) {
    throw invalid(line, 'Time', value, 'a time as in RFC 3339')
  }

  const nanos = Number((match?.[1] ?? '').padEnd(9, '0'))
  const millis = Math.floor(nanos / 1e6)

  // whole milliseconds first, they are exact
  return seconds + millis + (nanos - millis * 1e6) / 1e6
}

function name (value: unknown, type: string, line: number): string {
  if (value === undefined && type === 'start') {
    return ''
  }

  if (typeof value !== 'string' || (value === '' && type !== 'start')) {
    throw invalid(line, 'Name', value, 'the name of a scope')
  }

  return value
}

function limit (value: unknown, type: string, line: number): TraceEvent['limit'] {
  if (type !== 'start' && type !== 'create_scope') {
    throw invalid(line, 'Limit', value, 'nothing in an event of this type')
  }

  if (!isPlain(value)) {
    throw invalid(line, 'Limit', value, 'an object')
  }

  if (type === 'start') {
    return value as Record<string, unknown>
  }

  const fields = Object.assign(Object.create(null), value)
  const limit: Partial<Record<Resource, number | bigint>> = {}

  for (const resource of RESOURCES) {
    // go leaves out what is zero
    const field = fields[GO_FIELDS[resource]] ?? 0

    if (typeof field !== 'bigint' && field !== Infinity && !Number.isSafeInteger(field)) {
      throw invalid(line, `Limit.${GO_FIELDS[resource]}`, field, 'an integer that is not negative')
    }

    if (field < 0 || (field >= 2 ** 63 && field !== Infinity)) {
      throw invalid(line, `Limit.${GO_FIELDS[resource]}`, field, 'an integer of 64 bits that is not negative')
    }

    limit[resource] = field + (typeof field === 'bigint' ? 0n : 0)
  }

  return limit as ConcreteLimit
}

function invalid (line: number, field: string, value: unknown, allowed: string): TraceSyntaxError {
  return value === undefined
    ? new TraceSyntaxError(line, `${field} is missing, allowed is ${allowed}`)
    : new TraceSyntaxError(line, `${field} is ${abbreviate(show(value))}, allowed is ${allowed}`)
}

/**
 * A long line does not make a long error
 */
function abbreviate (text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}
