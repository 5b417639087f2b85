/**
 * @file Draws the scopes and what counts in what.
 */

import { h } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Bar, levelOf, MARKS, usesOf, useText } from './bars.ts'
import { count, percent } from './format.ts'
import { GraphModel, isIdle } from './graph.ts'
import type { DrawnNode, Placed } from './graph.ts'
import type { Row, Snapshot } from './messages.ts'
import type { VNode } from 'preact'

const KIND_NAMES: Record<string, string> = {
  system: '',
  transient: '',
  allowlistedSystem: '',
  allowlistedTransient: '',
  service: 'service',
  protocol: 'protocol',
  peer: 'peer',
  servicePeer: 'peer',
  protocolPeer: 'peer'
}

const ROOT_NAMES: Record<string, string> = {
  system: 'System',
  transient: 'Transient',
  allowlistedSystem: 'Allowlisted system',
  allowlistedTransient: 'Allowlisted transient'
}

export interface DagProps {
  snapshot: Snapshot
  onChoose(option: string): void
}

export function Dag ({ snapshot, onChoose }: DagProps): VNode<any> {
  const [model] = useState(() => new GraphModel())
  const holder = useRef<HTMLDivElement>(null)
  const [room, setRoom] = useState(0)

  useEffect(() => {
    const element = holder.current

    if (element !== null) {
      const resized = new ResizeObserver(() => { setRoom(element.clientWidth) })
      resized.observe(element)

      return () => { resized.disconnect() }
    }
  }, [])

  model.update(snapshot)
  const { nodes, drawing: { width, height, places, edges } } = model
  const scale = room === 0 ? 1 : Math.min(1.1, room / width)
  const full = new Set(nodes.filter(({ row }) => row !== undefined && row.fullness >= 1).map(({ id }) => id))
  const fullest = nodes.reduce((most, { id, row }) => (row?.fullness ?? 0) > most.fullness ? { id, fullness: row?.fullness ?? 0 } : most, { id: '', fullness: 0 })

  return h('div', { class: 'dag', ref: holder, style: { height: `${height * scale}px` }, 'data-layouts': model.layouts },
    h('div', { class: 'dag-inner', style: { width: `${width}px`, height: `${height}px`, transform: `scale(${scale})` } },
      h('svg', { width, height, 'aria-hidden': 'true' }, edges.map(({ id, path }) => h('path', { key: id, d: path, class: full.has(id) ? 'edge full' : 'edge' }))),
      nodes.map(node => h(NodeBox, { key: node.id, node, place: places.get(node.id), isFullest: node.id === fullest.id, onChoose }))))
}

interface NodeBoxProps {
  node: DrawnNode
  place?: Placed
  isFullest: boolean
  onChoose(option: string): void
}

function NodeBox ({ node: { row, kind, more = 0 }, place, isFullest, onChoose }: NodeBoxProps): VNode<any> | null {
  if (place === undefined) {
    return null
  }

  const style = { left: `${place.x}px`, top: `${place.y}px`, width: `${place.width}px`, height: `${place.height}px` }

  if (row === undefined) {
    return h('div', { class: 'node more', style }, `and ${count(more)} more ${kind}`)
  }

  const uses = usesOf(row)
  const level = levelOf(row.fullness)
  const label = `${KIND_NAMES[kind]} ${ROOT_NAMES[kind] ?? row.name}: ${uses.map(useText).join(', ')}. Change its limits`

  const props = {
    type: 'button' as const,
    class: `node ${kind} ${level}${isFullest ? ' fullest' : ''}${isIdle(row) ? ' idle' : ''}`,
    style,
    title: row.name,
    'aria-label': label.replace(/ +/g, ' ').trim(),
    onClick: () => { onChoose(row.option) }
  }

  return h('button', props,
    h('span', { class: 'node-title' },
      // protocols are known by their names
      h('span', { class: 'node-kind' }, row.name.startsWith('/') ? '' : KIND_NAMES[kind]),
      h('span', { class: 'node-name' }, titleOf(row)),
      h('span', { class: `badge ${level}` }, isIdle(row) ? 'unused' : `${MARKS[level]}${percent(row.fullness)}${isFullest ? ' ★' : ''}`)),
    isIdle(row) ? null : h('span', { class: 'bars' }, uses.map(use => h(Bar, { key: use.field, use }))))
}

function titleOf ({ kind, name }: Row): string {
  if (kind === 'peer') {
    return peerEnd(name)
  }

  // it hangs from the service or protocol
  if (kind === 'servicePeer' || kind === 'protocolPeer') {
    return peerEnd(name.slice(0, name.indexOf(' ')))
  }

  return ROOT_NAMES[kind] ?? name
}

/**
 * What is before is the same for most, and there is little room
 */
function peerEnd (id: string): string {
  return `…${id.slice(-8)}`
}
