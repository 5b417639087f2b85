import { expect } from 'aegir/chai'
import { createNode, eventually, expectNothingHeld, failuresOf, held, managerOf, stopAll } from '../fixtures/nodes.ts'
import { LEAVING, rawClient, rawServer, stalledClient, TALKING_NONSENSE, untilClosed } from '../fixtures/sockets.ts'
import type { Direction, ResourceLimitExceededError } from '../../src/index.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { Behaviour, RawServer } from '../fixtures/sockets.ts'

describe('a remote that never becomes a peer', () => {
  let node: TestNode
  let server: RawServer | undefined

  /** The most connections that the node has had open at one time */
  let most: number

  beforeEach(async () => {
    await replaceNode()
  })

  afterEach(async () => {
    await stopAll(node)
    await server?.close()
    server = undefined
  })

  async function replaceNode (init?: NodeInit): Promise<void> {
    await node?.stop()
    node = await createNode(init)
    most = 0

    const manager = managerOf(node)
    const openConnection = manager.openConnection.bind(manager)

    // a connection that was never counted cannot leak
    manager.openConnection = (...args) => {
      const scope = openConnection(...args)
      const { inboundConnections, outboundConnections } = manager.stat().system
      most = Math.max(most, inboundConnections + outboundConnections)

      return scope
    }
  }

  /** One, by the error of the upgrade or the first one of the socket */
  function expectFailure (direction: Direction, reason: string = '(EncryptionFailedError|ECONNRESET|EPIPE|TimeoutError)'): void {
    const failures = Object.entries(failuresOf(managerOf(node)))

    expect(failures).to.have.lengthOf(1)
    expect(failures[0][0]).to.match(new RegExp(`^${direction} connection upgrade ${reason}$`))
    expect(failures[0][1]).to.equal(1)
    expect(managerOf(node).refusals()).to.be.empty()
  }

  function testBoth (name: string, behaviour: Behaviour): void {
    it(`${name}, as a client`, async () => {
      const socket = await rawClient(node)
      const closed = untilClosed(socket)
      await behaviour(socket)
      await closed

      await eventually(() => most === 1)
      await expectNothingHeld(managerOf(node))
      expectFailure('inbound')
    })

    it(`${name}, as a server`, async () => {
      server = await rawServer(behaviour)

      await expect(node.dial(server.address)).to.eventually.be.rejected()

      expect(server.accepted).to.equal(1)
      expect(most).to.equal(1)
      await expectNothingHeld(managerOf(node))

      // a dial may find the socket gone before there is a connection
      if (name !== 'resets at once' && name !== 'is destroyed at once') {
        expectFailure('outbound')
      }
    })
  }

  for (const [name, behaviour] of Object.entries(LEAVING)) {
    testBoth(name, behaviour)
  }

  describe('and waits for the node', () => {
    beforeEach(async () => {
      await replaceNode({ options: { connectionManager: { inboundUpgradeTimeout: 200, addressDialTimeout: 200 } } })
    })

    for (const [name, behaviour] of Object.entries(TALKING_NONSENSE)) {
      testBoth(name, behaviour)
    }

    testBoth('says nothing', async () => {})
  })

  it('is in the transient scope while it stalls', async () => {
    const socket = await stalledClient(node)

    expect(held(managerOf(node))).to.deep.equal({
      system: { inboundConnections: 1, fileDescriptors: 1 },
      transient: { inboundConnections: 1, fileDescriptors: 1 }
    })

    socket.destroy()
    await expectNothingHeld(managerOf(node))
  })

  it('stalls until the node stops', async () => {
    const socket = await stalledClient(node)
    await stopAll(node)
    await untilClosed(socket)

    await expectNothingHeld(managerOf(node))
    // nobody has done anything wrong
    expect(failuresOf(managerOf(node))).to.be.empty()
  })

  it('stalls until the dialer gives up', async () => {
    const controller = new AbortController()
    server = await rawServer(async () => { controller.abort() })

    await expect(node.dial(server.address, { signal: controller.signal })).to.eventually.be.rejected()
    await expectNothingHeld(managerOf(node))
    expect(failuresOf(managerOf(node))).to.be.empty()
  })

  it('stalls until the dialer stops', async () => {
    const connected = Promise.withResolvers<void>()
    server = await rawServer(async () => { connected.resolve() })

    const dial = node.dial(server.address)
    const rejected = expect(dial).to.eventually.be.rejected()
    await connected.promise
    await stopAll(node)
    await rejected

    await expectNothingHeld(managerOf(node))
    expect(failuresOf(managerOf(node))).to.be.empty()
  })

  it('comes many times at once', async () => {
    await replaceNode({
      limits: { transient: { inboundConnections: 20 } },
      options: { connectionManager: { inboundConnectionThreshold: Infinity, maxIncomingPendingConnections: Infinity } }
    })

    const refusals: ResourceLimitExceededError[] = []
    managerOf(node).addEventListener('blocked', event => { refusals.push(event.detail) })

    const sockets = await Promise.all(Array.from({ length: 50 }, async () => rawClient(node)))
    await eventually(() => refusals.length === 30)

    expect(managerOf(node).stat().transient.inboundConnections).to.equal(20)

    for (const socket of sockets) {
      socket.destroy()
    }

    await expectNothingHeld(managerOf(node))
    expect(managerOf(node).refusals()).to.containSubset([{ kind: 'transient', resource: 'inboundConnections', count: 30 }])
    // the others have left without a word
    expect(Object.entries(failuresOf(managerOf(node))).reduce((sum, [, count]) => sum + count, 0)).to.equal(20)
  })
})
