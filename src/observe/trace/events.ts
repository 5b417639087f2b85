/**
 * @file Events as they are held until they are written. Tens of thousands may wait,
 * so each has only the fields that it speaks of: the others are 0 for all.
 *
 * The classes have no base: a constructor that calls that of another class takes
 * V8 as long as all the rest of an event.
 */

import type { TraceEvent, TraceEventType } from './event.ts'
import type { Account } from '../../core/account.ts'

export type Counts = Pick<Account, 'memory' | 'inboundStreams' | 'outboundStreams' | 'inboundConnections' | 'outboundConnections' | 'fileDescriptors'>

export interface ScopeEvent extends TraceEvent {}
export interface MemoryEvent extends TraceEvent {}
export interface StreamEvent extends TraceEvent {}
export interface ConnectionEvent extends TraceEvent {}

export class ScopeEvent {
  constructor (time: number, type: TraceEventType, name: string, limit?: TraceEvent['limit']) {
    this.time = time
    this.type = type
    this.name = name
    this.limit = limit
  }
}

export class MemoryEvent {
  constructor (time: number, type: TraceEventType, name: string, totals: Counts, delta: number, priority: number) {
    this.time = time
    this.type = type
    this.name = name
    this.priority = priority
    this.delta = delta
    this.memory = totals.memory
  }
}

export class StreamEvent {
  constructor (time: number, type: TraceEventType, name: string, totals: Counts, deltaIn: number, deltaOut: number) {
    this.time = time
    this.type = type
    this.name = name
    this.deltaIn = deltaIn
    this.deltaOut = deltaOut
    this.streamsIn = totals.inboundStreams
    this.streamsOut = totals.outboundStreams
  }
}

export class ConnectionEvent {
  constructor (time: number, type: TraceEventType, name: string, totals: Counts, deltaIn: number, deltaOut: number, delta: number) {
    this.time = time
    this.type = type
    this.name = name
    this.delta = delta
    this.deltaIn = deltaIn
    this.deltaOut = deltaOut
    this.connsIn = totals.inboundConnections
    this.connsOut = totals.outboundConnections
    this.fd = totals.fileDescriptors
  }
}

for (const { prototype } of [ScopeEvent, MemoryEvent, StreamEvent, ConnectionEvent]) {
  Object.assign(prototype, { priority: 0, delta: 0, deltaIn: 0, deltaOut: 0, memory: 0, streamsIn: 0, streamsOut: 0, connsIn: 0, connsOut: 0, fd: 0 })
}
