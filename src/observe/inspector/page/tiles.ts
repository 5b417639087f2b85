/**
 * @file The numbers that matter most, with their last minutes.
 */

import { h } from 'preact'
import { useMemo } from 'preact/hooks'
import { groupUse, levelOf, MARKS, useOf } from './bars.ts'
import { amount, bytes, count, FIELD_NAMES, limitText, percent, UNLIMITED } from './format.ts'
import { Spark } from './spark.ts'
import type { Use } from './bars.ts'
import type { Field, Memory, Sample, Snapshot } from './messages.ts'
import type { SparkProps } from './spark.ts'
import type { VNode } from 'preact'

export interface TilesProps {
  snapshot: Snapshot
  samples: Sample[]
}

export function Tiles ({ snapshot, samples }: TilesProps): VNode<any> {
  const [system] = snapshot.roots
  const lines = useMemo(() => ({
    times: samples.map(({ at }) => at / 1000),
    memory: [samples.map(({ memory }) => memory), samples.map(({ resident }) => resident)],
    connections: [samples.map(({ connections }) => connections)],
    streams: [samples.map(({ streams }) => streams)],
    refusals: [samples.map(({ refusals }) => refusals)]
  }), [samples])
  const refused = snapshot.refusals.reduce((sum, { count }) => sum + count, 0)
  const now = samples.at(-1)?.refusals ?? 0
  const most = Math.max(0, ...lines.refusals[0])

  const held = (field: Field): string => count(useOf(system, field).current)

  const resource = (name: string, group: string, below: string, key: 'memory' | 'connections' | 'streams'): VNode<any> => {
    const use = groupUse(system, group)

    return h(Tile, { name, use, below, label: `${name} in the last five minutes`, times: lines.times, lines: lines[key] })
  }

  return h('section', { class: 'tiles', 'aria-label': 'What is in use' },
    resource('Memory accounted for', 'memory', processText(snapshot.memory), 'memory'),
    resource('Connections', 'connections', `${held('inboundConnections')} in, ${held('outboundConnections')} out, ${held('fileDescriptors')} descriptors`, 'connections'),
    resource('Streams', 'streams', `${held('inboundStreams')} in, ${held('outboundStreams')} out`, 'streams'),
    h('div', { class: `tile ${now > 0 ? 'full' : 'low'}` },
      h('h2', null, 'Refusals'),
      h('p', { class: 'figure' }, h('b', null, count(now)), h('span', { class: 'of' }, ' a second')),
      h('p', { class: 'below' }, `${count(refused)} in all, at most ${count(most)} a second`),
      h(Spark, { label: 'Refusals a second in the last five minutes', times: lines.times, lines: lines.refusals })))
}

/**
 * What the process really holds, garbage and code included
 */
function processText ({ resident, maxProcessMemory }: Memory): string {
  if (resident === undefined) {
    return ''
  }

  return `Process holds ${bytes(resident)}${maxProcessMemory === UNLIMITED ? '' : ` of ${limitText('memory', maxProcessMemory)}`}`
}

function Tile ({ name, use, below, ...spark }: SparkProps & { name: string, use: Use, below: string }): VNode<any> {
  const { field, current, limit, fraction } = use
  const level = levelOf(fraction)
  const which = FIELD_NAMES[field].endsWith(' in') || FIELD_NAMES[field].endsWith(' out') ? ` ${FIELD_NAMES[field].split(' ')[1]}` : ''

  return h('div', { class: `tile ${level}` },
    h('h2', null, name),
    h('p', { class: 'figure' },
      h('b', null, amount(field, current)),
      h('span', { class: 'of' }, `${which} of ${limitText(field, limit)}`),
      h('span', { class: `badge ${level}` }, limit === UNLIMITED ? 'no limit' : `${MARKS[level]}${percent(fraction)}`)),
    h('span', { class: 'track' }, h('span', { class: 'fill', style: { width: `${Math.min(100, 100 * fraction)}%` } })),
    h('p', { class: 'below' }, below),
    h(Spark, spark))
}
