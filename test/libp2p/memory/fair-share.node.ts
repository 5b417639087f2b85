/* eslint-disable no-loop-func */

import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { BASE_MEMORY } from '../../../src/limits/base-memory.ts'
import { createNode, dropUnread, eventually, expectNothingHeld, managerOf, nodeOptions, stopAll } from '../../fixtures/nodes.ts'
import { handleHeld, HELD, heldStreams } from '../../fixtures/pair.ts'
import { openHeld, pattern, settle, take, WINDOW } from '../../fixtures/transfer.ts'
import type { ResourceLimitExceededError } from '../../../src/index.ts'
import type { TestNode } from '../../fixtures/nodes.ts'
import type { Flood, Receiver } from '../../fixtures/transfer.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const MiB = 1024 * 1024
const LIMIT = 24 * MiB

/** What a peer may hold however full the memory is */
const SHARE = MiB

/** The handler answers with much, and does not wait until there is room for it */
const SPILL = '/spill/1.0.0'
const SPILLED = MiB

const GREEDY = 4

interface Greedy {
  node: Libp2p<any>
  connection: Connection
}

describe('peers that take all the memory they can get', () => {
  let node: TestNode
  let greedy: Greedy[]
  let modest: Libp2p<any>
  let refusals: ResourceLimitExceededError[]

  /** Each goes on until the system is as full as it may get, and then a little */
  const WAYS: Record<string, (greedy: Greedy) => Promise<void>> = {
    'data that is not read': async ({ node: sender, connection }) => {
      const { out } = await openHeld({ sender, node, connection })
      out.send(pattern(WINDOW))
      await settle({ sender, node })
    },

    'data that is not read, of streams that they reset': async ({ node: sender, connection }) => {
      const { out, unread } = await openHeld({ sender, node, connection })
      out.send(pattern(WINDOW))
      await settle({ sender, node })
      out.abort(new Error('Aborted on purpose'))
      await eventually(() => unread.status !== 'open')
    },

    'data that they do not take': async ({ node: sender, connection }) => {
      const streams: Stream[] = []

      for (let i = 0; i < 10; i++) {
        streams.push(await connection.newStream(SPILL, { maxOutboundStreams: Infinity }))
      }

      // all at once
      for (const stream of streams) {
        stream.pause()
        stream.send(Uint8Array.of(1))
      }

      await settle({ sender, node })
    },

    'streams that do nothing': async ({ connection }) => {
      for (let i = 0; i < 20; i++) {
        await connection.newStream(HELD, { maxOutboundStreams: Infinity })
      }
    }
  }

  async function connectGreedy (node: TestNode): Promise<Greedy> {
    // on loopback, how far a window grows is a matter of milliseconds
    const streamMuxers = [yamux({ streamOptions: { maxStreamWindowSize: WINDOW } })]
    const sender = await createLibp2p(nodeOptions({ options: { streamMuxers } }))

    return { node: sender, connection: await sender.dial(node.getMultiaddrs()) }
  }

  function used (): number {
    return managerOf(node).stat().system.memory
  }

  beforeEach(async () => {
    const enough = { memory: Infinity, streams: Infinity, inboundStreams: Infinity, outboundStreams: Infinity }
    node = await createNode({
      limits: { system: { ...enough, memory: LIMIT }, peerDefault: enough, protocolDefault: enough, protocolPeerDefault: enough, connection: { memory: Infinity } }
    })
    await handleHeld(node)
    await node.handle(SPILL, stream => {
      stream.addEventListener('message', () => {
        for (let sent = 0; sent < SPILLED && stream.status === 'open'; sent += 64 * 1024) {
          stream.send(new Uint8Array(64 * 1024))
        }
      })
    }, { maxInboundStreams: Infinity })

    refusals = []
    managerOf(node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })
    greedy = await Promise.all(Array.from({ length: GREEDY }, async () => connectGreedy(node)))
    modest = await createLibp2p(nodeOptions({}))
  })

  afterEach(async () => {
    await stopAll(modest, ...greedy.map(({ node }) => node), node)
    dropUnread(...heldStreams(node))
    await expectNothingHeld(managerOf(node))
  })

  for (const [name, fill] of Object.entries(WAYS)) {
    it(`by ${name}, are refused while a modest one loses nothing`, async function () {
      this.timeout(60_000)

      // those who run into the limit go on, as long as they have a connection
      let most = 0

      for (let i = 0; i < 400 && refusals.length < 20; i++) {
        const attacker = greedy[i % GREEDY]

        if (attacker.connection.status === 'open') {
          await fill(attacker).catch(() => {})
          most = Math.max(most, used())
        }
      }

      expect(refusals.length).to.be.greaterThan(0)
      // the share of each is always theirs
      expect(most).to.be.at.most(0.6 * LIMIT + GREEDY * SHARE)

      // three slow readers
      const flood: Flood = { sender: modest, node, connection: await modest.dial(node.getMultiaddrs()) }
      const streams = [await openHeld(flood), await openHeld(flood), await openHeld(flood)]
      streams.forEach(({ out }) => { out.send(pattern(SHARE)) })
      await settle(flood)
      expect(used()).to.be.at.most(LIMIT)

      await Promise.all(streams.map(async ({ unread }) => {
        const receiver: Receiver = { received: 0, inOrder: true }

        for await (const data of unread) {
          take(receiver, data)

          if (receiver.received === SHARE) {
            break
          }

          await new Promise(resolve => setTimeout(resolve, 10))
        }

        expect(receiver).to.deep.equal({ received: SHARE, inOrder: true })
      }))

      // and it gets more streams and connections
      for (let i = 0; i < 5; i++) {
        await openHeld(flood)
      }

      await modest.dial(node.getMultiaddrs(), { force: true })
      await eventually(() => node.getConnections(modest.peerId).length === 2)
      expect(streams.every(({ unread }) => unread.status === 'open')).to.be.true()

      // who has no more than a share asks at the highest priority
      for (const { scope, resource, priority, attempted, current } of refusals) {
        expect({ scope, resource, priority }).to.deep.equal({ scope: 'system', resource: 'memory', priority: 152 })
        expect(current + attempted).to.be.greaterThan(0.59 * LIMIT)
      }

      expect(managerOf(node).stat().peers.get(`${modest.peerId}`)?.memory).to.equal(2 * BASE_MEMORY.connection + 8 * BASE_MEMORY.stream)
    })
  }
})
