/**
 * @file An event as a line of JSON, as go-libp2p writes it.
 */

import { GO_FIELDS } from '../../core/go-names.ts'
import { RESOURCES } from '../../core/limit.ts'
import { stringifyExactly } from './exact-json.ts'
import { EVENT_FIELDS } from './fields.ts'
import { scopeName } from './names.ts'
import type { TraceEvent } from './event.ts'
import type { ConcreteLimit } from '../../core/types.ts'

const FIELDS = Object.entries(EVENT_FIELDS) as Array<[keyof typeof EVENT_FIELDS, string]>

/**
 * Of what is zero nothing is written, as in go
 *
 * @returns the line, with its end
 */
export function formatEvent (event: TraceEvent): string {
  let line = `{"Time":"${formatTime(event.time)}","Type":"${event.type}"`

  if (event.name !== '') {
    line += formatName(event.name)
  }

  if (event.limit !== undefined) {
    line += `,"Limit":${event.type === 'start' ? stringifyExactly(event.limit) : formatLimit(event.limit as ConcreteLimit)}`
  }

  for (const [field, name] of FIELDS) {
    if (event[field] !== 0) {
      line += `,"${name}":${event[field]}`
    }
  }

  return `${line}}\n`
}

export function formatEvents (events: Iterable<TraceEvent>): string {
  let text = ''

  for (const event of events) {
    text += formatEvent(event)
  }

  return text
}

let second = NaN
let secondText = ''

/**
 * RFC 3339 with nanoseconds. A date has milliseconds only, and most events are in
 * the same second as the one before.
 */
function formatTime (time: number): string {
  let whole = Math.floor(time / 1000)
  let nanos = Math.round((time - whole * 1000) * 1e6)

  if (nanos === 1e9) {
    whole++
    nanos = 0
  }

  if (whole !== second) {
    secondText = new Date(whole * 1000).toISOString().slice(0, -'.000Z'.length)
    second = whole
  }

  return `${secondText}.${`${nanos}`.padStart(9, '0')}Z`
}

/** Some scopes are in most events */
const names = new Map<string, string>()
const MAX_NAMES = 1000

function formatName (name: string): string {
  let text = names.get(name)

  if (text === undefined) {
    text = `${formatScope(name)},"Name":${JSON.stringify(name)}`

    if (names.size === MAX_NAMES) {
      names.clear()
    }

    names.set(name, text)
  }

  return text
}

function formatScope (name: string): string {
  const scope = scopeName(name)

  if (scope.class === 'other') {
    return ''
  }

  const labels = scope.labels.map(([label, value]) => `,"${label}":${JSON.stringify(value)}`)

  return `,"Scope":{"Class":"${scope.class}"${labels.join('')}}`
}

function formatLimit (limit: ConcreteLimit): string {
  const fields = RESOURCES
    .filter(resource => Number(limit[resource]) !== 0)
    // go could not read more than its largest integer
    .map(resource => `"${GO_FIELDS[resource]}":${stringifyExactly(limit[resource] >= 2 ** 63 ? Infinity : limit[resource])}`)

  return `{${fields.join(',')}}`
}
