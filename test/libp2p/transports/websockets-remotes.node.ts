/**
 * @file WebSockets whose other side is no libp2p node, or does not do its part.
 */

import { expect } from 'aegir/chai'
import { eventually, expectNothingHeld, managerOf, stopAll } from '../../fixtures/nodes.ts'
import { ECHO } from '../../fixtures/pair.ts'
import { connectTo, portOf, untilClosed } from '../../fixtures/sockets.ts'
import { createWebSocketsNode, rawWebSocketClient, rawWebSocketServer, socketsOf, untilNoSockets, untilSockets, UPGRADES_AND_IGNORES } from '../../fixtures/websockets.ts'
import type { NodeInit, TestNode } from '../../fixtures/nodes.ts'
import type { Behaviour, RawServer } from '../../fixtures/sockets.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

describe('over WebSockets, a remote that does not play along', () => {
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
  async function dialUntil (dialer: TestNode, address: Multiaddr, isTime: () => boolean): Promise<void> {
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

  it('that never answers the upgrade, and whose dial was aborted, leaves no socket', async () => {
    const dialer = await start()
    const { address, port } = await listen()

    await dialUntil(dialer, address, () => (server?.accepted ?? 0) > 0)

    await untilSockets(port, 0, 0)
    await expectNothingHeld(managerOf(dialer))
  })

  it('that never answers the upgrade, and whose dial timed out, leaves no socket', async () => {
    const dialer = await start({ options: { connectionManager: { dialTimeout: 300, addressDialTimeout: 300 } } })
    const { address, port } = await listen()

    await expect(dialer.dial(address)).to.eventually.be.rejected()

    await untilSockets(port, 0, 0)
    await expectNothingHeld(managerOf(dialer))
  })

  it('that answers the upgrade with an error leaves no socket', async () => {
    const dialer = await start()
    const { address, port } = await listen(async socket => {
      socket.on('data', () => { socket.write('HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n') })
    })

    await expect(dialer.dial(address)).to.eventually.be.rejected()

    await untilSockets(port, 0, 0)
    await expectNothingHeld(managerOf(dialer))
  })

  it('that upgrades and stays silent, and whose dial was aborted, leaves no socket', async () => {
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

  it('that never answers the upgrade, while its dialer stops, leaves no socket', async () => {
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

  it('that comes in over the limit leaves no socket', async () => {
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

  it('that comes in and never says who it is leaves no socket', async () => {
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

  it('leaves the sockets of others alone, refused or not', async () => {
    const listener = await start()
    const dialer = await start({ limits: { peerDefault: { outboundConnections: 1 } } })
    const port = portOf(listener)
    const connection = await dialer.dial(listener.getMultiaddrs())

    // of whoever dials the same address in this process
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
  })

  it('leaves the sockets alone that its own application opens when it hears of the connection', async () => {
    const dialer = await start()
    const listener = await start()
    const { port } = await listen(UPGRADES_AND_IGNORES)
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
    socketsOf(port).dialled[0].destroy()
  })
})
