/**
 * @file What is shown while a run goes on and at the end, as lines of text that
 * fit a width.
 */

import { ATTACKS, ATTACK_NAMES, MODE_NAMES } from './plan.ts'
import { count, cut, duration, mebibytes, percent, percentile, table, wrap } from './table.ts'
import type { Pages, Request } from './messages.ts'
import type { Attack, Mode } from './plan.ts'
import type { AttackResult, Progress, RunResult } from './run.ts'
import type { ScopeRow } from './scopes.ts'
import type { Resource } from '../../src/index.ts'

const LETTERS: Record<Mode, string> = { stock: 'a', wide: 'b', protected: 'c' }

const SHORT_NAMES: Record<Mode, string> = { stock: 'stock', wide: 'wide', protected: 'protected' }

const WORDS: Record<Resource, string> = {
  streams: 'streams',
  inboundStreams: 'streams in',
  outboundStreams: 'streams out',
  connections: 'conns',
  inboundConnections: 'conns in',
  outboundConnections: 'conns out',
  fileDescriptors: 'sockets',
  memory: 'memory'
}

export function title (mode: Mode): string {
  return `(${LETTERS[mode]}) ${MODE_NAMES[mode]}`
}

/**
 * Not wrapped, so that they can be clicked
 */
export function addresses ({ inspector, metrics, trace }: Pages): string[] {
  return ['', `  >>> Look at it: ${inspector}`, `      its metrics: ${metrics}`, `      its trace: ${trace}`, '']
}

/**
 * The table that is drawn again and again
 */
export function live (progress: Progress, width: number): string[] {
  const { sample, attack, mode, milliseconds } = progress
  const head = attack == null ? 'no attack' : `attack ${attackTitle(attack)}`
  const lines = [
    cut(`${title(mode)}, ${Math.round(milliseconds / 1000)} s`, width),
    cut(head, width)
  ]

  if (sample != null) {
    lines.push(...sample.scopes.length > 0
      ? scopeTable(sample.scopes, width)
      : table([
        ['node', 'in use', 'limit'],
        ['connections', count(sample.connections), '-'],
        ['streams', count(sample.streams), '-'],
        ['unread data', mebibytes(sample.unread), '-']
      ], width))
  }

  return [...lines, cut(summary(progress), width)]
}

export function attackOver (progress: Progress, result: AttackResult, width: number): string[] {
  return wrap(`${Math.round(progress.milliseconds / 1000)} s, attack ${attackTitle(result.attack)}: ${count(result.tried)} tried; ${summary(progress)}`, width, '  ')
}

function attackTitle (attack: Attack): string {
  return `${ATTACKS.indexOf(attack) + 1} of ${ATTACKS.length}, ${ATTACK_NAMES[attack]}`
}

function summary ({ sample, idleRss, requests }: Progress): string {
  const served = requests.filter(isServed).length
  const memory = sample == null || idleRss === 0 ? '-' : mebibytes(Math.max(0, sample.rss - idleRss))

  return `RSS +${memory}, honest requests ${served} of ${requests.length}`
}

function scopeTable (rows: ScopeRow[], width: number): string[] {
  let last = ''

  return table([
    ['scope', 'resource', 'in use', 'limit', 'refused'],
    ...rows.filter(row => row.limit != null).map(row => {
      const scope = row.scope === last ? '' : row.scope
      last = row.scope

      return [scope, WORDS[row.resource], amount(row, row.used), amount(row, row.limit), row.refused === 0 ? '' : count(row.refused)]
    })
  ], width)
}

/**
 * The runs side by side, and where the last one refused
 */
export function comparison (results: RunResult[], width: number): string[] {
  const served = results.map(({ requests }) => requests.filter(isServed))
  const latency = (part: number): string[] => served.map(list => duration(percentile(list.map(request => request.milliseconds), part)))

  const lines = [
    ...table([
      ['', ...results.map(({ mode }) => SHORT_NAMES[mode])],
      ['peak memory above idle', ...results.map(({ sample, idleRss }) => mebibytes(Math.max(0, sample.mostRss - idleRss)))],
      ['  unread data held', ...results.map(({ sample }) => mebibytes(sample.mostUnread))],
      ['honest requests served', ...results.map(({ requests }, i) => percent(served[i].length, requests.length))],
      ['  lost', ...results.map(({ requests }, i) => `${requests.length - served[i].length} of ${requests.length}`)],
      ['  p50 latency', ...latency(0.5)],
      ['  p99 latency', ...latency(0.99)],
      ['honest reconnects', ...results.map(({ reconnects }) => `${reconnects.filter(isServed).length} of ${reconnects.length}`)],
      ['refused by scopes', ...results.map(({ sample }) => sample.scopes.length === 0 ? '-' : count(sample.scopes.reduce((sum, { refused }) => sum + refused, 0)))]
    ], width),
    '',
    ...table([
      ['served during attack', ...results.map(({ mode }) => SHORT_NAMES[mode])],
      ...ATTACKS.map((attack, i) => [`${i + 1} ${ATTACK_NAMES[attack]}`, ...results.map(result => servedDuring(attack, result))])
    ], width)
  ]

  const scopes = results.flatMap(({ sample }) => sample.scopes)

  if (scopes.length > 0) {
    let last = ''
    lines.push('', ...table([
      ['scope', 'resource', 'peak', 'limit', 'refused'],
      ...scopes.map(row => {
        const scope = row.scope === last ? '' : row.scope
        last = row.scope

        return [scope, WORDS[row.resource], row.limit == null ? '-' : amount(row, row.most), amount(row, row.limit), count(row.refused)]
      })
    ], width))
  }

  return lines
}

function servedDuring (attack: Attack, { attacks, requests }: RunResult): string {
  const time = attacks.find(result => result.attack === attack)

  if (time == null) {
    return '-'
  }

  const during = requests.filter(({ at }) => at >= time.from && at < time.to)

  return percent(during.filter(isServed).length, during.length)
}

/**
 * What went wrong, nothing if all was well
 */
export function faults ({ failure, requests, sample }: RunResult): string[] {
  const lost = requests.filter(request => !isServed(request))
  const reasons = new Map<string, number>()

  for (const { error = '' } of lost) {
    reasons.set(error, (reasons.get(error) ?? 0) + 1)
  }

  return [
    ...failure == null ? [] : [failure],
    ...requests.length > 0 ? [] : ['No honest request was made.'],
    ...[...reasons].map(([reason, times]) => `Lost ${times} of ${requests.length} honest requests: ${reason}`),
    ...sample.excesses
  ]
}

function isServed ({ error }: Request): boolean {
  return error == null
}

function amount ({ resource }: ScopeRow, value: number | undefined): string {
  if (value == null) {
    return '-'
  }

  return resource === 'memory' ? mebibytes(value) : count(value)
}
