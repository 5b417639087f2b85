/**
 * @file Installed in order, out after stop, in again after the next start; and
 * what of js-libp2p all of it relies on.
 */

import { expect } from 'aegir/chai'
import { connect, createNode, eventually, expectNothingHeld, managerOf, stopAll } from '../fixtures/nodes.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { ConnectionGater, PeerId, StreamMiddleware } from '@libp2p/interface'

const ECHO = '/echo/1.0.0'

/**
 * Breaks when its methods run on anything but itself
 */
class PrivateGater implements ConnectionGater {
  #denied = new Set<string>()
  #asked = 0

  deny (peer: PeerId): void {
    this.#denied.add(peer.toString())
  }

  get asked (): number {
    return this.#asked
  }

  async denyInboundEncryptedConnection (peer: PeerId): Promise<boolean> {
    this.#asked++

    return this.#denied.has(peer.toString())
  }

  async denyOutboundConnection (): Promise<boolean> {
    return this.#denied.has('everybody')
  }
}

describe('hooks in a node', () => {
  let nodes: TestNode[]

  async function create (...args: Parameters<typeof createNode>): Promise<TestNode> {
    const node = await createNode(...args)
    nodes.push(node)

    return node
  }

  function componentsOf (node: TestNode): any {
    return (node as any).components
  }

  beforeEach(() => {
    nodes = []
  })

  afterEach(async () => {
    await stopAll(...nodes)
  })

  it('are out after stop, and in again after the next start', async () => {
    const listener = await create({ limits: { system: { inboundConnections: 1 } } })
    const dialer = await create()
    const components = componentsOf(listener)
    const gater = components.connectionGater

    for (let round = 0; round < 3; round++) {
      expect(components.registrar.getMiddleware(ECHO)).to.have.lengthOf(1)
      expect(Object.hasOwn(components.upgrader, 'upgradeInbound')).to.be.true()

      const connection = await connect(dialer, listener)
      await connection.newStream(ECHO)
      await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 1)

      // and limits hold
      const second = await createNode()
      await expect(connect(second, listener)).to.eventually.be.rejected()
      await second.stop()

      await listener.stop()
      await expectNothingHeld(managerOf(listener))
      await expectNothingHeld(managerOf(dialer))

      expect(components.registrar.getMiddleware(ECHO)).to.be.empty()
      expect(Object.hasOwn(components.upgrader, 'upgradeInbound')).to.be.false()
      expect(Object.hasOwn(components.upgrader, 'upgradeOutbound')).to.be.false()
      expect(Object.hasOwn(components.transportManager, 'dial')).to.be.false()
      expect(components.connectionGater).to.not.equal(gater)

      await listener.start()
    }
  })

  it('leave a gater that nodes share, and that has private members, as it is', async () => {
    const gater = new PrivateGater()
    const listener = await create({ options: { connectionGater: gater } })
    const other = await create({ options: { connectionGater: gater } })
    const dialer = await create()
    const denied = await create()
    gater.deny(denied.peerId)

    await connect(dialer, listener)
    await connect(dialer, other)
    await eventually(() => managerOf(listener).stat().peers.get(dialer.peerId.toString())?.inboundConnections === 1)
    await eventually(() => managerOf(other).stat().peers.get(dialer.peerId.toString())?.inboundConnections === 1)
    expect(gater.asked).to.equal(2)

    // whether the dial fails or the connection closes after it depends on who is faster
    await connect(denied, listener).catch(() => {})
    await eventually(() => denied.getConnections().length === 0)
    await expectNothingHeld(managerOf(denied))
    expect(managerOf(listener).listPeers().some(peer => peer.equals(denied.peerId))).to.be.false()

    expect(Object.getOwnPropertyNames(gater).filter(name => name.startsWith('deny'))).to.be.empty()
    await stopAll(listener)
    await connect(dialer, other)
  })

  it('accept a gater that is frozen', async () => {
    const gater = Object.freeze({ denyDialMultiaddr: () => false, denyInboundEncryptedConnection: async () => false })
    const listener = await create({ options: { connectionGater: gater } })
    const dialer = await create({ options: { connectionGater: gater } })

    await connect(dialer, listener)
    await eventually(() => managerOf(listener).stat().peers.get(dialer.peerId.toString())?.inboundConnections === 1)
  })

  it('run before the middleware of the application, and do not pile up', async () => {
    const listener = await create()
    const dialer = await create()
    const seen: string[] = []

    const middleware = (name: string, node: TestNode): StreamMiddleware => (stream, connection, next) => {
      seen.push(`${name} ${managerOf(node).streamScope(stream)?.protocolScope?.protocol}`)
      next(stream, connection)
    }
    listener.use(ECHO, middleware('in', listener))
    dialer.use(ECHO, middleware('out', dialer))

    const connection = await connect(dialer, listener)

    for (let i = 0; i < 5; i++) {
      const stream = await connection.newStream(ECHO)
      stream.abort(new Error('enough'))
      await eventually(() => seen.length === 2 * (i + 1))
    }

    expect(seen.filter(name => name === `in ${ECHO}`)).to.have.lengthOf(5)
    expect(seen.filter(name => name === `out ${ECHO}`)).to.have.lengthOf(5)
    expect(componentsOf(listener).registrar.getMiddleware(ECHO).length).to.be.at.most(2 + 5)
  })

  describe('rely on js-libp2p', () => {
    it('to share the timeline of a raw connection with what the application sees', async () => {
      const listener = await create()
      const dialer = await create()
      const connection = await connect(dialer, listener)

      expect((connection as any).maConn.timeline).to.equal(connection.timeline)
      expect(managerOf(dialer).connectionScope(connection)).to.have.property('name', 'conn-1')
    })

    it('to look at the maximum of a buffer whenever it has grown', async () => {
      const listener = await create()
      const dialer = await create()
      const looked = { read: 0, write: 0 }

      await listener.handle('/sink/1.0.0', () => {})
      const connection = await connect(dialer, listener)
      const stream = await connection.newStream('/sink/1.0.0')

      const [inbound] = listener.getConnections()
      const accepted = inbound.streams.find(({ protocol }) => protocol === '/sink/1.0.0')

      for (const [target, property, count] of [[accepted, 'maxReadBufferLength', 'read'], [stream, 'maxWriteBufferLength', 'write']] as const) {
        const { get } = Object.getOwnPropertyDescriptor(target, property) ?? {}
        expect(get).to.be.a('function')
        Object.defineProperty(target, property, {
          get: () => {
            looked[count]++

            return get?.call(target)
          }
        })
      }

      stream.send(new Uint8Array(1024 * 1024))
      await eventually(() => looked.read > 0 && looked.write > 0)
      expect((accepted as any).sendPause).to.be.a('function')
      expect((accepted as any).sendResume).to.be.a('function')
    })

    it('to hand the options of a dial on to the upgrader, or the address itself', async () => {
      for (const transport of ['tcp', 'memory'] as const) {
        const listener = await create({ transport })
        const dialer = await create({ transport })
        const { upgrader } = componentsOf(dialer)
        const claimed: boolean[] = []
        const original = upgrader.upgradeOutbound

        upgrader.upgradeOutbound = async (maConn: any, options: any) => {
          claimed.push(Object.getOwnPropertySymbols(options).some(symbol => symbol.description === 'libp2p-resource-manager:dial'))

          return original.call(upgrader, maConn, options)
        }

        await connect(dialer, listener)
        expect(claimed).to.deep.equal([true])
        // one dial, one scope
        expect(managerOf(dialer).stat().system.outboundConnections).to.equal(1)
        expect(managerOf(dialer).connectionScope(dialer.getConnections()[0])).to.have.property('name', 'conn-1')
      }
    })
  })
})
