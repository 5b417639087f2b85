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
  /** What it counts in, undefined for those at the top */
  parent?: string
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
  /** From what a scope counts in, by the scope */
  edges: Array<{ id: string, path: string }>
}

const WIDTH = 200
const TITLE = 25
const BAR = 14
const MORE = 24

/** Of what counts in the box above it */
const INDENT = 16

/** Between columns, with room for the lines */
const GUTTER = 18
const ROW_GAP = 8

/** Of four columns, as many as there can be, so that the system has room for its numbers when there are fewer */
const LEAST_WIDTH = 4 * (WIDTH + GUTTER)
const CORNER = 5

interface Group {
  kind: string
  words: string
  most: number
  rows(snapshot: Snapshot): Rows
}

const GROUPS: Group[] = [
  { kind: 'service', words: 'services', most: 4, rows: ({ services }) => services },
  { kind: 'protocol', words: 'protocols', most: 4, rows: ({ protocols }) => protocols },
  { kind: 'peer', words: 'peers', most: 5, rows: ({ peers }) => peers }
]

/** What single peers use of a protocol or service is drawn only if it is nearly all they may */
const MOST_SHARES = 2
const FULL_SHARE = 0.5

const PARENTS: Record<string, string> = {
  transient: 'system',
  allowlistedTransient: 'allowlistedSystem'
}

export class GraphModel {
  nodes: DrawnNode[] = []
  drawing: Drawing = { width: 0, height: 0, places: new Map(), edges: [] }
  /** How often it was laid out */
  layouts = 0

  private key = ''
  private readonly shown = new Map<string, string[]>()

  update (snapshot: Snapshot): void {
    const [system, ...others] = snapshot.roots.map((row): DrawnNode => ({ id: row.kind, kind: row.kind, row, parent: PARENTS[row.kind] }))
    const columns = [others, ...GROUPS.map(group => this.column(group, snapshot))]

    this.nodes = [system, ...columns.flat()]
    const key = this.nodes.map(({ id, row }) => `${id}\n${row === undefined ? 0 : heightOf(row)}`).join('\n')

    if (key !== this.key) {
      this.key = key
      this.layouts++
      this.drawing = draw(system, columns)
    }
  }

  /**
   * Scopes of one kind, each with those of single peers in it that are nearly full
   */
  private column ({ kind, words, most, rows }: Group, snapshot: Snapshot): DrawnNode[] {
    const { rows: all, total } = rows(snapshot)
    const chosen = this.choose(kind, all, most)
    const ids = new Set(chosen.map(row => `${kind}:${row.name}`))
    const shares = this.choose(`${kind}Peer`, snapshot.shares.rows.filter(row => row.fullness >= FULL_SHARE && ids.has(parentOf(row))), MOST_SHARES)

    const nodes = chosen.flatMap((row): DrawnNode[] => {
      const id = `${kind}:${row.name}`

      return [
        { id, kind, row, parent: 'system' },
        ...shares.filter(share => parentOf(share) === id).map(share => ({ id: `${share.kind}:${share.name}`, kind: share.kind, row: share, parent: id }))
      ]
    })

    return total > chosen.length ? [...nodes, { id: `more:${words}`, kind: words, more: total - chosen.length, parent: 'system' }] : nodes
  }

  /**
   * The fullest. Those that were drawn before stay while they are nearly among these,
   * so that the drawing is at rest.
   */
  private choose (kind: string, rows: Row[], most: number): Row[] {
    const before = this.shown.get(kind) ?? []
    const used = rows.filter(({ use }) => use.some(value => value > 0))
    const candidates = used.length < most ? rows : used
    const near = new Map(candidates.slice(0, 2 * most).map(row => [row.name, row]))
    const kept = before.map(name => near.get(name)).filter(row => row !== undefined)
    const added = candidates.filter(row => !kept.includes(row)).slice(0, Math.max(0, most - kept.length))
    const [fullest] = candidates
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

/**
 * The system lies over all columns. In a column each hangs from the one above, which
 * keeps them in rows; the lines that are drawn go along the columns.
 */
function draw (system: DrawnNode, columns: DrawnNode[][]): Drawing {
  const graph = new Graph()
  graph.setGraph({ rankdir: 'TB', nodesep: GUTTER, ranksep: ROW_GAP, marginx: GUTTER / 2, marginy: 2 })
  graph.setDefaultEdgeLabel(() => ({}))
  graph.setNode(system.id, { width: WIDTH, height: TITLE + BAR + 6 })

  for (const column of columns) {
    column.forEach(({ id, row }, i) => {
      graph.setNode(id, { width: WIDTH, height: row === undefined ? MORE : heightOf(row) })
      graph.setEdge(i === 0 ? system.id : column[i - 1].id, id)
    })
  }

  layout(graph)

  const { width: used = 0, height = 0 } = graph.graph() as { width?: number, height?: number }
  const width = Math.max(used, LEAST_WIDTH)
  const nodes = columns.flat()
  const places = new Map(nodes.map(({ id, parent }) => {
    const { x, y, width, height } = graph.node(id) as unknown as Placed
    const indent = parent === undefined || parent === system.id ? 0 : INDENT

    return [id, { x: x - width / 2 + indent, y: y - height / 2, width: width - indent, height }]
  }))
  const top = graph.node(system.id) as unknown as Placed
  places.set(system.id, { x: GUTTER / 2, y: top.y - top.height / 2, width: width - GUTTER, height: top.height })

  return {
    width,
    height,
    places,
    edges: nodes.filter(({ parent }) => parent !== undefined).map(({ id, parent = '' }) => ({ id, path: line(places.get(parent), places.get(id)) }))
  }
}

/**
 * Down along the left of a column, and into the box
 */
function line (from?: Placed, to?: Placed): string {
  if (from === undefined || to === undefined) {
    return ''
  }

  const x = to.x - GUTTER / 2 + 1
  const y = to.y + Math.min(to.height, TITLE) / 2

  return `M${x},${from.y + from.height}V${y - CORNER}Q${x},${y} ${x + CORNER},${y}H${to.x}`
}
