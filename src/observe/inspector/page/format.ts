/**
 * @file Numbers for people.
 */

import type { Field, LimitValue } from './messages.ts'

const NUMBERS = new Intl.NumberFormat('en')
const TENTHS = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']

export const UNLIMITED = 'unlimited'

export const FIELD_NAMES: Record<string, string> = {
  streams: 'streams',
  inboundStreams: 'streams in',
  outboundStreams: 'streams out',
  connections: 'connections',
  inboundConnections: 'connections in',
  outboundConnections: 'connections out',
  fileDescriptors: 'descriptors',
  memory: 'memory',
  connectionsPerSecond: 'connections per second',
  inboundStreamsPerSecond: 'streams in per second'
}

export function count (value: number): string {
  return NUMBERS.format(value)
}

export function bytes (value: number): string {
  if (value < 1024) {
    return `${count(value)} B`
  }

  const power = Math.min(UNITS.length, Math.floor(Math.log2(value) / 10))
  const scaled = value / 1024 ** power

  return `${scaled < 100 ? TENTHS.format(scaled).replace(/\.0$/, '') : count(Math.round(scaled))} ${UNITS[power - 1]}`
}

export function amount (field: string, value: number): string {
  return field === 'memory' ? bytes(value) : count(value)
}

export function limitText (field: string, value: LimitValue): string {
  return value === UNLIMITED ? UNLIMITED : amount(field, Number(value))
}

/**
 * A limit as a number, to compare with
 */
export function limitNumber (value: LimitValue): number {
  return value === UNLIMITED ? Infinity : Number(value)
}

export function percent (fraction: number): string {
  return `${Math.floor(100 * fraction)} %`
}

export function duration (seconds: number): string {
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60]

  if (days > 0) {
    return `${count(days)} d ${hours} h`
  }

  if (hours > 0) {
    return `${hours} h ${minutes} min`
  }

  return minutes > 0 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`
}

export function clock (at: number): string {
  return new Date(at).toLocaleTimeString('en-GB')
}

/**
 * What tells peer IDs apart is at their end
 */
export function shortPeer (id: string): string {
  return id.length > 20 ? `${id.slice(0, 6)}…${id.slice(-6)}` : id
}

const MULTIPLES: Record<string, number> = {
  '': 1, b: 1, k: 1024, kib: 1024, kb: 1000, m: 1024 ** 2, mib: 1024 ** 2, mb: 1000 ** 2, g: 1024 ** 3, gib: 1024 ** 3, gb: 1000 ** 3, t: 1024 ** 4, tib: 1024 ** 4, tb: 1000 ** 4
}

/**
 * What somebody types as a limit. What is none is sent as it is, and the node says
 * what is wrong with it.
 */
export function parseLimit (field: Field, text: string): LimitValue {
  const typed = text.trim().replace(/(\d)[,_ ](?=\d{3}\b)/g, '$1').toLowerCase()

  if (typed === UNLIMITED || typed === 'infinity' || typed === '∞') {
    return UNLIMITED
  }

  const [, digits, unit] = /^([+-]?\d+(?:\.\d+)?) *([a-z]*)$/.exec(typed) ?? []
  const multiple = field === 'memory' || unit === '' ? MULTIPLES[unit] : undefined

  if (digits === undefined || multiple === undefined) {
    return text.trim()
  }

  const value = Number(digits) * multiple

  // of a part of a byte nobody knows
  if (multiple > 1) {
    return Math.round(value)
  }

  // what is too large for a number stays as it is, what is no limit is a number
  return value > Number.MAX_SAFE_INTEGER ? digits : value
}

/**
 * As it is typed
 */
export function limitInput (field: Field, value: LimitValue): string {
  const number = limitNumber(value)

  if (field === 'memory' && Number.isSafeInteger(number) && number > 0) {
    for (const [unit, size] of [['GiB', 1024 ** 3], ['MiB', 1024 ** 2], ['KiB', 1024]] as const) {
      if (number % size === 0) {
        return `${number / size} ${unit}`
      }
    }
  }

  return `${value}`
}
