/**
 * @file What it costs to trace: the lives of streams and connections with a trace
 * to memory, against the same without one; and what a file takes of the processor
 * besides, of which compression has a thread of its own.
 */

/* eslint-disable no-console */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createResourceManager } from '../src/index.ts'
import { fileSink } from '../src/observe/trace/file-sink.ts'
import { check, measure, printTable, reportChecks } from './harness.ts'
import { makePeers } from './peers.ts'
import type { Medians } from './harness.ts'
import type { DefaultResourceManager, Limits, TraceEvent } from '../src/index.ts'

const WARM_UP = 30
const ROUNDS = 101
const PEERS = 1_000
const LEAP = 7_919

/** Fewer events than wait for a sink at most, since a round runs without a pause */
const TIMES = 2_000

const plenty = { streams: Infinity, inboundStreams: Infinity, outboundStreams: Infinity, connections: Infinity, inboundConnections: Infinity, outboundConnections: Infinity, fileDescriptors: Infinity, memory: 2 ** 45 }
const limits: Limits = { system: plenty, transient: plenty, peerDefault: plenty, protocolDefault: plenty, protocolPeerDefault: plenty, serviceDefault: plenty, servicePeerDefault: plenty }

const peers = makePeers(PEERS)

/** What the sink has got: the last second of a busy node, a million events */
const memory: Array<readonly TraceEvent[]> = []
let events = 0
let starts = 0

function write (batch: readonly TraceEvent[]): void {
  memory.push(batch)
  events += batch.length
  starts += batch.filter(({ type }) => type === 'start').length

  if (memory.length > 16) {
    memory.shift()
  }
}

function streamLives (manager: DefaultResourceManager): (times: number) => void {
  let n = 0

  return times => {
    for (let i = 0; i < times; i++) {
      n = (n + LEAP) % PEERS
      const scope = manager.openStream(peers[n], 'inbound')
      scope.setProtocol('/echo/1.0.0')
      scope.setService('echo')
      scope.reserveMemory(4_096)
      scope.done()
    }
  }
}

function connectionLives (manager: DefaultResourceManager): (times: number) => void {
  let n = 0

  return times => {
    for (let i = 0; i < times; i++) {
      n = (n + LEAP) % PEERS
      const scope = manager.openConnection('inbound', true)
      scope.setPeer(peers[n])
      scope.done()
    }
  }
}

function median (values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}

async function compare (lives: typeof streamLives): Promise<Medians> {
  const off = createResourceManager({ limits })
  const on = createResourceManager({ limits, trace: { write } })
  const sides = [{ name: 'off', run: lives(off) }, { name: 'on', run: lives(on) }]
  const rounds: Medians[] = []

  for (let i = 0; i < WARM_UP + ROUNDS; i++) {
    rounds.push(measure(i % 2 === 0 ? sides : sides.toReversed(), { rounds: 1, times: TIMES }))
    // the sink gets what there is
    await new Promise(resolve => setTimeout(resolve, 5))
  }

  const counted = rounds.slice(WARM_UP)
  check('what the traced manager holds', on.stat().system, off.stat().system)
  off.close()
  on.close()

  return { off: median(counted.map(({ off }) => off)), on: median(counted.map(({ on }) => on)) }
}

/**
 * Microseconds of the processor for the events of a stream life
 */
async function fileCost (eventsOfLife: number): Promise<number> {
  const batches: Array<readonly TraceEvent[]> = []
  const manager = createResourceManager({ limits, trace: { write: batch => { batches.push(batch) } } })
  const run = streamLives(manager)

  for (let i = 0; i < 10; i++) {
    run(TIMES)
    await new Promise(resolve => setTimeout(resolve, 5))
  }

  await manager.afterStop()

  const folder = await mkdtemp(join(tmpdir(), 'trace-'))
  const sink = fileSink(join(folder, 'trace.gz'))
  const start = process.cpuUsage()

  for (const batch of batches) {
    await sink.write(batch)
  }

  const { user, system } = process.cpuUsage(start)
  await rm(folder, { recursive: true })

  return (user + system) / (batches.reduce((sum, { length }) => sum + length, 0) / eventsOfLife)
}

const before = events
const streams = await compare(streamLives)
const streamEvents = (events - before) / (TIMES * (WARM_UP + ROUNDS))
const connections = await compare(connectionLives)

const file = await fileCost(streamEvents)

check('traces that had to begin anew', starts, 2)

console.info(`A trace to memory, Node.js ${process.version}, ${PEERS.toLocaleString('en')} peers, medians of ${ROUNDS} rounds\n`)
printTable(['', 'off', 'on', 'target', ''], [
  [`stream life, ${streamEvents.toFixed(0)} events`, `${streams.off.toFixed(0)} ns`, `${streams.on.toFixed(0)} ns`, '≤ 3000 ns', streams.on <= 3_000 ? 'ok' : 'OVER'],
  ['connection life', `${connections.off.toFixed(0)} ns`, `${connections.on.toFixed(0)} ns`, '', '']
])
console.info(`\nTo a file: ${file.toFixed(0)} µs of the processor more for a stream life`)
reportChecks()
