import { expect } from 'aegir/chai'
import { createNode, DESCRIPTORS, dropUnread, eventually, expectNothingHeld, managerOf, stopAll } from '../fixtures/nodes.ts'
import { ECHO, handleHeld, HELD, heldStreams, unnegotiated } from '../fixtures/pair.ts'
import { pick, random } from '../fixtures/random.ts'
import type { Limits } from '../../src/index.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { Connection, Stream } from '@libp2p/interface'

const DIALERS = 5
const CONNECTIONS = 10
const STREAMS = 20
const ERROR = new Error('Aborted on purpose')

const UNLIMITED = {
  streams: Infinity,
  inboundStreams: Infinity,
  outboundStreams: Infinity,
  connections: Infinity,
  inboundConnections: Infinity,
  outboundConnections: Infinity,
  fileDescriptors: Infinity,
  memory: Infinity
}

const LIMITS: Limits = {
  system: UNLIMITED,
  transient: UNLIMITED,
  peerDefault: UNLIMITED,
  protocolDefault: UNLIMITED,
  protocolPeerDefault: UNLIMITED
}

const STREAM_ENDS: Array<(stream: Stream) => void | Promise<void>> = [
  stream => { stream.abort(ERROR) },
  async stream => stream.close(),
  stream => {
    stream.send(new Uint8Array(20_000))
    stream.abort(ERROR)
  },
  async stream => {
    stream.send(new Uint8Array(20_000))
    await stream.close()
  },
  // goes with its connection
  () => {}
]

const CONNECTION_ENDS: Array<(connection: Connection) => void | Promise<void>> = [
  connection => { connection.abort(ERROR) },
  async connection => connection.close(),
  connection => { (connection as any).maConn.abort(ERROR) }
]

describe('many connections and streams at once', () => {
  const nodes: TestNode[] = []

  afterEach(async () => {
    await stopAll(...nodes.splice(0))
  })

  async function createManyNode (init: NodeInit = {}): Promise<TestNode> {
    const node = await createNode({
      limits: LIMITS,
      ...init,
      options: {
        connectionManager: {
          inboundConnectionThreshold: Infinity,
          maxIncomingPendingConnections: Infinity,
          maxConnections: 1_000,
          maxParallelDials: 100,
          reconnectRetries: 0
        }
      }
    })
    nodes.push(node)
    await handleHeld(node)

    return node
  }

  /** Connections of all dialers to the listener, those that came about */
  async function dialAll (listener: TestNode, dialers: TestNode[]): Promise<Connection[]> {
    const results = await Promise.allSettled(dialers.flatMap(dialer => Array.from({ length: CONNECTIONS }, async () => {
      return (dialer as any).components.transportManager.dial(listener.getMultiaddrs()[0], { signal: AbortSignal.timeout(10_000) })
    })))

    return results.flatMap(result => result.status === 'fulfilled' ? [result.value] : [])
  }

  for (const seed of [1, 2, 3]) {
    it(`give everything back, however they end (seed ${seed})`, async () => {
      const next = random(seed)
      const listener = await createManyNode()
      const dialers = await Promise.all(Array.from({ length: DIALERS }, async () => createManyNode()))
      const connections = await dialAll(listener, dialers)
      expect(connections).to.have.lengthOf(DIALERS * CONNECTIONS)
      // a muxer aborts the connection if more than ten streams come before it is ready
      await eventually(() => listener.getConnections().length === DIALERS * CONNECTIONS)

      const streams = await Promise.all(connections.flatMap(connection => Array.from({ length: STREAMS }, async () => {
        const kind = pick(next, [ECHO, HELD, undefined])

        return kind == null ? unnegotiated({ connection, node: listener }) : connection.newStream(kind)
      })))

      await eventually(() => managerOf(listener).stat().system.inboundStreams === DIALERS * CONNECTIONS * STREAMS)
      expect(managerOf(listener).stat().system).to.include({
        inboundConnections: DIALERS * CONNECTIONS,
        fileDescriptors: DIALERS * CONNECTIONS * DESCRIPTORS,
        outboundStreams: 0
      })

      const atListener = [...heldStreams(listener)]
      const ending = [
        // both ends of some streams
        ...streams.map(stream => async () => pick(next, STREAM_ENDS)(stream)),
        ...atListener.map(stream => async () => pick(next, STREAM_ENDS)(stream)),
        // one or both ends of all connections
        ...connections.map(connection => async () => pick(next, CONNECTION_ENDS)(connection)),
        ...listener.getConnections().map(connection => async () => pick(next, [...CONNECTION_ENDS, () => {}])(connection))
      ]

      // in any order
      ending
        .map(end => ({ end, order: next() }))
        .sort((a, b) => a.order - b.order)
        .forEach(({ end }) => { end().catch(() => {}) })

      await eventually(() => [...streams, ...atListener].every(({ status }) => status !== 'open'))
      dropUnread(...streams, ...atListener)
      await expectNothingHeld(managerOf(listener))

      for (const dialer of dialers) {
        await expectNothingHeld(managerOf(dialer))
      }
    })
  }

  it('give everything back when streams come before the connection is ready', async () => {
    const listener = await createManyNode()
    const dialer = await createManyNode()

    for (const connection of await dialAll(listener, [dialer])) {
      await Promise.allSettled(Array.from({ length: STREAMS }, async () => unnegotiated({ connection, node: dialer })))
      connection.abort(ERROR)
    }

    await expectNothingHeld(managerOf(listener))
    await expectNothingHeld(managerOf(dialer))
  })

  it('never go over the limits, and give everything back after they were refused', async () => {
    const limits: Limits = {
      system: { inboundConnections: 20, inboundStreams: 100 },
      transient: { inboundConnections: 10 },
      peerDefault: { inboundConnections: 5, inboundStreams: 30 },
      protocols: { [HELD]: { inboundStreams: 40 } }
    }
    const listener = await createManyNode({ limits })
    const dialers = await Promise.all(Array.from({ length: DIALERS }, async () => createManyNode()))

    const most = { inboundConnections: 0, inboundStreams: 0, transient: 0 }
    let refusals = 0
    const look = (): void => {
      const { system, transient } = managerOf(listener).stat()
      most.inboundConnections = Math.max(most.inboundConnections, system.inboundConnections)
      most.inboundStreams = Math.max(most.inboundStreams, system.inboundStreams)
      most.transient = Math.max(most.transient, transient.inboundConnections)
    }
    managerOf(listener).addEventListener('blocked', () => {
      refusals++
      look()
    })

    for (let round = 0; round < 3; round++) {
      const connections = await dialAll(listener, dialers)
      await Promise.allSettled(connections.flatMap(connection => Array.from({ length: STREAMS }, async () => connection.newStream(HELD))))
      look()

      expect(refusals).to.be.greaterThan(0)
      expect(most.inboundConnections).to.be.within(1, 20)
      expect(most.inboundStreams).to.be.within(1, 100)
      expect(most.transient).to.be.at.most(10)
      expect(managerOf(listener).stat().protocols.get(HELD)?.inboundStreams).to.be.at.most(40)

      for (const connection of connections) {
        connection.abort(ERROR)
      }

      await expectNothingHeld(managerOf(listener))
    }

    for (const dialer of dialers) {
      await expectNothingHeld(managerOf(dialer))
    }
  })
})
