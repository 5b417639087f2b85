import { expect } from 'aegir/chai'
import { connect, createNode, eventually, expectNothingHeld, managerOf, stopAll } from '../fixtures/nodes.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'

/**
 * A gater that cannot be used through an object that merely inherits from it
 */
class PrivateGater implements ConnectionGater {
  #asked: string[] = []
  readonly #denied: string

  constructor (denied = '') {
    this.#denied = denied
  }

  get asked (): string[] {
    return [...this.#asked].sort()
  }

  denyDialPeer (): boolean {
    return this.#answer('denyDialPeer')
  }

  denyDialMultiaddr (): boolean {
    return this.#answer('denyDialMultiaddr')
  }

  async denyInboundConnection (_maConn: MultiaddrConnection): Promise<boolean> {
    return this.#answer('denyInboundConnection')
  }

  denyOutboundConnection (_peer: PeerId, _maConn: MultiaddrConnection): boolean {
    return this.#answer('denyOutboundConnection')
  }

  denyInboundEncryptedConnection (_peer: PeerId, _maConn: MultiaddrConnection): boolean {
    return this.#answer('denyInboundEncryptedConnection')
  }

  denyOutboundEncryptedConnection (_peer: PeerId, _maConn: MultiaddrConnection): boolean {
    return this.#answer('denyOutboundEncryptedConnection')
  }

  denyInboundUpgradedConnection (_peer: PeerId, _maConn: MultiaddrConnection): boolean {
    return this.#answer('denyInboundUpgradedConnection')
  }

  denyOutboundUpgradedConnection (_peer: PeerId, _maConn: MultiaddrConnection): boolean {
    return this.#answer('denyOutboundUpgradedConnection')
  }

  #answer (method: string): boolean {
    this.#asked.push(method)

    return method === this.#denied
  }
}

const OUTBOUND = ['denyDialMultiaddr', 'denyDialPeer', 'denyOutboundConnection', 'denyOutboundEncryptedConnection', 'denyOutboundUpgradedConnection']
const INBOUND = ['denyInboundConnection', 'denyInboundEncryptedConnection', 'denyInboundUpgradedConnection']

describe('the connection gater of the user', () => {
  const nodes: TestNode[] = []

  async function start (connectionGater: ConnectionGater | undefined, init: NodeInit = {}): Promise<TestNode> {
    const node = await createNode({ ...init, options: { connectionGater } })
    nodes.push(node)

    return node
  }

  async function expectConnects (dialer: TestNode, listener: TestNode): Promise<void> {
    const connection = await connect(dialer, listener)
    await eventually(() => listener.getConnections().length === 1)

    // each is in the scope of its peer
    expect(managerOf(dialer).stat().peers.get(`${listener.peerId}`)?.outboundConnections).to.equal(1)
    expect(managerOf(listener).stat().peers.get(`${dialer.peerId}`)?.inboundConnections).to.equal(1)
    expect(managerOf(dialer).stat().transient.outboundConnections).to.equal(0)
    expect(managerOf(listener).stat().transient.inboundConnections).to.equal(0)

    await connection.close()
    await expectNothingHeld(managerOf(dialer))
    await expectNothingHeld(managerOf(listener))
  }

  afterEach(async () => {
    await stopAll(...nodes.splice(0))
  })

  it('may be left out', async () => {
    await expectConnects(await start(undefined), await start(undefined))
  })

  it('may be a class with #private members, and is asked everything', async () => {
    const [dialerGater, listenerGater] = [new PrivateGater(), new PrivateGater()]
    await expectConnects(await start(dialerGater), await start(listenerGater))

    expect(dialerGater.asked).to.deep.equal(OUTBOUND)
    expect(listenerGater.asked).to.deep.equal(INBOUND)
  })

  for (const method of [...OUTBOUND, ...INBOUND]) {
    it(`may be a class with #private members whose ${method} denies`, async () => {
      const gater = new PrivateGater(method)
      const dialer = await start(OUTBOUND.includes(method) ? gater : undefined)
      const listener = await start(INBOUND.includes(method) ? gater : undefined)

      await connect(dialer, listener).catch(() => {})
      await eventually(() => gater.asked.includes(method))

      await expectNothingHeld(managerOf(dialer))
      await expectNothingHeld(managerOf(listener))
      await eventually(() => dialer.getConnections().length + listener.getConnections().length === 0)
    })
  }

  it('may be shared by two nodes, each of which has its own limits', async () => {
    const gater = new PrivateGater()
    const methods = Object.getOwnPropertyNames(gater)
    const dialer = await start(gater)
    const listener = await start(gater)
    const closed = await start(gater, { limits: { peerDefault: { inboundConnections: 0 } } })

    await expectConnects(dialer, listener)
    expect(gater.asked).to.deep.equal([...OUTBOUND, ...INBOUND].sort())

    const refusals: string[] = []
    managerOf(closed).addEventListener('blocked', ({ detail }) => { refusals.push(detail.scope) })
    await connect(dialer, closed).catch(() => {})
    await eventually(() => refusals.length === 1)

    // one node stops, the other goes on
    await closed.stop()
    await expectConnects(dialer, listener)

    // it is the user's and nothing in it has changed
    expect(Object.getOwnPropertyNames(gater)).to.deep.equal(methods)
    expect(gater.denyInboundEncryptedConnection).to.equal(PrivateGater.prototype.denyInboundEncryptedConnection)
  })

  it('may be frozen', async () => {
    const asked: string[] = []
    const gater: ConnectionGater = Object.freeze({
      // in browsers, js-libp2p adds it where it is missing
      denyDialMultiaddr: () => false,
      denyInboundEncryptedConnection: () => {
        asked.push('in')

        return false
      },
      denyOutboundEncryptedConnection: () => {
        asked.push('out')

        return false
      }
    })

    await expectConnects(await start(gater), await start(gater))
    expect(asked.sort()).to.deep.equal(['in', 'out'])
  })

  it('may be frozen deeply, with accessors in place of methods', async () => {
    const gater = Object.freeze({
      get denyDialMultiaddr () { return Object.freeze(async () => false) },
      get denyInboundEncryptedConnection () { return Object.freeze(async () => false) },
      get denyOutboundEncryptedConnection () { return Object.freeze(async () => false) }
    })

    await expectConnects(await start(gater), await start(gater))
  })

  it('may change while the node runs', async () => {
    const gater: ConnectionGater = {}
    const dialer = await start(gater)
    const listener = await start({})
    await expectConnects(dialer, listener)

    gater.denyOutboundEncryptedConnection = () => true
    await expect(connect(dialer, listener)).to.eventually.be.rejected()
      .with.property('name', 'ConnectionInterceptedError')
    await expectNothingHeld(managerOf(dialer))

    delete gater.denyOutboundEncryptedConnection
    await expectConnects(dialer, listener)
  })

  it('may throw what it likes', async () => {
    const dialer = await start({ denyOutboundEncryptedConnection: () => { throw new RangeError('Gater is broken') } })
    const listener = await start({})

    await expect(connect(dialer, listener)).to.eventually.be.rejectedWith(RangeError, 'Gater is broken')
    await expectNothingHeld(managerOf(dialer))
    await expectNothingHeld(managerOf(listener))
  })
})
