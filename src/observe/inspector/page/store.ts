/**
 * @file All that the page knows: what the node has told it, put together.
 */

import type { Refusal, Sample, Snapshot, Welcome } from './messages.ts'

/** Samples that are drawn, one a second */
const SAMPLES = 300

/** Refusals that are kept, as many as the node keeps */
const REFUSALS = 200

/** What counts as now, in milliseconds */
const NOW = 5_000

export type Connection = 'connecting' | 'live' | 'lost'

export interface State {
  connection: Connection
  paused: boolean
  welcome?: Welcome
  snapshot?: Snapshot
  samples: Sample[]
  /** The latest first */
  refusals: Refusal[]
  /** By key of the refusal, how many there were in the last seconds */
  recent: Map<string, number>
  /** How many snapshots there were */
  snapshots: number
  /** Why there is no snapshot of now */
  trouble?: string
}

export class Store {
  state: State = { connection: 'connecting', paused: false, samples: [], refusals: [], recent: new Map(), snapshots: 0 }

  private readonly onChange: (state: State) => void
  private readonly refusals = new Map<string, Refusal>()
  private arrivals: Array<{ at: number, key: string, count: number }> = []
  /** What comes before the first snapshot was refused before somebody looked */
  private isCaughtUp = false

  constructor (onChange: (state: State) => void) {
    this.onChange = onChange
  }

  follow (source: EventSource): void {
    const on = <T> (type: string, listener: (data: T) => void): void => {
      source.addEventListener(type, ({ data }) => { listener(JSON.parse(data)) })
    }

    on<Welcome>('welcome', welcome => {
      // after an interruption the node begins again
      this.refusals.clear()
      this.arrivals = []
      this.isCaughtUp = false
      this.state = { ...this.state, welcome, samples: [] }
    })
    on<Refusal[]>('refusals', refusals => { this.addRefusals(refusals) })
    on<Sample[]>('samples', samples => {
      this.state = { ...this.state, samples: [...this.state.samples, ...samples].slice(-SAMPLES) }
    })
    // the last of those that come together
    on<Snapshot>('snapshot', snapshot => {
      this.isCaughtUp = true
      this.change({ ...this.summary(), connection: 'live', snapshot, snapshots: this.state.snapshots + 1, trouble: undefined })
    })
    on<{ message: string }>('trouble', ({ message }) => { this.change({ connection: 'live', trouble: message }) })
    source.addEventListener('error', () => { this.change({ connection: 'lost' }) })
  }

  setPaused (paused: boolean): void {
    this.state = { ...this.state, paused }
    this.onChange(this.state)
  }

  private change (state: Partial<State>): void {
    this.state = { ...this.state, ...state }

    if (!this.state.paused) {
      this.onChange(this.state)
    }
  }

  private addRefusals (refusals: Refusal[]): void {
    const at = Date.now()

    // the latest comes first, and is to be the last in the map
    for (const refusal of refusals.reverse()) {
      const known = this.refusals.get(refusal.key)?.count ?? 0

      if (this.isCaughtUp) {
        this.arrivals.push({ at, key: refusal.key, count: Math.max(0, refusal.count - known) })
      } else {
        // when the others were is not known
        this.arrivals.push({ at: refusal.at, key: refusal.key, count: 1 })
      }

      this.refusals.delete(refusal.key)
      this.refusals.set(refusal.key, refusal)
    }

    for (const key of this.refusals.keys()) {
      if (this.refusals.size <= REFUSALS) {
        break
      }

      this.refusals.delete(key)
    }
  }

  private summary (): Pick<State, 'refusals' | 'recent'> {
    const recent = new Map<string, number>()
    this.arrivals = this.arrivals.filter(({ at }) => at > Date.now() - NOW)

    for (const { key, count } of this.arrivals) {
      recent.set(key, (recent.get(key) ?? 0) + count)
    }

    return { refusals: [...this.refusals.values()].reverse(), recent }
  }
}
