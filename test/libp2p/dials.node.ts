/* eslint-disable no-loop-func */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createNode, eventually, expectNothingHeld, held, managerOf, stopAll } from '../fixtures/nodes.ts'
import { rawServer } from '../fixtures/sockets.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'

describe('a dial that fails', () => {
  let dialer: TestNode
  let listener: TestNode

  async function start (init?: NodeInit): Promise<void> {
    dialer = await createNode(init)
    listener = await createNode(init)
  }

  /** What the dialer had open when its scope for a dial was asked for, per dial */
  function watchDials (): number[] {
    const manager = managerOf(dialer)
    const openConnection = manager.openConnection.bind(manager)
    const seen: number[] = []

    manager.openConnection = (...args) => {
      const scope = openConnection(...args)
      seen.push(manager.stat().transient.outboundConnections)

      return scope
    }

    return seen
  }

  async function expectBothEmpty (): Promise<void> {
    await expectNothingHeld(managerOf(dialer))
    await expectNothingHeld(managerOf(listener))
  }

  afterEach(async () => {
    await stopAll(dialer, listener)
  })

  it('to a port that nobody listens on', async () => {
    await start()
    const dials = watchDials()
    const server = await rawServer()
    await server.close()

    await expect(dialer.dial(server.address)).to.eventually.be.rejected()
      .with.property('code', 'ECONNREFUSED')

    expect(dials).to.deep.equal([1])
    await expectBothEmpty()
  })

  it('to several such ports', async () => {
    await start()
    const dials = watchDials()
    const servers = await Promise.all([rawServer(), rawServer(), rawServer()])
    await Promise.all(servers.map(async server => server.close()))

    await expect(dialer.dial(servers.map(({ address }) => address))).to.eventually.be.rejected()
      .with.property('name', 'AggregateError')

    expect(dials).to.deep.equal([1, 1, 1])
    await expectBothEmpty()
  })

  it('to a memory address that nobody listens on', async () => {
    await start({ transport: 'memory' })
    const dials = watchDials()

    await expect(dialer.dial(multiaddr('/memory/nobody'))).to.eventually.be.rejected()
      .with.property('name', 'ConnectionFailedError')

    expect(dials).to.deep.equal([1])
    await expectBothEmpty()
  })

  it('to an address that no transport can dial', async () => {
    await start()
    const dials = watchDials()
    const { transportManager } = (dialer as any).components

    // js-libp2p's dialer filters such addresses before
    await expect(transportManager.dial(multiaddr('/memory/nobody'))).to.eventually.be.rejected()
      .with.property('name', 'TransportUnavailableError')

    expect(dials).to.deep.equal([1])
    await expectBothEmpty()
  })

  for (const transport of ['tcp', 'memory'] as const) {
    it(`because it was aborted before it began, over ${transport}`, async () => {
      await start({ transport })
      const dials = watchDials()
      const { transportManager } = (dialer as any).components

      // js-libp2p's dialer would not even begin
      await expect(transportManager.dial(listener.getMultiaddrs()[0], { signal: AbortSignal.abort() })).to.eventually.be.rejected()
        .with.property('name', 'AbortError')

      expect(dials).to.deep.equal([1])
      await expectBothEmpty()
    })
  }

  for (const stage of ['tcp:open-connection', 'upgrader:encrypt-outbound-connection', 'upgrader:multiplex-outbound-connection']) {
    it(`because it was aborted at ${stage}`, async () => {
      await start({ encrypter: 'plaintext' })
      const dials = watchDials()
      const controller = new AbortController()
      const stages: string[] = []

      await expect(dialer.dial(listener.getMultiaddrs(), {
        signal: controller.signal,
        onProgress: event => {
          stages.push(event.type)

          if (event.type === stage) {
            // the transport listens to the signal only once it has begun
            queueMicrotask(() => { controller.abort() })
          }
        }
      })).to.eventually.be.rejected()

      expect(stages).to.include(stage)
      expect(dials).to.deep.equal([1])
      await expectBothEmpty()
    })
  }

  it('because another peer answers', async () => {
    await start()
    const dials = watchDials()
    const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    const address = listener.getMultiaddrs()[0].decapsulate('/p2p').encapsulate(`/p2p/${other}`)

    await expect(dialer.dial(address)).to.eventually.be.rejected()
      .with.property('name', 'EncryptionFailedError')

    expect(dials).to.deep.equal([1])
    await expectBothEmpty()
  })

  it('because the node answers itself', async () => {
    await start()
    const dials = watchDials()

    await expect(dialer.dial(dialer.getMultiaddrs()[0].decapsulate('/p2p'))).to.eventually.be.rejected()
      .with.property('name', 'InvalidPeerIdError')

    // both ends are here
    expect(dials).to.have.lengthOf(2)
    await expectBothEmpty()
  })

  for (const [what, init, other] of [
    ['encrypter', { encrypter: 'noise' }, { encrypter: 'tls' }],
    ['muxer', { encrypter: 'plaintext', muxer: 'yamux' }, { encrypter: 'plaintext', muxer: 'mplex' }]
  ] as Array<[string, NodeInit, NodeInit]>) {
    it(`because there is no ${what} in common`, async () => {
      const connectionManager = { inboundUpgradeTimeout: 200 }
      dialer = await createNode(init)
      listener = await createNode({ ...other, options: { connectionManager } })
      const dials = watchDials()

      await expect(dialer.dial(listener.getMultiaddrs())).to.eventually.be.rejected()

      expect(dials).to.deep.equal([1])
      await expectBothEmpty()
    })
  }

  it('does not take the place of the next one', async () => {
    await start({ limits: { transient: { outboundConnections: 1 } } })
    const server = await rawServer()
    await server.close()

    for (let i = 0; i < 3; i++) {
      await expect(dialer.dial(server.address)).to.eventually.be.rejected()
        .with.property('code', 'ECONNREFUSED')
    }

    const connection = await dialer.dial(listener.getMultiaddrs())
    expect(connection.status).to.equal('open')
    await connection.close()
    await expectBothEmpty()
  })

  it('or succeeds after another address has failed', async () => {
    await start()
    const dials = watchDials()
    const server = await rawServer()
    await server.close()

    const connection = await dialer.dial([
      server.address.encapsulate(`/p2p/${listener.peerId}`),
      ...listener.getMultiaddrs()
    ])
    await eventually(() => listener.getConnections().length === 1)

    expect(dials.length).to.be.oneOf([1, 2])
    expect(held(managerOf(dialer)).system).to.deep.equal({ outboundConnections: 1, fileDescriptors: 1 })

    await connection.close()
    await expectBothEmpty()
  })
})
