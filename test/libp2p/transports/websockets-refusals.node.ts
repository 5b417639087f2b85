/* eslint-disable no-loop-func */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect } from 'aegir/chai'
import { eventually, expectNothingHeld, managerOf, stopAll } from '../../fixtures/nodes.ts'
import { ECHO } from '../../fixtures/pair.ts'
import { connectTo, portOf, rawServer, untilClosed } from '../../fixtures/sockets.ts'
import { createWebSocketsNode, rawWebSocketClient, rawWebSocketServer, socketsOf, untilNoSockets, untilSockets, UPGRADES_AND_IGNORES } from '../../fixtures/websockets.ts'
import type { NodeInit, TestNode } from '../../fixtures/nodes.ts'
import type { Behaviour, RawServer } from '../../fixtures/sockets.ts'
import type { ConnectionGater } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const GATER_METHODS = [
  'denyInboundConnection',
  'denyOutboundConnection',
  'denyInboundEncryptedConnection',
  'denyOutboundEncryptedConnection',
  'denyInboundUpgradedConnection',
  'denyOutboundUpgradedConnection'
] as const

const STAGES = ['websockets:open-connection', 'upgrader:encrypt-outbound-connection', 'upgrader:multiplex-outbound-connection']

describe('over WebSockets, a connection that is refused', () => {
  const nodes: TestNode[] = []
  let server: RawServer | undefined

  async function start (init?: NodeInit): Promise<TestNode> {
    const node = await createWebSocketsNode(init)
    nodes.push(node)

    return node
  }

  async function listen (behaviour: Behaviour = async socket => { socket.resume() }): Promise<RawServer> {
    server = await rawWebSocketServer(behaviour)

    return server
  }

  /** Dials until a moment of its own, at which the signal aborts */
  async function dialUntil (dialer: TestNode, address: Multiaddr | Multiaddr[], isTime: () => boolean): Promise<void> {
    const controller = new AbortController()
    const dial = dialer.dial(address, { signal: controller.signal })
    dial.catch(() => {})
    await eventually(isTime)
    controller.abort()
    await expect(dial).to.eventually.be.rejected()
  }

  afterEach(async () => {
    await stopAll(...nodes.splice(0))
    await server?.close()
    server = undefined
  })

  /**
   * Dials between two nodes, one of which refuses: neither may be left with a
   * scope or a socket
   */
  async function expectNoSockets (dialerInit: NodeInit, listenerInit: NodeInit, asked: () => number): Promise<void> {
    const dialer = await start(dialerInit)
    const listener = await start(listenerInit)

    // the dialer may have finished before the listener turns it away
    await dialer.dial(listener.getMultiaddrs()).catch(() => {})
    await eventually(() => asked() > 0)

    await untilNoSockets(portOf(listener))
    await expectNothingHeld(managerOf(dialer))
    await expectNothingHeld(managerOf(listener))
    await eventually(() => dialer.getConnections().length + listener.getConnections().length === 0)
  }

  it('when it is dialled opens no socket', async () => {
    const dialer = await start({ limits: { system: { outboundConnections: 0 } } })
    const { address, port } = await listen()

    await expect(dialer.dial(address)).to.eventually.be.rejected()
      .with.property('name', 'ResourceLimitExceededError')

    // a socket of our own comes after any that the node may have opened
    const socket = await connectTo(port)
    await eventually(() => (server?.accepted ?? 0) > 0)
    expect(server?.accepted).to.equal(1)
    socket.destroy()
    await expectNothingHeld(managerOf(dialer))
  })

  for (const [name, side, limits] of [
    ['when it comes in', 'listener', { system: { inboundConnections: 0 } }],
    ['when the peer that is dialled is known', 'dialer', { peerDefault: { outboundConnections: 0 } }],
    ['when the peer that dials is known', 'listener', { peerDefault: { inboundConnections: 0 } }]
  ] as Array<[string, 'dialer' | 'listener', NodeInit['limits']]>) {
    it(`${name} leaves no socket`, async () => {
      const dialer = await start(side === 'dialer' ? { limits } : {})
      const listener = await start(side === 'listener' ? { limits } : {})
      let refusals = 0
      managerOf(side === 'dialer' ? dialer : listener).addEventListener('blocked', () => { refusals++ })

      await dialer.dial(listener.getMultiaddrs()).catch(() => {})
      await eventually(() => refusals === 1)

      await untilNoSockets(portOf(listener))
      await expectNothingHeld(managerOf(dialer))
      await expectNothingHeld(managerOf(listener))
    })
  }

  for (const method of GATER_METHODS) {
    for (const name of ['denies', 'throws']) {
      it(`because ${method} ${name} leaves no socket`, async () => {
        let asked = 0
        const connectionGater: ConnectionGater = { [method]: async () => {
          asked++

          if (name === 'throws') {
            throw new Error('Gater is broken')
          }

          return true
        } }
        const init: NodeInit = { options: { connectionGater } }

        await (method.includes('Inbound') ? expectNoSockets({}, init, () => asked) : expectNoSockets(init, {}, () => asked))
      })
    }
  }

  for (const [name, dialerInit, listenerInit] of [
    ['encrypter', { encrypter: 'noise' }, { encrypter: 'tls' }],
    ['muxer', { encrypter: 'plaintext', muxer: 'yamux' }, { encrypter: 'plaintext', muxer: 'mplex' }]
  ] as Array<[string, NodeInit, NodeInit]>) {
    it(`because there is no ${name} in common leaves no socket`, async () => {
      const connectionManager = { inboundUpgradeTimeout: 200 }
      const dialer = await start(dialerInit)
      const listener = await start({ ...listenerInit, options: { connectionManager } })

      await expect(dialer.dial(listener.getMultiaddrs())).to.eventually.be.rejected()

      await untilNoSockets(portOf(listener))
      await expectNothingHeld(managerOf(dialer))
      await expectNothingHeld(managerOf(listener))
    })
  }

  it('because another peer answers leaves no socket', async () => {
    const dialer = await start()
    const listener = await start()
    const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))

    await expect(dialer.dial(listener.getMultiaddrs()[0].decapsulate('/p2p').encapsulate(`/p2p/${other}`))).to.eventually.be.rejected()
      .with.property('name', 'EncryptionFailedError')

    await untilNoSockets(portOf(listener))
    await expectNothingHeld(managerOf(dialer))
    await expectNothingHeld(managerOf(listener))
  })

  for (const stage of STAGES) {
    it(`because its dial was aborted at ${stage} leaves no socket`, async () => {
      const dialer = await start({ encrypter: 'plaintext' })
      const listener = await start({ encrypter: 'plaintext' })
      const [{ server }]: any[] = (listener as any).components.transportManager.getListeners()
      let accepted = 0
      server.on('connection', () => { accepted++ })
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
      // js-libp2p does not stop the WebSocket of a dial that was given up
      await eventually(() => accepted === 1)
      await untilNoSockets(portOf(listener))
      await expectNothingHeld(managerOf(dialer))
      await expectNothingHeld(managerOf(listener))
    })
  }

  describe('by a remote that does not play along', () => {
    it('because it never answers the upgrade, and its dial was aborted, leaves no socket', async () => {
      const dialer = await start()
      const { address, port } = await listen()

      await dialUntil(dialer, address, () => (server?.accepted ?? 0) > 0)

      await untilSockets(port, 0, 0)
      await expectNothingHeld(managerOf(dialer))
    })

    it('because it never answers the upgrade, and its dial timed out, leaves no socket', async () => {
      const dialer = await start({ options: { connectionManager: { dialTimeout: 300, addressDialTimeout: 300 } } })
      const { address, port } = await listen()

      await expect(dialer.dial(address)).to.eventually.be.rejected()

      await untilSockets(port, 0, 0)
      await expectNothingHeld(managerOf(dialer))
    })

    it('because it answers the upgrade with an error leaves no socket', async () => {
      const dialer = await start()
      const { address, port } = await listen(async socket => {
        socket.on('data', () => { socket.write('HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n') })
      })

      await expect(dialer.dial(address)).to.eventually.be.rejected()

      await untilSockets(port, 0, 0)
      await expectNothingHeld(managerOf(dialer))
    })

    it('because it upgrades and stays silent, and its dial was aborted, leaves no socket', async () => {
      const dialer = await start()
      let upgraded = false
      const { address, port } = await listen(async socket => {
        await UPGRADES_AND_IGNORES(socket)
        upgraded = true
      })
      const { upgrader } = (dialer as any).components
      const upgradeOutbound = upgrader.upgradeOutbound
      let upgrades = 0
      upgrader.upgradeOutbound = async (...args: any[]) => {
        upgrades++

        return upgradeOutbound(...args)
      }

      await dialUntil(dialer, address, () => upgraded && upgrades === 1)

      await untilSockets(port, 0, 0)
      await expectNothingHeld(managerOf(dialer))
    })

    it('because its node stops while it is dialled leaves no socket', async () => {
      const dialer = await start()
      const { address, port } = await listen()

      const dial = dialer.dial(address)
      dial.catch(() => {})
      await eventually(() => (server?.accepted ?? 0) > 0)
      await dialer.stop()
      await expect(dial).to.eventually.be.rejected()

      await untilSockets(port, 0, 0)
      await expectNothingHeld(managerOf(dialer))
    })

    it('because it comes in over the limit leaves no socket', async () => {
      const listener = await start({ limits: { system: { inboundConnections: 1 } } })
      const port = portOf(listener)
      const first = await rawWebSocketClient(port)
      await eventually(() => managerOf(listener).stat().system.inboundConnections === 1)

      const second = await rawWebSocketClient(port)
      await untilClosed(second)
      await untilSockets(port, 1, 1)
      expect(first.closed).to.be.false()

      first.destroy()
      await untilNoSockets(port)
      await expectNothingHeld(managerOf(listener))

      // the place is free again
      const dialer = await start()
      const connection = await dialer.dial(listener.getMultiaddrs())
      expect((await connection.newStream(ECHO)).status).to.equal('open')
    })

    it('because it comes in and never says who it is leaves no socket', async () => {
      const listener = await start({ options: { connectionManager: { inboundUpgradeTimeout: 300 } } })
      const port = portOf(listener)
      await rawWebSocketClient(port)
      await eventually(() => managerOf(listener).stat().system.inboundConnections === 1)

      await untilNoSockets(port)
      await expectNothingHeld(managerOf(listener))
    })

    it('is not seen before it upgrades', async () => {
      const listener = await start()
      const port = portOf(listener)
      let opened = 0
      const manager = managerOf(listener)
      const openConnection = manager.openConnection.bind(manager)
      manager.openConnection = (...args) => {
        opened++

        return openConnection(...args)
      }

      // a limitation that the README names: js-libp2p shows it to nobody
      const silent = await connectTo(port)
      const talking = await connectTo(port)
      talking.write('GET / HTTP/1.1\r\n')
      await untilSockets(port, 2, 2)

      // one that does upgrade comes after these
      const upgraded = await rawWebSocketClient(port)
      await eventually(() => manager.stat().system.inboundConnections === 1)
      expect(opened).to.equal(1)

      for (const socket of [silent, talking, upgraded]) {
        socket.destroy()
      }

      await untilNoSockets(port)
      await expectNothingHeld(manager)
    })
  })

  it('leaves the sockets of others alone', async () => {
    const listener = await start()
    const dialer = await start({ limits: { peerDefault: { outboundConnections: 1 } } })
    const port = portOf(listener)
    const connection = await dialer.dial(listener.getMultiaddrs())

    // of whoever dials the same address in this process
    const server = await rawServer(async socket => { socket.on('data', () => {}) })
    const own = new WebSocket(`ws://127.0.0.1:${port}`)
    await new Promise(resolve => { own.addEventListener('open', resolve) })

    for (let i = 0; i < 3; i++) {
      await expect(dialer.dial(listener.getMultiaddrs(), { force: true })).to.eventually.be.rejected()
        .with.property('name', 'ResourceLimitExceededError')
    }

    await untilSockets(port, 2, 2)
    expect(own.readyState).to.equal(WebSocket.OPEN)
    expect((await connection.newStream(ECHO)).status).to.equal('open')

    own.close()
    await connection.close()
    await untilNoSockets(port)
    await server.close()
  })

  it('leaves the sockets alone that its own application opens when it hears of the connection', async () => {
    const dialer = await start()
    const listener = await start()
    const { address, port } = await listen(UPGRADES_AND_IGNORES)
    const opened = Promise.withResolvers<WebSocket>()
    dialer.addEventListener('connection:open', () => {
      const own = new WebSocket(`ws://127.0.0.1:${port}`)
      own.addEventListener('open', () => { opened.resolve(own) })
    })

    const connection = await dialer.dial(listener.getMultiaddrs())
    const own = await opened.promise
    connection.abort(new Error('Aborted on purpose'))
    await untilNoSockets(portOf(listener))

    expect(own.readyState).to.equal(WebSocket.OPEN)
    expect(socketsOf(port).dialled).to.have.lengthOf(1)
    expect(`${address}`).to.include(`${port}`)
    socketsOf(port).dialled[0].destroy()
  })
})
