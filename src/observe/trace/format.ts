/**
 * @file An event as a line of JSON, as go-libp2p writes it.
 */

import { RESOURCES } from '../../core/limit.ts'
import { stringifyExactly } from './exact-json.ts'
import { EVENT_FIELDS, LIMIT_FIELDS } from './fields.ts'
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
    line += `${formatScope(event.name)},"Name":${JSON.stringify(event.name)}`
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

/**
 * RFC 3339 with nanoseconds. A date has milliseconds only.
 */
function formatTime (time: number): string {
  const millis = Math.floor(time)
  const nanos = Math.round((time - millis) * 1e6)
  const carried = nanos === 1e6

  return new Date(carried ? millis + 1 : millis).toISOString().replace('Z', `${carried ? '000000' : `${nanos}`.padStart(6, '0')}Z`)
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
    .map(resource => `"${LIMIT_FIELDS[resource]}":${stringifyExactly(limit[resource] >= 2 ** 63 ? Infinity : limit[resource])}`)

  return `{${fields.join(',')}}`
}
