/**
 * @file Which scopes are drawn, and where: the layout is made anew only when others
 * are drawn than before.
 */

import { Graph, layout } from '@dagrejs/dagre'
import { usesOf } from './bars.ts'
import type { Row, Rows, Snapshot } from './messages.ts'

export interface DrawnNode {
  id: string
  /** Undefined for all those that have no room */
  row?: Row
  /** How many those are */
  more?: number
  kind: string
}

export interface Placed {
  x: number
  y: number
  width: number
  height: number
}

export interface Drawing {
  width: number
  height: number
  places: Map<string, Placed>
  edges: Array<{ id: string, path: string, child: string }>
}

const WIDTH = 196
const TITLE = 25
const BAR = 14
const MORE = 26

interface Group {
  kind: string
  words: string
  most: number
  /** How far from the system, so that each kind has a column of its own */
  column: number
  rows(snapshot: Snapshot): Rows
}

const GROUPS: Group[] = [
  { kind: 'service', words: 'services', most: 4, column: 1, rows: ({ services }) => services },
  { kind: 'protocol', words: 'protocols', most: 5, column: 2, rows: ({ protocols }) => protocols },
  { kind: 'peer', words: 'peers', most: 5, column: 3, rows: ({ peers }) => peers }
]

/** What single peers use of a protocol or service is drawn only if it is nearly all they may */
const MOST_SHARES = 2
const FULL_SHARE = 0.5

export class GraphModel {
  nodes: DrawnNode[] = []
  drawing: Drawing = { width: 0, height: 0, places: new Map(), edges: [] }
  /** How often it was laid out */
  layouts = 0

  private key = ''
  private readonly shown = new Map<string, string[]>()

  update (snapshot: Snapshot): void {
    const nodes: DrawnNode[] = snapshot.roots.map(row => ({ id: row.kind, kind: row.kind, row }))

    for (const { kind, words, most, rows } of GROUPS) {
      const { rows: all, total } = rows(snapshot)
      const chosen = this.choose(kind, all, most)

      nodes.push(...chosen.map(row => ({ id: `${kind}:${row.name}`, kind, row })))

      if (total > chosen.length) {
        nodes.push({ id: `more:${words}`, kind: words, more: total - chosen.length })
      }
    }

    const drawn = new Set(nodes.map(({ id }) => id))
    const shares = snapshot.shares.rows.filter(row => row.fullness >= FULL_SHARE && drawn.has(parentOf(row)))
    nodes.push(...this.choose('share', shares, MOST_SHARES).map(row => ({ id: `${row.kind}:${row.name}`, kind: row.kind, row })))

    this.nodes = nodes
    const key = nodes.map(({ id, row }) => `${id}\n${row === undefined ? 0 : heightOf(row)}`).join('\n')

    if (key !== this.key) {
      this.key = key
      this.layouts++
      this.drawing = draw(nodes)
    }
  }

  /**
   * The fullest. Those that were drawn before stay while they are nearly among these,
   * so that the drawing is at rest.
   */
  private choose (kind: string, rows: Row[], most: number): Row[] {
    const before = this.shown.get(kind) ?? []
    const near = new Map(rows.slice(0, 2 * most).map(row => [row.name, row]))
    const kept = before.map(name => near.get(name)).filter(row => row !== undefined)
    const added = rows.filter(row => !kept.includes(row)).slice(0, Math.max(0, most - kept.length))
    const [fullest] = rows
    const chosen = [...kept, ...added]

    // the fullest of all must be seen
    if (fullest !== undefined && !chosen.includes(fullest)) {
      chosen[chosen.length - 1] = fullest
    }

    this.shown.set(kind, chosen.map(({ name }) => name))

    return chosen
  }
}

/**
 * Scopes that there always are, and that nobody uses, are drawn small
 */
export function isIdle ({ kind, use }: Row): boolean {
  return kind.startsWith('allowlisted') && use.every(value => value === 0)
}

function heightOf (row: Row): number {
  return TITLE + (isIdle(row) ? 0 : BAR * usesOf(row).length + 4)
}

/**
 * The service or protocol that a share is of
 */
function parentOf ({ kind, name }: Row): string {
  return `${kind === 'servicePeer' ? 'service' : 'protocol'}:${name.slice(name.indexOf(' ') + 1)}`
}

function draw (nodes: DrawnNode[]): Drawing {
  const graph = new Graph({ multigraph: false })
  graph.setGraph({ rankdir: 'LR', nodesep: 9, edgesep: 3, ranksep: 14, marginx: 2, marginy: 2, ranker: 'longest-path' })
  graph.setDefaultEdgeLabel(() => ({}))

  for (const { id, row } of nodes) {
    graph.setNode(id, { width: WIDTH, height: row === undefined ? MORE : heightOf(row) })
  }

  for (const { id, kind, row } of nodes) {
    const group = GROUPS.find(group => group.kind === kind || group.words === kind)

    if (group !== undefined) {
      graph.setEdge('system', id, { minlen: group.column })
    } else if (kind === 'transient') {
      graph.setEdge('system', id, { minlen: 1 })
    } else if (kind === 'allowlistedTransient') {
      graph.setEdge('allowlistedSystem', id, { minlen: 1 })
    } else if (row !== undefined && (kind === 'servicePeer' || kind === 'protocolPeer')) {
      graph.setEdge(parentOf(row), id, { minlen: kind === 'servicePeer' ? 2 : 1 })
    }
  }

  layout(graph)

  const { width = 0, height = 0 } = graph.graph() as { width?: number, height?: number }

  return {
    width,
    height,
    places: new Map(nodes.map(({ id }) => {
      const { x, y, width, height } = graph.node(id) as unknown as Placed

      return [id, { x: x - width / 2, y: y - height / 2, width, height }]
    })),
    edges: graph.edges().map((edge: { v: string, w: string }) => ({
      id: `${edge.v} ${edge.w}`,
      child: edge.w,
      path: curve((graph.edge(edge) as { points: Array<{ x: number, y: number }> }).points)
    }))
  }
}

function curve ([first, ...points]: Array<{ x: number, y: number }>): string {
  let [x, y] = [first.x, first.y]
  let path = `M${x.toFixed(1)},${y.toFixed(1)}`

  for (const point of points) {
    const middle = ((x + point.x) / 2).toFixed(1)
    path += `C${middle},${y.toFixed(1)} ${middle},${point.y.toFixed(1)} ${point.x.toFixed(1)},${point.y.toFixed(1)}`
    ;[x, y] = [point.x, point.y]
  }

  return path
}
