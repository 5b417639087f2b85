/**
 * @file What the accounting costs: the lives of streams and connections,
 * memory, refusals, growth with live streams and with peers, and heap.
 */

/* eslint-disable no-console */

import { parseArgs } from 'node:util'
import { createResourceManager, isResourceLimitExceeded, ReservationPriority, ResourceLimitExceededError } from '../src/index.ts'
import { check, heapUsed, measure, printTable, reportChecks } from './harness.ts'
import { makePeers } from './peers.ts'
import { Sketch } from './sketch.ts'
import type { Medians, Side } from './harness.ts'
import type { SketchLeaf } from './sketch.ts'
import type { ConcreteLimit, DefaultResourceManager, Direction, Limits, RefusalDetail, ScopeStat, StreamManagementScope } from '../src/index.ts'
import type { PeerId } from '@libp2p/interface'

const HELP = `Usage: npm run benchmark [-- options]

What the accounting of libp2p-resource-manager costs, through its public API.

Compared with
  sketch  the same counters, sums and checks as plain objects, without names,
          spans, validation or errors; runs in this process, in turn with ours
  go      go-libp2p's resource manager, as measured once on another machine (an
          ordinary core, on which the sketch took 300 ns for a stream life)

Figures are medians. A figure over its target does not fail the benchmark, a
wrong count does.

Options
  --only <names>    comma-separated: lives, memory, refusals, live, peers
  --rounds <n>      rounds per figure, 41 by default
  --help`

const { values: args } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '41' },
    help: { type: 'boolean', default: false }
  }
})

const rounds = Number(args.rounds)

const PEERS = 1_000
const MiB = 2 ** 20
const SIZE = 4_096
const ZERO: ScopeStat = { inboundStreams: 0, outboundStreams: 0, inboundConnections: 0, outboundConnections: 0, fileDescriptors: 0, memory: 0 }

// each peer uses one of these, in one direction
const DIRECTIONS: Direction[] = ['inbound', 'outbound']
const PROTOCOLS = ['/echo/1.0.0', '/ipfs/kad/1.0.0', '/meshsub/1.1.0', '/ipfs/id/1.0.0']
const SERVICES = ['echo', 'dht', 'pubsub', 'identify']

// walks over peers and streams leap, so that neighbours in time are no
// neighbours in memory; a prime, so that they come to all
const LEAP = 7_919

const rows: string[][] = []

interface Figure {
  what: string
  ours: number
  sketch?: number
  target?: number
  go?: string
  unit?(value: number): string
}

const ns = (value: number): string => `${value.toFixed(value < 100 ? 1 : 0)} ns`
const times = (value: number): string => `${value.toFixed(2)}×`
const bytes = (value: number): string => `${value.toFixed(0)} B`

function report ({ what, ours, sketch, target, go = '', unit = ns }: Figure): void {
  const compared = sketch === undefined ? ['', ''] : [unit(sketch), times(ours / sketch)]
  let judged = ['', '']

  if (target !== undefined) {
    judged = [`≤ ${unit(target)}`, ours <= target ? 'ok' : 'OVER']
  }

  rows.push([what, unit(ours), ...compared, ...judged, go])
}

/**
 * A manager whose limits are never hit, but are there
 */
function generous (limits: Limits = {}): DefaultResourceManager {
  const plenty: ConcreteLimit = {
    streams: 1e8,
    inboundStreams: 1e8,
    outboundStreams: 1e8,
    connections: 1e8,
    inboundConnections: 1e8,
    outboundConnections: 1e8,
    fileDescriptors: 1e8,
    memory: 2 ** 45
  }

  return createResourceManager({
    limits: {
      system: plenty,
      transient: plenty,
      serviceDefault: plenty,
      servicePeerDefault: plenty,
      protocolDefault: plenty,
      protocolPeerDefault: plenty,
      protocols: Object.fromEntries(PROTOCOLS.map(name => [name, plenty])),
      protocolPeers: Object.fromEntries(PROTOCOLS.map(name => [name, plenty])),
      peerDefault: plenty,
      connection: plenty,
      stream: plenty,
      ...limits
    }
  })
}

function openStream (manager: DefaultResourceManager, peers: PeerId[], n: number): StreamManagementScope {
  const scope = manager.openStream(peers[n], DIRECTIONS[n & 1])
  scope.setProtocol(PROTOCOLS[n & 3])
  scope.setService(SERVICES[n & 3])

  return scope
}

function openSketchStream (sketch: Sketch, peers: PeerId[], n: number): SketchLeaf {
  const leaf = sketch.openStream(peers[n].toString(), n & 1) as SketchLeaf
  sketch.setProtocol(leaf, PROTOCOLS[n & 3])
  sketch.setService(leaf, SERVICES[n & 3])

  return leaf
}

function streamLives (name: string, manager: DefaultResourceManager, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % peers.length
        const scope = openStream(manager, peers, n)
        scope.reserveMemory(SIZE)
        scope.done()
      }
    }
  }
}

function sketchStreamLives (name: string, sketch: Sketch, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % peers.length
        const leaf = openSketchStream(sketch, peers, n)
        sketch.reserve(leaf, SIZE)
        sketch.done(leaf)
      }
    }
  }
}

function connectionLives (name: string, manager: DefaultResourceManager, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % peers.length
        const scope = manager.openConnection(DIRECTIONS[n & 1], true)
        scope.setPeer(peers[n])
        scope.done()
      }
    }
  }
}

function sketchConnectionLives (name: string, sketch: Sketch, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % peers.length
        const leaf = sketch.openConnection(n & 1, 1) as SketchLeaf
        sketch.setPeer(leaf, peers[n].toString())
        sketch.done(leaf)
      }
    }
  }
}

function reservations (name: string, scopes: StreamManagementScope[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % scopes.length
        scopes[n].reserveMemory(SIZE)
        scopes[n].releaseMemory(SIZE)
      }
    }
  }
}

function sketchReservations (name: string, sketch: Sketch, leaves: SketchLeaf[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % leaves.length
        sketch.reserve(leaves[n], SIZE)
        sketch.release(leaves[n], SIZE)
      }
    }
  }
}

/**
 * Uses everything there is, so that what the compiler has seen when a figure is
 * taken does not depend on which figures were taken before, and is what it sees
 * in a node that has run for a while: all kinds of scopes, spans, refusals,
 * limits that are numbers, bigints and Infinity.
 */
function everything (peers: PeerId[]): void {
  const unlimited = { memory: Infinity, streams: Infinity }
  const manager = generous({ system: { memory: 2n ** 62n, streams: 2n ** 62n }, transient: unlimited, protocolDefault: unlimited })
  const tight = createResourceManager({ limits: { peerDefault: { streams: 1, connections: 1, memory: 1 }, system: { memory: 4 * MiB } } })

  for (let i = 0; i < 2_000; i++) {
    const peer = peers[i % peers.length]
    const stream = openStream(manager, peers, i % peers.length)
    const plain = manager.openStream(peer, 'inbound')
    plain.setProtocol('/some/1.0.0')
    const connection = manager.openConnection(DIRECTIONS[i & 1], true)
    connection.reserveMemory(1, ReservationPriority.Low)
    connection.setPeer(peer)
    const lent = [stream, plain, connection, stream.beginSpan(), connection.beginSpan(), stream.beginSpan().beginSpan()]

    for (const view of ['viewSystem', 'viewTransient'] as const) {
      lent.push(manager[view](scope => scope.beginSpan()))
    }

    lent.push(
      manager.viewPeer(peer, scope => scope.beginSpan()),
      manager.viewProtocol(PROTOCOLS[i & 3], scope => scope.beginSpan()),
      manager.viewService(SERVICES[i & 3], scope => scope.beginSpan())
    )

    for (const scope of lent) {
      scope.reserveMemory(SIZE)
      scope.reserveMemory(SIZE, ReservationPriority.Medium)
      scope.releaseMemory(SIZE)
    }

    for (const scope of lent) {
      scope.done()
    }

    manager.viewPeer(peer, scope => {
      scope.reserveMemory(SIZE)
      scope.releaseMemory(SIZE)
    })

    const held = tight.openStream(peer, 'inbound')
    check('everything: a stream over the limit is refused', refused(() => { tight.openStream(peer, 'outbound') }), true)
    check('everything: memory over the limit is refused', refused(() => { held.reserveMemory(2) }), true)
    check('everything: more than the system has is refused', refused(() => { tight.viewSystem(scope => { scope.reserveMemory(5 * MiB) }) }), true)
    held.done()
  }

  check('everything: all is given back', manager.stat().system, ZERO)
  check('everything: all is given back', tight.stat().system, ZERO)
  manager.removeUnusedScopes()
  check('everything: nobody is left', manager.listPeers().length, 0)
  manager.close()
  tight.close()
}

function refused (fn: () => void): boolean {
  try {
    fn()
  } catch (err) {
    return isResourceLimitExceeded(err)
  }

  return false
}

function lives (peers: PeerId[]): void {
  const manager = generous()
  const sketch = new Sketch()

  const stream = measure([
    streamLives('ours', manager, peers),
    sketchStreamLives('sketch', sketch, peers)
  ], { rounds })
  report({ what: 'stream life: open, setProtocol, setService, reserve, done', ours: stream.ours, sketch: stream.sketch, target: 600, go: '2,660 ns' })

  const connection = measure([
    connectionLives('ours', manager, peers),
    sketchConnectionLives('sketch', sketch, peers)
  ], { rounds })
  report({ what: 'connection life: open, setPeer, done', ours: connection.ours, sketch: connection.sketch, target: 400, go: '1,450 ns' })

  const stat = manager.stat()
  check('lives: the system holds nothing at the end', stat.system, ZERO)
  check('lives: transient holds nothing at the end', stat.transient, ZERO)
  check('lives: each peer has a scope', stat.peers.size, peers.length)
  check('lives: each protocol has a scope', [...stat.protocols.keys()].sort(), PROTOCOLS.toSorted())
  check('lives: each service has a scope', [...stat.services.keys()].sort(), SERVICES.toSorted())
  check('lives: no scope holds anything at the end', [...stat.peers.values(), ...stat.protocols.values(), ...stat.services.values()]
    .every(one => JSON.stringify(one) === JSON.stringify(ZERO)), true)
  check('lives: nor does the sketch', [sketch.system.inboundStreams, sketch.system.memory, sketch.system.fileDescriptors], [0, 0, 0])
  manager.close()
}

function memory (peers: PeerId[]): void {
  const manager = generous()
  const sketch = new Sketch()
  const scopes = peers.map((_, n) => openStream(manager, peers, n))
  const leaves = peers.map((_, n) => openSketchStream(sketch, peers, n))

  const one = measure([
    reservations('ours', scopes.slice(0, 1)),
    sketchReservations('sketch', sketch, leaves.slice(0, 1))
  ], { rounds })
  report({ what: 'reserve and release memory in a stream, six scopes above', ours: one.ours, sketch: one.sketch, target: 60, go: '317 ns' })

  const all = measure([
    reservations('ours', scopes),
    sketchReservations('sketch', sketch, leaves)
  ], { rounds })
  report({ what: '  in a thousand streams in turn', ours: all.ours, sketch: all.sketch })

  check('memory: nothing is reserved at the end', manager.stat().system, { ...ZERO, inboundStreams: peers.length / 2, outboundStreams: peers.length / 2 })

  // more than fits in a small integer: V8 counts it in another way
  const much = 8 * 2 ** 30
  manager.viewSystem(scope => { scope.reserveMemory(much) })
  sketch.system.memory += much
  const large = measure([
    reservations('ours', scopes.slice(0, 1)),
    sketchReservations('sketch', sketch, leaves.slice(0, 1))
  ], { rounds })
  report({ what: '  with 8 GiB in use in the system scope', ours: large.ours, sketch: large.sketch, target: 60 })

  manager.viewSystem(scope => { scope.releaseMemory(much) })
  scopes.forEach(scope => { scope.done() })
  check('memory: the system holds nothing at the end', manager.stat().system, ZERO)
  manager.close()
}

function refusals (peers: PeerId[]): void {
  const manager = generous({ peerDefault: { inboundStreams: 1 } })
  const scopes = peers.map(peer => manager.openStream(peer, 'inbound'))
  const traceLimit = Error.stackTraceLimit
  let refused = 0
  let caught = 0
  let last: any
  let lastTraced: any
  let n = 0

  const { openStream: stream, traced } = measure([{
    name: 'openStream',
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + LEAP) % peers.length

        try {
          manager.openStream(peers[n], 'inbound')
        } catch (err) {
          last = err
          caught++
        }
      }

      refused += times
    }
  }, {
    name: 'traced',
    run (times) {
      for (let i = 0; i < times; i++) {
        try {
          throw new ResourceLimitExceededError(detail(peers[i % peers.length]))
        } catch (err) {
          lastTraced = err
        }
      }
    }
  }], { rounds })

  report({ what: 'refusal of openStream by its peer, thrown and caught', ours: stream, target: 1_500, go: '3,400 ns' })
  report({ what: '  the error alone, made and thrown with a stack trace', ours: traced })

  check('refusals: every one was thrown', caught, refused)
  check('refusals: an ordinary error has a trace', String(lastTraced.stack).includes('\n    at '), true)
  check('refusals: by the limit of the peer', [last.name, last.scope, last.resource, last.direction, last.current, last.attempted, last.limit], [
    'ResourceLimitExceededError', `peer:${peers[n]}`, 'inboundStreams', 'inbound', 1, 1, 1])
  check('refusals: no frame in the trace', String(last.stack).includes('\n    at '), false)
  check('refusals: Error.stackTraceLimit is as it was', Error.stackTraceLimit, traceLimit)
  check('refusals: others still have a trace', String(new Error('x').stack).includes('\n    at '), true)
  check('refusals: nothing changed', manager.stat().system, { ...ZERO, inboundStreams: peers.length })
  scopes.forEach(scope => { scope.done() })
  check('refusals: the system holds nothing at the end', manager.stat().system, ZERO)
  manager.close()
}

function detail (peer: PeerId): RefusalDetail {
  return {
    scope: `peer:${peer}`,
    kind: 'peer',
    path: ['stream-1', `peer:${peer}`],
    resource: 'inboundStreams',
    direction: 'inbound',
    current: 1,
    attempted: 1,
    limit: 1,
    option: 'limits.peerDefault.inboundStreams'
  }
}

/**
 * A thousand live streams against a million, and the heap that they take. One
 * after the other: a million are work for the garbage collector whatever else
 * is measured.
 */
function live (peers: PeerId[]): void {
  const few = measureLive(peers, 1_000)
  const many = measureLive(peers, 1_000_000)

  report({ what: 'heap of a live stream scope, of a million', ours: many.heap.ours, sketch: many.heap.sketch, target: 512, unit: bytes })
  compare('stream life beside them', 'beside', 2)
  compare('end the oldest of them, open another', 'replace', 2)
  // each one is far from the last: a million do not fit in the caches of any
  // processor, so this grows with whatever has to be read, and has no target
  compare('reserve and release memory in one here, one there', 'memory')

  function compare (what: string, key: 'beside' | 'replace' | 'memory', target?: number): void {
    const [a, b] = [few[key], many[key]]

    report({ what: `${what}, a thousand live`, ours: a.ours, sketch: a.sketch })
    report({ what: `${what}, a million live`, ours: b.ours, sketch: b.sketch })
    report({ what: '  a million over a thousand', ours: b.ours / a.ours, sketch: b.sketch / a.sketch, target, unit: times })
  }
}

function measureLive (peers: PeerId[], count: number): Record<'heap' | 'beside' | 'replace' | 'memory', Medians> {
  const live = liveStreams(peers, count)
  const { manager, scopes, sketch, leaves } = live

  const beside = measure([streamLives('ours', manager, peers), sketchStreamLives('sketch', sketch, peers)], { rounds })
  // rounds so long that each has its share of collections
  const replaced = measure([replace('ours', live, peers), replaceSketch('sketch', live, peers)], { rounds: Math.ceil(rounds / 4), times: 200_000 })
  const memory = measure([reservations('ours', scopes), sketchReservations('sketch', sketch, leaves)], { rounds })

  const { system, peers: byPeer, transient } = manager.stat()
  check('live: all are counted', system, { ...ZERO, inboundStreams: count / 2, outboundStreams: count / 2, memory: count })
  check('live: none is transient', transient, ZERO)
  check('live: spread over the peers', new Set([...byPeer.values()].map(stat => stat.inboundStreams + stat.outboundStreams)).size, 1)
  check('live: the sketch counts the same', [sketch.system.inboundStreams, sketch.system.outboundStreams, sketch.system.memory], [count / 2, count / 2, count])
  scopes.forEach(scope => { scope.done() })
  check('live: the system holds nothing at the end', manager.stat().system, ZERO)
  manager.close()

  return { heap: live.heap, beside, replace: replaced, memory }
}

interface Live {
  manager: DefaultResourceManager
  scopes: StreamManagementScope[]
  sketch: Sketch
  leaves: SketchLeaf[]
  /** Bytes per stream */
  heap: Medians
}

function liveStreams (peers: PeerId[], count: number): Live {
  const manager = generous()
  const sketch = new Sketch()
  const scopes = new Array(count)
  const leaves = new Array(count)

  // the scopes of the peers are there before
  streamLives('', manager, peers).run(peers.length)
  sketchStreamLives('', sketch, peers).run(peers.length)

  const before = heapUsed()

  for (let i = 0; i < count; i++) {
    scopes[i] = openStream(manager, peers, i % peers.length)
    scopes[i].reserveMemory(1)
  }

  const between = heapUsed()

  for (let i = 0; i < count; i++) {
    leaves[i] = openSketchStream(sketch, peers, i % peers.length)
    sketch.reserve(leaves[i], 1)
  }

  return { manager, scopes, sketch, leaves, heap: { ours: (between - before) / count, sketch: (heapUsed() - between) / count } }
}

function replace (name: string, { manager, scopes }: Live, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + 1) % scopes.length
        scopes[n].done()
        scopes[n] = openStream(manager, peers, n % peers.length)
        scopes[n].reserveMemory(1)
      }
    }
  }
}

function replaceSketch (name: string, { sketch, leaves }: Live, peers: PeerId[]): Side {
  let n = 0

  return {
    name,
    run (times) {
      for (let i = 0; i < times; i++) {
        n = (n + 1) % leaves.length
        sketch.done(leaves[n])
        leaves[n] = openSketchStream(sketch, peers, n % peers.length)
        sketch.reserve(leaves[n], 1)
      }
    }
  }
}

/**
 * Growth with the number of peers that have scopes
 */
function growth (): void {
  const counts = [1_000, 10_000, 100_000]
  const sides: Side[] = []
  const managers: DefaultResourceManager[] = []
  const heaps: number[] = []

  for (const count of counts) {
    const manager = generous()
    const sketch = new Sketch()
    const peers = makePeers(count)
    const ours = streamLives(`ours ${count}`, manager, peers)
    const plain = sketchStreamLives(`sketch ${count}`, sketch, peers)
    const before = heapUsed()
    ours.run(count)
    heaps.push((heapUsed() - before) / count)
    plain.run(count)
    managers.push(manager)
    sides.push(ours, plain)
  }

  const result = measure(sides, { rounds: Math.ceil(rounds / 2) })

  for (const [i, count] of counts.entries()) {
    report({ what: `stream life, ${count.toLocaleString('en')} peers`, ours: result[`ours ${count}`], sketch: result[`sketch ${count}`] })

    if (i > 0) {
      report({
        what: `  over that with ${counts[0].toLocaleString('en')}`,
        ours: result[`ours ${count}`] / result[`ours ${counts[0]}`],
        sketch: result[`sketch ${count}`] / result[`sketch ${counts[0]}`],
        go: i === 2 ? '5.40×' : '',
        unit: times
      })
    }
  }

  report({ what: 'heap of the three scopes of a peer, its protocol, its service', ours: heaps[2], unit: bytes })

  for (const [i, manager] of managers.entries()) {
    check('peers: each has a scope', manager.listPeers().length, counts[i])
    check('peers: the system holds nothing at the end', manager.stat().system, ZERO)
    manager.removeUnusedScopes()
    check('peers: none is left after collection', manager.listPeers().length, 0)
    manager.close()
  }
}

const PARTS: Record<string, (peers: PeerId[]) => void> = { lives, memory, refusals, live, peers: growth }

function main (): void {
  const names = args.only?.split(',') ?? Object.keys(PARTS)
  const unknown = names.find(name => !Object.hasOwn(PARTS, name))

  if (args.help || unknown !== undefined || !(rounds >= 1)) {
    console.info(HELP)
    process.exitCode = args.help ? 0 : 2
    return
  }

  console.info(`Accounting core, Node.js ${process.version}, ${PEERS.toLocaleString('en')} peers unless it says otherwise, medians of ${rounds} rounds`)
  console.info('sketch: the same counters as plain objects, here, run in turn with ours; go: go-libp2p, measured once elsewhere\n')

  const peers = makePeers(PEERS)
  everything(peers)

  for (const name of names) {
    PARTS[name](peers)
  }

  printTable(['', 'ours', 'sketch', 'ours/sketch', 'target', '', 'go'], rows)
  reportChecks()
}

main()
