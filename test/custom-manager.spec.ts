/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { createLibp2p, createResourceManager, resourceManager } from '../src/index.ts'
import { facade } from '../src/libp2p/override.ts'
import { connect, createNode, dropUnread, eventually, expectNothingHeld, managerOf, nodeOptions, stopAll } from './fixtures/nodes.ts'
import { ECHO, handleHeld, HELD, heldStreams } from './fixtures/pair.ts'
import type { DefaultResourceManager, ResourceManager } from '../src/index.ts'
import type { TestNode } from './fixtures/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

/**
 * Where an implementation of the interface can refuse
 */
type Place = 'inbound connection' | 'outbound connection' | 'setPeer' |
  'inbound stream' | 'outbound stream' | 'setProtocol' | 'setService' | 'reserveMemory' | 'viewPeer'

class RefusedError extends Error {
  name = 'RefusedError'
}

class Own {
  /** What was asked, in order */
  readonly asked: Place[] = []
  /** Scopes that were opened and are not done */
  open = 0
  /** Where it refuses */
  refuseAt?: Place
  readonly counting: DefaultResourceManager = createResourceManager()

  readonly manager: ResourceManager = facade<ResourceManager>(this.counting, {
    openConnection: (direction, ...rest) => {
      this.ask(`${direction} connection`)

      return this.watch(this.counting.openConnection(direction, ...rest))
    },
    openStream: (peer, direction) => {
      this.ask(`${direction} stream`)

      return this.watch(this.counting.openStream(peer, direction))
    },
    viewPeer: (peer, fn) => {
      this.ask('viewPeer')

      return this.counting.viewPeer(peer, fn)
    }
  })

  private ask (place: Place): void {
    this.asked.push(place)

    if (this.refuseAt === place) {
      throw new RefusedError(`No ${place}`)
    }
  }

  private watch<T extends { done(): void }> (scope: T): T {
    let ended = false
    this.open++

    const ask = (place: 'setPeer' | 'setProtocol' | 'setService' | 'reserveMemory') => (...args: any[]): void => {
      this.ask(place)
      ;(scope as any)[place](...args)
    }

    return facade<any>(scope, {
      setPeer: ask('setPeer'),
      setProtocol: ask('setProtocol'),
      setService: ask('setService'),
      reserveMemory: ask('reserveMemory'),
      done: () => {
        this.open -= ended ? 0 : 1
        ended = true
        scope.done()
      }
    })
  }
}

describe('a resource manager of the user', () => {
  let own: Own
  let node: Libp2p<any>
  let remote: TestNode

  beforeEach(async () => {
    own = new Own()
    node = await createLibp2p({ ...nodeOptions({}), resourceManager: resourceManager({ manager: own.manager, services: { mine: [HELD] } }) })
    remote = await createNode()
    await handleHeld(node as any)
    await handleHeld(remote)
  })

  afterEach(async () => {
    await stopAll(node, remote)
    own.counting.close()
  })

  async function expectAllEmpty (): Promise<void> {
    await eventually(() => own.open === 0)
    await expectNothingHeld(own.counting)
    await expectNothingHeld(managerOf(remote))
  }

  it('is asked for everything, in order, by who dials', async () => {
    const connection = await connect(node, remote)
    const stream = await connection.newStream(HELD)

    expect(own.asked.filter(place => place !== 'reserveMemory')).to.deep.equal(['outbound connection', 'setPeer', 'outbound stream', 'setProtocol', 'setService'])
    expect(own.open).to.equal(2)
    expect(node.services.resourceManager.manager).to.equal(own.manager)
    expect(node.services.resourceManager.streamScope(stream).protocolScope.protocol).to.equal(HELD)
    expect(node.services.resourceManager.connectionScope(connection).peerScope.peer.equals(remote.peerId)).to.be.true()

    await connection.close()
    await expectAllEmpty()
  })

  it('is asked for everything, in order, by who listens', async () => {
    const connection = await connect(remote, node)
    await connection.newStream(HELD)
    await eventually(() => own.asked.includes('setService'))

    expect(own.asked.filter(place => place !== 'reserveMemory')).to.deep.equal(['inbound connection', 'setPeer', 'inbound stream', 'setProtocol', 'setService'])
    expect(own.open).to.equal(2)

    await connection.close()
    await expectAllEmpty()
  })

  it('is asked for the memory of data that nobody reads', async () => {
    const stream = await remote.dialProtocol(node.getMultiaddrs(), HELD)
    await eventually(() => own.asked.includes('setService'))
    const before = own.counting.stat().system.memory

    stream.send(new Uint8Array(10_000))
    await eventually(() => own.counting.stat().system.memory - before === 3 * 4096)
    expect(own.asked).to.include('reserveMemory')

    // can still be read
    await remote.hangUp(node.peerId)
    await eventually(() => own.counting.stat().system.inboundConnections === 0)
    expect(own.counting.stat().system.memory).to.equal(3 * 4096)

    dropUnread(...heldStreams(node))
    await expectAllEmpty()
  })

  for (const place of ['outbound connection', 'setPeer', 'outbound stream', 'setProtocol', 'setService'] as const) {
    it(`has its refusal of ${place} thrown at who dials`, async () => {
      own.refuseAt = place

      await expect(node.dialProtocol(remote.getMultiaddrs(), HELD)).to.eventually.be.rejected()
        .with.property('message', `No ${place}`)

      await node.hangUp(remote.peerId)
      await expectAllEmpty()

      own.refuseAt = undefined
      expect((await node.dialProtocol(remote.getMultiaddrs(), HELD)).status).to.equal('open')
    })
  }

  for (const place of ['inbound connection', 'setPeer', 'inbound stream', 'setProtocol', 'setService'] as const) {
    it(`has its refusal of ${place} keep out who comes in`, async () => {
      own.refuseAt = place

      const stream = await remote.dialProtocol(node.getMultiaddrs(), HELD).catch(() => undefined)
      await eventually(() => own.asked.includes(place) && stream?.status !== 'open')

      await remote.hangUp(node.peerId)
      await expectAllEmpty()

      own.refuseAt = undefined
      expect((await remote.dialProtocol(node.getMultiaddrs(), HELD)).status).to.equal('open')
    })
  }

  it('has its refusal of memory abort the stream that grows, and nothing else', async () => {
    const connection = await connect(remote, node)
    const unread = await connection.newStream(HELD)
    const echo = await connection.newStream(ECHO)
    await eventually(() => own.counting.stat().protocols.get(HELD)?.inboundStreams === 1)

    own.refuseAt = 'reserveMemory'
    unread.send(new Uint8Array(10_000))
    await eventually(() => unread.status === 'reset')

    expect(echo.status).to.equal('open')
    expect(connection.status).to.equal('open')

    await connection.close()
    await expectAllEmpty()
  })

  it('has its refusal to show the scope of a peer throw away what a closed stream holds', async () => {
    const stream = await remote.dialProtocol(node.getMultiaddrs(), HELD)
    await eventually(() => heldStreams(node).length === 1)
    const [unread] = heldStreams(node)

    stream.send(new Uint8Array(10_000))
    await eventually(() => unread.readBufferLength === 10_000)

    own.refuseAt = 'viewPeer'
    await remote.hangUp(node.peerId)
    await eventually(() => own.asked.includes('viewPeer'))
    await eventually(() => unread.readBufferLength === 0)
    await expectAllEmpty()
  })

  it('has limits of its own, so that other options are a mistake', async () => {
    for (const options of [{ manager: own.manager, limits: {} }, { manager: undefined }, { manager: {} }, { manager: own.manager, services: [] }]) {
      await expect(createLibp2p({ start: false, resourceManager: resourceManager(options as any) })).to.eventually.be.rejected()
        .with.property('name', 'InvalidLimitError')
    }
  })

  it('is asked again when the node stops and starts', async () => {
    await node.stop()
    own.refuseAt = 'inbound connection'
    await node.start()

    await expect(connect(remote, node)).to.eventually.be.rejected()
    expect(own.asked).to.deep.equal(['inbound connection'])
    await expectAllEmpty()
  })
})
