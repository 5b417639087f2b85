/**
 * @file Rebuilds what every scope holds from the events of a trace, one by one,
 * and compares every total in them with what came before.
 */

import { scopeName } from './names.ts'
import { COUNTS } from './replay-state.ts'
import { groupOf, ReplayedScope } from './replayed-scope.ts'
import { Sums } from './sums.ts'
import type { TraceEvent, TraceEventType } from './event.ts'
import type { TraceClass } from './names.ts'
import type { BlockedCounts, Count, Replay, TraceProblem, TraceReplayInit } from './replay-state.ts'
import type { ConcreteLimit } from '../../core/types.ts'

/** A trace of something else altogether shall not fill the memory with its problems */
const MAX_PROBLEMS = 1000

interface Kind {
  resource: keyof BlockedCounts
  /** Of its deltas; 0 if nothing changes */
  sign: 1 | -1 | 0
}

const KINDS: Partial<Record<TraceEventType, Kind>> = {
  reserve_memory: { resource: 'memory', sign: 1 },
  block_reserve_memory: { resource: 'memory', sign: 0 },
  release_memory: { resource: 'memory', sign: -1 },
  add_stream: { resource: 'streams', sign: 1 },
  block_add_stream: { resource: 'streams', sign: 0 },
  remove_stream: { resource: 'streams', sign: -1 },
  add_conn: { resource: 'connections', sign: 1 },
  block_add_conn: { resource: 'connections', sign: 0 },
  remove_conn: { resource: 'connections', sign: -1 }
}

/** The counts that an event about a resource has totals of, with their deltas */
const DELTAS: Record<keyof BlockedCounts, Partial<Record<Count, 'delta' | 'deltaIn' | 'deltaOut'>>> = {
  memory: { memory: 'delta' },
  streams: { inboundStreams: 'deltaIn', outboundStreams: 'deltaOut' },
  connections: { inboundConnections: 'deltaIn', outboundConnections: 'deltaOut', fileDescriptors: 'delta' }
}

const GATES: readonly TraceClass[] = ['subnet', 'rate', 'process']

/**
 * A running state: push events as they come.
 *
 * Where a total is not what it should be, the state has what the trace says from
 * then on, so that one event that is lost is a problem once.
 */
export class TraceReplay implements Replay {
  time = 0
  events = 0
  limits?: Record<string, unknown>
  readonly scopes = new Map<string, ReplayedScope>()
  readonly blocked = new Map<TraceClass, BlockedCounts>()
  readonly problems: TraceProblem[] = []
  problemCount = 0

  private readonly concurrent: boolean
  private readonly sums: Sums
  private scope = ''

  /**
   * After a start totals may be told one by one, as `stateEvents` does: sums match
   * when all are, which is when something changes that was told
   */
  private settled = false

  constructor ({ concurrent = false }: TraceReplayInit = {}) {
    this.concurrent = concurrent
    this.sums = new Sums(message => { this.problem(message) })
  }

  push (event: TraceEvent): void {
    this.events++
    this.time = event.time
    this.scope = event.name

    const kind = KINDS[event.type]

    if (kind === undefined) {
      this.expectNothing(event)
    } else {
      this.expectSigns(event, kind)
    }

    if (event.type === 'start') {
      this.start(event)
    } else if (this.events === 1) {
      this.problem('the trace does not begin with start')
    }

    if (event.type === 'create_scope') {
      this.create(event)
    } else if (event.type === 'destroy_scope') {
      this.destroy(event)
    } else if (kind !== undefined) {
      this.change(event, kind)
    }
  }

  /**
   * Compares what scopes hold together, which is done after most operations anyway.
   * Call it when none is under way.
   */
  check (): void {
    if (!this.concurrent) {
      this.scope = ''
      this.sums.check()
    }
  }

  private start (event: TraceEvent): void {
    this.scopes.clear()
    this.sums.reset()
    this.settled = false
    this.limits = event.limit as Record<string, unknown> | undefined
  }

  private create (event: TraceEvent): void {
    if (this.scopes.has(event.name)) {
      this.problem('is made, but there is one already')
      this.remove(event.name)
    }

    this.insert(event.name, event.limit as ConcreteLimit | undefined)
  }

  private destroy ({ name }: TraceEvent): void {
    const scope = this.scopes.get(name)

    if (scope === undefined) {
      this.problem('ends, but is not live')

      return
    }

    const { memory } = scope

    this.settled = true

    // of what connections, streams and spans hold only the scopes above report the loss
    if (!scope.isLeaf && scope.group !== 'span' && COUNTS.some(([count]) => scope[count] !== 0)) {
      this.problem('ends, but still holds something')
    }

    this.remove(name)

    if (scope.isLeaf && !this.concurrent) {
      this.sums.leafMemoryChanged(-memory)
      this.sums.check()
    }
  }

  private change (event: TraceEvent, kind: Kind): void {
    let scope = this.scopes.get(event.name)

    if (kind.sign === 0) {
      this.count(event, kind)

      if (scope === undefined && GATES.includes(scopeName(event.name).class)) {
        return
      }
    }

    const isKnown = scope !== undefined

    if (scope === undefined) {
      this.problem(`has ${event.type}, but is not live`)
      scope = this.insert(event.name)
    }

    const deltas = DELTAS[kind.resource]
    const before = scope.memory

    if (scope.group === 'span' && kind.resource !== 'memory') {
      // a name can look like that of a span
      this.regroup(scope, groupOf(event.name, false))
    }

    for (const [count, total] of COUNTS) {
      const delta = deltas[count]
      const told = event[total]

      if (delta === undefined) {
        if (told !== 0) {
          this.problem(`${count} is ${told}, but ${event.type} is not about it`)
        }

        continue
      }

      const by = kind.sign === 0 ? 0 : event[delta]
      const due = scope[count] + by

      if (kind.sign <= 0 || (by !== 0 && scope[count] !== 0)) {
        this.settled = true
      }

      if (told < 0) {
        this.problem(`${count} is ${told} after ${event.type}`)
      } else if (isKnown && told !== due) {
        this.problem(`${count} is ${told} after ${event.type}, ${scope[count]} before and a change of ${by} make ${due}`)
      }

      this.set(scope, count, told)
    }

    this.afterChange(scope, kind, scope.memory - before)
  }

  private afterChange (scope: ReplayedScope, kind: Kind, memory: number): void {
    if (!this.settled || kind.sign === 0 || this.concurrent) {
      return
    }

    const { owner } = scope

    if (owner !== undefined && this.scopes.get(owner.name) === owner && owner.memory < owner.memoryOfSpans) {
      this.problem(`memory: ${owner.memoryOfSpans} in the spans of ${owner.name}, ${owner.memory} in itself`)
    }

    if (kind.resource === 'memory') {
      if (scope.group === 'system') {
        this.sums.systemMemoryChanged(memory)
      } else if (!scope.isLeaf) {
        this.sums.otherMemoryChanged()
      } else if (this.sums.leafMemoryChanged(memory)) {
        this.sums.check(['memory'])
      }
    } else if (scope.isLeaf) {
      this.sums.check()
    }
  }

  private insert (name: string, limit?: ConcreteLimit): ReplayedScope {
    const scope = new ReplayedScope(name, limit, this.scopes)

    if (scope.parent !== undefined) {
      // a name can look like that of a peer within it or of a span, but these have none within them
      this.regroup(scope.parent, groupOf(scope.parent.name, false, false))
    }

    this.scopes.set(name, scope)

    return scope
  }

  private remove (name: string): void {
    const scope = this.scopes.get(name)

    if (scope !== undefined) {
      for (const [count] of COUNTS) {
        this.set(scope, count, 0)
      }

      this.scopes.delete(name)
    }
  }

  private set (scope: ReplayedScope, count: Count, value: number): void {
    const by = value - scope[count]

    if (by !== 0) {
      scope[count] = value
      this.sums.add(scope.group, count, by)

      if (count === 'memory' && scope.owner !== undefined) {
        scope.owner.memoryOfSpans += by
      }
    }
  }

  private regroup (scope: ReplayedScope, group: ReplayedScope['group']): void {
    for (const [count] of COUNTS) {
      this.sums.add(scope.group, count, -scope[count])
      this.sums.add(group, count, scope[count])
    }

    scope.group = group

    if (scope.owner !== undefined) {
      scope.owner.memoryOfSpans -= scope.memory
      scope.owner = undefined
    }
  }

  private count ({ name }: TraceEvent, { resource }: Kind): void {
    const { class: key } = scopeName(name)
    let counts = this.blocked.get(key)

    if (counts === undefined) {
      counts = { memory: 0, streams: 0, connections: 0 }
      this.blocked.set(key, counts)
    }

    counts[resource]++
  }

  private expectNothing (event: TraceEvent): void {
    for (const field of ['delta', 'deltaIn', 'deltaOut'] as const) {
      if (event[field] !== 0) {
        this.problem(`${field} is ${event[field]} in ${event.type}`)
      }
    }

    for (const [count, total] of COUNTS) {
      if (event[total] !== 0) {
        this.problem(`${count} is ${event[total]} in ${event.type}`)
      }
    }
  }

  private expectSigns (event: TraceEvent, { resource, sign }: Kind): void {
    const expected = Object.values(DELTAS[resource])

    for (const field of ['delta', 'deltaIn', 'deltaOut'] as const) {
      const value = event[field]

      if (expected.includes(field) ? value * (sign === 0 ? 1 : sign) < 0 : value !== 0) {
        this.problem(`${field} is ${value} in ${event.type}`)
      }
    }
  }

  private problem (message: string): void {
    this.problemCount++

    if (this.problems.length < MAX_PROBLEMS) {
      this.problems.push({ event: this.events, time: this.time, scope: this.scope, message })
    }
  }
}
