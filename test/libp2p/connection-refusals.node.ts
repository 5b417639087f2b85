import { expect } from 'aegir/chai'
import { isResourceLimitExceeded } from '../../src/index.ts'
import { connect, createNode, eventually, expectNothingHeld, managerOf, stopAll } from '../fixtures/nodes.ts'
import { ECHO } from '../fixtures/pair.ts'
import { connectTo, rawClient, rawServer, stalledClient, untilClosed } from '../fixtures/sockets.ts'
import type { ResourceLimitExceededError } from '../../src/index.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { RawServer } from '../fixtures/sockets.ts'

/**
 * How many sockets a node's listener has open, as js-libp2p and as the system sees it
 */
async function openSockets (node: TestNode): Promise<number> {
  const [listener] = (node as any).components.transportManager.getListeners()
  const connections = await new Promise<number>((resolve, reject) => {
    listener.server.getConnections((err: Error | null, count: number) => {
      err == null ? resolve(count) : reject(err)
    })
  })

  return Math.max(listener.sockets.size, connections)
}

function refusalsOf (node: TestNode): ResourceLimitExceededError[] {
  const refusals: ResourceLimitExceededError[] = []
  managerOf(node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })

  return refusals
}

describe('a connection over a limit', () => {
  const nodes: TestNode[] = []
  let server: RawServer | undefined

  async function start (init?: NodeInit): Promise<TestNode> {
    const node = await createNode(init)
    nodes.push(node)

    return node
  }

  afterEach(async () => {
    await stopAll(...nodes.splice(0))
    await server?.close()
    server = undefined
  })

  describe('that this node dials', () => {
    it('is refused before a socket is opened', async () => {
      const dialer = await start({ limits: { system: { outboundConnections: 0 } } })
      const refusals = refusalsOf(dialer)
      server = await rawServer()

      const err = await dialer.dial(server.address).catch(err => err)

      expect(err).to.include({
        name: 'ResourceLimitExceededError',
        scope: 'system',
        resource: 'outboundConnections',
        direction: 'outbound',
        current: 0,
        attempted: 1,
        limit: 0,
        option: 'limits.system.outboundConnections'
      })
      expect(isResourceLimitExceeded(err)).to.be.true()
      expect(refusals).to.deep.equal([err])

      // a socket of our own comes after any that the node may have opened
      const socket = await connectTo(server.port)
      await eventually(() => (server?.accepted ?? 0) > 0)
      expect(server.accepted).to.equal(1)

      socket.destroy()
      await expectNothingHeld(managerOf(dialer))
    })

    it('is refused at each of several addresses', async () => {
      const dialer = await start({ limits: { system: { outboundConnections: 0 } } })
      const servers = await Promise.all([rawServer(), rawServer()])

      const err = await dialer.dial(servers.map(({ address }) => address)).catch(err => err)

      expect(err).to.be.an.instanceOf(AggregateError)
      expect(err.errors.map(({ name }: Error) => name)).to.deep.equal(['ResourceLimitExceededError', 'ResourceLimitExceededError'])
      expect(isResourceLimitExceeded(err)).to.be.true()
      expect(servers.map(({ accepted }) => accepted)).to.deep.equal([0, 0])

      await Promise.all(servers.map(async server => server.close()))
      await expectNothingHeld(managerOf(dialer))
    })

    it('is refused for a stream to a peer, too', async () => {
      const dialer = await start({ limits: { system: { outboundConnections: 0 } } })
      const listener = await start()

      await expect(dialer.dialProtocol(listener.getMultiaddrs(), ECHO)).to.eventually.be.rejected()
        .with.property('name', 'ResourceLimitExceededError')
      await expectNothingHeld(managerOf(dialer))
    })

    for (const resource of ['connections', 'outboundConnections', 'fileDescriptors'] as const) {
      for (const scope of ['system', 'transient'] as const) {
        it(`is refused by limits.${scope}.${resource}`, async () => {
          const dialer = await start({ limits: { [scope]: { [resource]: 0 } } })
          const listener = await start()

          await expect(connect(dialer, listener)).to.eventually.be.rejected()
            .that.include({ name: 'ResourceLimitExceededError', scope, resource })
          expect(managerOf(listener).stat().system.inboundConnections).to.equal(0)
          await expectNothingHeld(managerOf(dialer))
        })
      }
    }

    it('does not count file descriptors over the memory transport', async () => {
      const dialer = await start({ transport: 'memory', limits: { system: { fileDescriptors: 0 } } })
      const listener = await start({ transport: 'memory', limits: { system: { fileDescriptors: 0 } } })
      const connection = await connect(dialer, listener)

      expect(connection.status).to.equal('open')
    })

    it('is let through when there is room again', async () => {
      const dialer = await start({ limits: { system: { outboundConnections: 1 } } })
      const [first, second] = [await start(), await start()]

      const connection = await connect(dialer, first)
      await expect(connect(dialer, second)).to.eventually.be.rejected()
        .with.property('name', 'ResourceLimitExceededError')
      expect(connection.status).to.equal('open')

      await connection.close()
      await eventually(() => managerOf(dialer).stat().system.outboundConnections === 0)
      expect((await connect(dialer, second)).status).to.equal('open')
    })
  })

  describe('that comes in', () => {
    for (const resource of ['connections', 'inboundConnections', 'fileDescriptors'] as const) {
      for (const scope of ['system', 'transient'] as const) {
        it(`is closed at once by limits.${scope}.${resource}`, async () => {
          const listener = await start({ limits: { [scope]: { [resource]: 1 } } })
          const refusals = refusalsOf(listener)

          // the one place is taken
          const first = await stalledClient(listener)

          // nothing is sent to the second one
          const second = await rawClient(listener)
          let received = 0
          second.on('data', data => { received += data.byteLength })
          await untilClosed(second)

          expect(received).to.equal(0)
          expect(refusals).to.have.lengthOf(1)
          expect(refusals[0]).to.include({ scope, resource, direction: 'inbound', current: 1, attempted: 1, limit: 1 })
          await eventually(async () => await openSockets(listener) === 1)
          expect(first.closed).to.be.false()

          first.destroy()
          await eventually(async () => await openSockets(listener) === 0)
          await expectNothingHeld(managerOf(listener))

          // the place is free again
          const dialer = await start()
          expect((await connect(dialer, listener)).status).to.equal('open')
        })
      }
    }

    it('fails at the node that dials', async () => {
      const listener = await start({ limits: { system: { inboundConnections: 0 } } })
      const dialer = await start()

      const err = await connect(dialer, listener).catch(err => err)

      expect(err).to.be.an.instanceOf(Error)
      // it is not a limit of its own
      expect(isResourceLimitExceeded(err)).to.be.false()
      await eventually(async () => await openSockets(listener) === 0)
      await expectNothingHeld(managerOf(listener))
      await expectNothingHeld(managerOf(dialer))
    })

    it('is refused over the memory transport', async () => {
      const listener = await start({ transport: 'memory', limits: { system: { inboundConnections: 0 } } })
      const dialer = await start({ transport: 'memory' })
      const refusals = refusalsOf(listener)

      await expect(connect(dialer, listener)).to.eventually.be.rejected()

      expect(refusals).to.have.lengthOf(1)
      await expectNothingHeld(managerOf(listener))
      await expectNothingHeld(managerOf(dialer))
    })

    it('does not close the others', async () => {
      const listener = await start({ limits: { system: { inboundConnections: 2 } } })
      const dialers = await Promise.all([start(), start(), start()])
      const connections = [await connect(dialers[0], listener), await connect(dialers[1], listener)]
      await eventually(() => listener.getConnections().length === 2)

      await expect(connect(dialers[2], listener)).to.eventually.be.rejected()

      for (const connection of connections) {
        expect(await dialers[connections.indexOf(connection)].services.ping.ping(listener.peerId)).to.be.at.least(0)
      }
    })
  })
})
