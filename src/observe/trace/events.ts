/**
 * @file Events as they are held until they are written. Tens of thousands may wait,
 * so each has only the fields that it speaks of: the others are 0 for all.
 */

import type { TraceEvent, TraceEventType } from './event.ts'
import type { Account } from '../../core/account.ts'

export type Counts = Pick<Account, 'memory' | 'inboundStreams' | 'outboundStreams' | 'inboundConnections' | 'outboundConnections' | 'fileDescriptors'>

abstract class Event implements TraceEvent {
  declare limit?: TraceEvent['limit']
  declare priority: number
  declare delta: number
  declare deltaIn: number
  declare deltaOut: number
  declare memory: number
  declare streamsIn: number
  declare streamsOut: number
  declare connsIn: number
  declare connsOut: number
  declare fd: number

  readonly time: number
  readonly type: TraceEventType
  readonly name: string

  constructor (time: number, type: TraceEventType, name: string) {
    this.time = time
    this.type = type
    this.name = name
  }
}

Object.assign(Event.prototype, {
  priority: 0,
  delta: 0,
  deltaIn: 0,
  deltaOut: 0,
  memory: 0,
  streamsIn: 0,
  streamsOut: 0,
  connsIn: 0,
  connsOut: 0,
  fd: 0
})

export class ScopeEvent extends Event {
  declare limit?: TraceEvent['limit']

  constructor (time: number, type: TraceEventType, name: string, limit?: TraceEvent['limit']) {
    super(time, type, name)
    this.limit = limit
  }
}

export class MemoryEvent extends Event {
  constructor (time: number, type: TraceEventType, name: string, totals: Counts, delta: number, priority: number) {
    super(time, type, name)
    this.priority = priority
    this.delta = delta
    this.memory = totals.memory
  }
}

export class StreamEvent extends Event {
  constructor (time: number, type: TraceEventType, name: string, totals: Counts, deltaIn: number, deltaOut: number) {
    super(time, type, name)
    this.deltaIn = deltaIn
    this.deltaOut = deltaOut
    this.streamsIn = totals.inboundStreams
    this.streamsOut = totals.outboundStreams
  }
}

export class ConnectionEvent extends Event {
  constructor (time: number, type: TraceEventType, name: string, totals: Counts, deltaIn: number, deltaOut: number, delta: number) {
    super(time, type, name)
    this.delta = delta
    this.deltaIn = deltaIn
    this.deltaOut = deltaOut
    this.connsIn = totals.inboundConnections
    this.connsOut = totals.outboundConnections
    this.fd = totals.fileDescriptors
  }
}
