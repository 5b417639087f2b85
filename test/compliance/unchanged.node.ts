/**
 * @file What can be seen of js-libp2p from outside is the same with a resource
 * manager, as long as no limit is hit. Each scenario is run on nodes without and
 * with one, and what each node tells is compared line by line: events and their
 * order, what its gater and middleware are asked, errors.
 */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { connect, disconnected, EVENTS, follow, gater, GATES, identified, KEPT, tell } from '../fixtures/diary.ts'
import { createNode, eventually, expectNothingHeld, managerOf, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import { ECHO } from '../fixtures/pair.ts'
import { PEER } from '../fixtures/peers.ts'
import { pattern } from '../fixtures/transfer.ts'
import type { World } from '../fixtures/diary.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { Libp2p, PrivateKey, Stream } from '@libp2p/interface'

const UNKNOWN = '/unknown/1.0.0'

const SCENARIOS: Record<string, (world: World) => Promise<void>> = {
  'connect, identify, talk and part': async world => {
    const { dialer, listener, diaries } = world
    const { connection } = await connect(world)
    follow(diaries.dialer, 'the connection', connection)
    await dialer.services.ping.ping(listener.peerId)
    const bytes = pattern(300_000)
    expect((await dialer.services.echo.echo(listener.peerId, bytes)).subarray()).to.equalBytes(bytes)
    await tell(diaries.dialer, 'closing', connection.close())
  },

  'dial the same peer many times at once': async world => {
    const { dialer, listener, diaries } = world
    const dials = Array.from({ length: 5 }, async () => dialer.dial(listener.getMultiaddrs()))
    const connections = new Set((await Promise.all(dials)).map(({ id }) => id))
    await identified(world)
    diaries.dialer.push(`${connections.size} connections`)
    await dialer.dial(listener.getMultiaddrs(), { force: true })
    await identified(world)
  },

  'hang up on the other': async world => {
    const { dialer, listener, diaries } = world
    await connect(world)
    await tell(diaries.listener, 'hanging up', listener.hangUp(dialer.peerId))
  },

  'abort a connection': async world => {
    const { connection, accepted } = await connect(world)
    const stream = await connection.newStream(KEPT)
    await eventually(() => world.streams.length === 1)
    follow(world.diaries.dialer, 'the stream', stream)
    follow(world.diaries.listener, 'the stream', world.streams[0])
    accepted.abort(new Error('Urk!'))
    await eventually(() => connection.status !== 'open')
  },

  'dial what cannot be dialled': async world => {
    const { dialer, diaries: { dialer: diary } } = world
    await tell(diary, 'dialling nobody', dialer.dial(multiaddr('/ip4/127.0.0.1/tcp/1')))
    await tell(diary, 'dialling two nobodies', dialer.dial([multiaddr('/ip4/127.0.0.1/tcp/1'), multiaddr('/ip4/127.0.0.1/tcp/2')]))
    await tell(diary, 'dialling nothing', dialer.dial([]))
    await tell(diary, 'dialling over no transport', dialer.dial(multiaddr('/ip4/127.0.0.1/udp/1/quic-v1')))
    await tell(diary, 'dialling oneself', dialer.dial(dialer.peerId))
    await tell(diary, 'dialling the unknown', dialer.dial(world.listener.peerId))
    await tell(diary, 'not dialling at all', dialer.dial(world.listener.getMultiaddrs(), { signal: AbortSignal.abort(new Error('Enough')) }))
  },

  'dial a wrong peer': async ({ dialer, listener, diaries }) => {
    const [address] = listener.getMultiaddrs()
    await tell(diaries.dialer, 'dialling', dialer.dial(multiaddr(address.toString().replace(/\/p2p\/.*/, `/p2p/${PEER}`))))
  },

  'open streams of all kinds': async world => {
    const { diaries: { dialer: diary }, streams } = world
    const { connection } = await connect(world)
    await tell(diary, 'an unknown protocol', connection.newStream(UNKNOWN))
    await tell(diary, 'several protocols', connection.newStream([UNKNOWN, ECHO]))
    await tell(diary, 'an aborted one', connection.newStream(ECHO, { signal: AbortSignal.abort(new Error('Enough')) }))
    await tell(diary, 'one that is allowed', connection.newStream(KEPT, { maxOutboundStreams: 1 }))
    await tell(diary, 'one too many', connection.newStream(KEPT, { maxOutboundStreams: 1 }))
    await eventually(() => streams.length > 0)
    diary.push(...connection.streams.map(({ protocol, direction, status }) => `${protocol} ${direction} ${status}`))
  },

  'close a stream from both ends': async world => {
    const { connection } = await connect(world)
    const stream = await connection.newStream(KEPT)
    await eventually(() => world.streams.length === 1)
    follow(world.diaries.dialer, 'the stream', stream)
    follow(world.diaries.listener, 'the stream', world.streams[0])

    await tell(world.diaries.dialer, 'closing', stream.close())
    await eventually(() => world.streams[0].remoteWriteStatus === 'closed')
    await tell(world.diaries.listener, 'closing', world.streams[0].close())
    await eventually(() => stream.status === 'closed')
    world.diaries.dialer.push(Object.keys(stream.timeline).join())
    await tell(world.diaries.dialer, 'sending', (async () => stream.send(pattern(1)))())
  },

  'reset a stream': async world => {
    const { connection } = await connect(world)
    const stream = await connection.newStream(KEPT)
    await eventually(() => world.streams.length === 1)
    follow(world.diaries.dialer, 'the stream', stream)
    follow(world.diaries.listener, 'the stream', world.streams[0])
    world.streams[0].abort(new Error('Urk!'))
    await eventually(() => stream.status === 'reset')
    await tell(world.diaries.dialer, 'sending', (async () => stream.send(pattern(1)))())
  },

  'read nothing, then everything': async world => {
    const { connection } = await connect(world)
    const stream = await connection.newStream(KEPT)
    await eventually(() => world.streams.length === 1)
    const [unread] = world.streams
    const bytes = pattern(200_000)
    stream.send(bytes)
    await eventually(() => unread.readBufferLength === bytes.byteLength)
    follow(world.diaries.listener, 'the stream', unread)

    // the iterator would never end if the remote had closed before
    setTimeout(() => { void tell(world.diaries.dialer, 'closing', stream.close()) }, 100)
    const chunks: Uint8Array[] = []

    for await (const chunk of unread) {
      chunks.push(chunk.subarray())
    }

    world.diaries.listener.push(`read ${Buffer.compare(Buffer.concat(chunks), bytes)}`)
    await unread.close()
    await eventually(() => stream.status === 'closed')
  },

  'run middleware and topologies': async world => {
    const { dialer, listener, diaries } = world
    dialer.use(KEPT, (stream, _, next) => {
      diaries.dialer.push(`middleware of ${stream.protocol} ${stream.direction}`)
      next(stream, _)
    })
    listener.use(KEPT, async (stream, _, next) => {
      diaries.listener.push(`middleware of ${stream.protocol} ${stream.direction}`)
      next(stream, _)
    })
    await dialer.register(KEPT, {
      onConnect: peer => { diaries.dialer.push(`topology connect ${peer.equals(listener.peerId)}`) },
      onDisconnect: peer => { diaries.dialer.push(`topology disconnect ${peer.equals(listener.peerId)}`) }
    })
    const { connection } = await connect(world)
    await eventually(() => diaries.dialer.includes('topology connect true'))
    await connection.newStream(KEPT)
    await eventually(() => world.streams.length === 1)
    await connection.close()
    await eventually(() => diaries.dialer.includes('topology disconnect true'))
  },

  'fail in a handler': async world => {
    await world.listener.handle(UNKNOWN, async () => { throw new Error('Urk!') })
    const { connection } = await connect(world)
    const stream = await connection.newStream(UNKNOWN)
    await eventually(() => stream.status === 'reset')
  },

  ...Object.fromEntries(GATES.map(gate => [
    `are turned away by ${gate}`,
    async ({ dialer, listener, diaries, gaters }: World) => {
      const side = gate.includes('Inbound') ? 'listener' : 'dialer'
      const ask = gaters[side][gate] as any
      gaters[side][gate] = async (...args: any[]) => {
        await ask(...args)

        return true
      }

      await tell(diaries.dialer, 'dialling', dialer.dial(listener.getMultiaddrs()))
      // the dialer may think that it is connected by then
      await eventually(() => diaries[side].includes(`gater ${gate}`))
      await eventually(() => dialer.getConnections().length === 0 && listener.getConnections().length === 0)
    }
  ])),

  'meet a gater that throws': async ({ dialer, listener, diaries, gaters }) => {
    gaters.dialer.denyOutboundEncryptedConnection = async () => { throw new Error('Urk!') }
    await tell(diaries.dialer, 'dialling', dialer.dial(listener.getMultiaddrs()))
  },

  'stop and start again': async world => {
    await connect(world)
    await world.listener.stop()
    await eventually(() => world.dialer.getConnections().length === 0)
    await world.listener.start()
    await connect(world)
  }
}

describe('js-libp2p is the same with a resource manager', () => {
  const keys: Record<string, PrivateKey> = {}

  before(async () => {
    keys.dialer = await generateKeyPair('Ed25519')
    keys.listener = await generateKeyPair('Ed25519')
  })

  async function run (scenario: (world: World) => Promise<void>, create: (init: NodeInit) => Promise<Libp2p<any>>): Promise<World['diaries']> {
    const diaries: World['diaries'] = { dialer: [], listener: [] }
    const gaters = { dialer: gater(diaries.dialer), listener: gater(diaries.listener) }
    const streams: Stream[] = []
    const nodes: Partial<Record<keyof World['diaries'], Libp2p<any>>> = {}

    for (const name of ['dialer', 'listener'] as const) {
      const node = await create({
        options: {
          privateKey: keys[name],
          connectionGater: gaters[name],
          start: false,
          services: { identify: identify() }
        }
      })

      for (const type of EVENTS) {
        node.addEventListener(type as any, () => { diaries[name].push(type) })
      }

      await node.start()
      nodes[name] = node
    }

    const { dialer, listener } = nodes as World
    await listener.handle(KEPT, stream => { streams.push(stream) })

    const world = { dialer, listener, diaries, streams, gaters }

    try {
      await scenario(world)
      await disconnected(world)
    } finally {
      await stopAll(dialer, listener)
    }

    // ports are of no interest
    const port = /\/tcp\/\d{4,}|:\d{4,}/g

    return {
      dialer: diaries.dialer.map(line => line.replace(port, ' PORT')),
      listener: diaries.listener.map(line => line.replace(port, ' PORT'))
    }
  }

  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    it(`when nodes ${name}`, async () => {
      const stock = await run(scenario, async init => createLibp2p(nodeOptions(init)))
      const managed: TestNode[] = []
      const refusals: string[] = []
      const diaries = await run(scenario, async init => {
        const node = await createNode(init)
        managerOf(node).addEventListener('blocked', event => { refusals.push(event.detail.message) })
        managed.push(node)

        return node
      })

      expect(diaries).to.deep.equal(stock)
      expect(refusals).to.deep.equal([])

      for (const node of managed) {
        await expectNothingHeld(managerOf(node))
      }
    })
  }
})
