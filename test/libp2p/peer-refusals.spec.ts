import { expect } from 'aegir/chai'
import { connect, createNode, ENCRYPTERS, eventually, expectNothingHeld, managerOf, stopAll, TRANSPORTS } from '../fixtures/nodes.ts'
import { ECHO } from '../fixtures/pair.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'

/**
 * What inbound upgrades of a node fail with, from now on
 */
function inboundErrors (node: TestNode): Error[] {
  const errors: Error[] = []
  const { upgrader } = (node as any).components
  const upgradeInbound = upgrader.upgradeInbound

  upgrader.upgradeInbound = async (...args: any[]) => {
    try {
      return await upgradeInbound(...args)
    } catch (err: any) {
      errors.push(err)
      throw err
    }
  }

  return errors
}

describe('a connection over the limit of its peer', () => {
  const nodes: TestNode[] = []

  async function start (init?: NodeInit): Promise<TestNode> {
    const node = await createNode(init)
    nodes.push(node)

    return node
  }

  async function expectAllEmpty (): Promise<void> {
    for (const node of nodes) {
      await expectNothingHeld(managerOf(node))
    }
  }

  afterEach(async () => {
    await stopAll(...nodes.splice(0))
  })

  for (const transport of Object.keys(TRANSPORTS) as Array<keyof typeof TRANSPORTS>) {
    for (const encrypter of Object.keys(ENCRYPTERS) as Array<keyof typeof ENCRYPTERS>) {
      it(`is refused when it is dialled, over ${transport} with ${encrypter}`, async () => {
        const dialer = await start({ transport, encrypter, limits: { peerDefault: { outboundConnections: 0 } } })
        const listener = await start({ transport, encrypter })

        // js-libp2p calls whatever fails inside of an encrypter EncryptionFailedError
        await expect(connect(dialer, listener)).to.eventually.be.rejected().that.include({
          name: 'ResourceLimitExceededError',
          scope: `peer:${listener.peerId}`,
          resource: 'outboundConnections',
          direction: 'outbound',
          option: `limits.peers["${listener.peerId}"].outboundConnections`
        })

        await expectAllEmpty()
        expect(dialer.getConnections()).to.be.empty()
        await eventually(() => listener.getConnections().length === 0)
      })

      it(`is refused when it comes in, over ${transport} with ${encrypter}`, async () => {
        const dialer = await start({ transport, encrypter })
        const listener = await start({ transport, encrypter, limits: { peerDefault: { inboundConnections: 0 } } })
        const errors = inboundErrors(listener)

        // the dialer may have finished before the listener hangs up
        const connection = await connect(dialer, listener).catch(() => undefined)
        await eventually(() => errors.length === 1)

        expect(errors[0]).to.include({
          name: 'ResourceLimitExceededError',
          scope: `peer:${dialer.peerId}`,
          resource: 'inboundConnections',
          direction: 'inbound'
        })

        await expectAllEmpty()
        expect(connection?.status).to.not.equal('open')
        expect(listener.getConnections()).to.be.empty()
      })
    }
  }

  it('leaves the others of that peer alone', async () => {
    const dialer = await start()
    const listener = await start({ limits: { peerDefault: { connections: 2 } } })
    const errors = inboundErrors(listener)

    const first = await connect(dialer, listener)
    const second = await dialer.dial(listener.getMultiaddrs(), { force: true })
    await eventually(() => listener.getConnections().length === 2)

    const third = await dialer.dial(listener.getMultiaddrs(), { force: true }).catch(() => undefined)
    await eventually(() => errors.length === 1)
    await eventually(() => third?.status !== 'open')

    for (const connection of [first, second]) {
      expect((await connection.newStream(ECHO)).status).to.equal('open')
    }

    await eventually(() => managerOf(listener).stat().system.inboundConnections === 2)
    expect(managerOf(listener).stat().transient.inboundConnections).to.equal(0)

    // and there is room again when one of them is gone
    await second.close()
    await eventually(() => managerOf(listener).stat().system.inboundConnections === 1)
    const fourth = await dialer.dial(listener.getMultiaddrs(), { force: true })
    expect((await fourth.newStream(ECHO)).status).to.equal('open')
  })

  it('leaves other peers alone', async () => {
    const listener = await start({ limits: { peerDefault: { inboundConnections: 1 } } })
    const dialers = [await start(), await start(), await start()]

    for (const dialer of dialers) {
      const connection = await connect(dialer, listener)
      expect((await connection.newStream(ECHO)).status).to.equal('open')
    }

    expect(managerOf(listener).stat().system.inboundConnections).to.equal(3)
  })

  it('can be that of one peer', async () => {
    const [unwelcome, welcome] = [await start(), await start()]
    const listener = await start({ limits: { peers: { [unwelcome.peerId.toString()]: { inboundConnections: 0 } } } })
    const errors = inboundErrors(listener)

    await connect(unwelcome, listener).catch(() => {})
    await eventually(() => errors.length === 1)
    expect(errors[0]).to.have.property('scope', `peer:${unwelcome.peerId}`)

    const connection = await connect(welcome, listener)
    expect((await connection.newStream(ECHO)).status).to.equal('open')
    expect(errors).to.have.lengthOf(1)
  })

  it('does not ask the limit for whom the gater turns away', async () => {
    const dialer = await start()
    const listener = await start({
      limits: { peerDefault: { inboundConnections: 0 } },
      options: { connectionGater: { denyInboundEncryptedConnection: () => true } }
    })
    const errors = inboundErrors(listener)

    await connect(dialer, listener).catch(() => {})
    await eventually(() => errors.length === 1)

    expect(errors[0]).to.have.property('name', 'ConnectionInterceptedError')
    await expectAllEmpty()
  })
})
