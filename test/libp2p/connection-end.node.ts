/**
 * @file How long a WebSocket that was closed may keep its socket, below libp2p.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { webSockets } from '@libp2p/websockets'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../src/index.ts'
import { ConnectionEnds } from '../../src/libp2p/connection-end.ts'
import { DialSockets } from '../../src/libp2p/dial-sockets.ts'
import { Failures } from '../../src/libp2p/failures.ts'
import { eventually, expectNothingHeld } from '../fixtures/nodes.ts'
import { createWebSocketsNode, rawWebSocketServer, socketsOf, untilSockets, UPGRADES_AND_IGNORES } from '../fixtures/websockets.ts'
import type { DefaultResourceManager, Failure } from '../../src/index.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { RawServer } from '../fixtures/sockets.ts'
import type { MultiaddrConnection } from '@libp2p/interface'
import type net from 'node:net'

const MiB = 2 ** 20
const SIZE = 24 * MiB

describe('a WebSocket that was closed', () => {
  let node: TestNode
  let server: RawServer
  let remote: net.Socket
  let manager: DefaultResourceManager
  let failures: Failure[]

  async function dial (): Promise<MultiaddrConnection> {
    server = await rawWebSocketServer(async socket => {
      remote = socket
      await UPGRADES_AND_IGNORES(socket)
    })

    node = await createWebSocketsNode({ options: { addresses: { listen: [] }, transports: [webSockets({ maxBufferedAmount: 2 * SIZE })] } })
    const [transport] = (node as any).components.transportManager.getTransports()
    const sockets = new DialSockets()
    const maConn: any = await sockets.run(async () => transport.dial(server.address, {
      signal: AbortSignal.timeout(5_000),
      upgrader: { upgradeOutbound: async (maConn: any) => maConn } as any
    }))
    sockets.stopLooking()
    new ConnectionEnds(new Failures(failure => { failures.push(failure) })).endWith({ sockets, ended: false, scope: manager.openConnection('outbound', true, server.address) }, maConn)

    return maConn
  }

  beforeEach(() => {
    manager = createResourceManager()
    failures = []
  })

  afterEach(async () => {
    manager.close()
    await node.stop()
    await server.close()
  })

  it('sends what there is to send, however long it takes the other side', async () => {
    const maConn = await dial()
    let received = 0
    let room = 0

    remote.pause()
    remote.on('data', chunk => {
      received += chunk.byteLength
      room -= chunk.byteLength

      if (room <= 0) {
        remote.pause()
      }
    })
    // takes longer than a socket may linger that has nothing to send
    const timer = setInterval(() => {
      room = 4 * MiB
      remote.resume()
    }, 600)

    try {
      maConn.send(new Uint8Array(SIZE))
      await maConn.close()
      expect(maConn.status).to.equal('closed')
      expect((maConn as any).websocket.bufferedAmount).to.be.above(0)

      await eventually(() => received > SIZE)
    } finally {
      clearInterval(timer)
    }

    remote.resume()
    await untilSockets(server.port, 0, 0, 6_000)
    // the remote is no more than slow, and then it keeps the socket
    expect(failures.map(({ stage }) => stage)).to.deep.equal(['close'])
  })

  it('is accounted until the other side has taken everything', async () => {
    const maConn = await dial()

    remote.pause()
    maConn.send(new Uint8Array(SIZE))
    await maConn.close()
    // as long as it lingers when there is nothing to be sent, and more
    await delay(2_500)

    expect(socketsOf(server.port).dialled).to.have.lengthOf(1)
    expect(manager.stat().system).to.include({ outboundConnections: 1, fileDescriptors: 1 })

    remote.resume()
    await expectNothingHeld(manager)
    await untilSockets(server.port, 0, 0, 6_000)
  })

  it('is accounted until the other side is gone', async () => {
    const maConn = await dial()

    remote.pause()
    maConn.send(new Uint8Array(SIZE))
    await maConn.close()
    expect(manager.stat().system).to.include({ outboundConnections: 1, fileDescriptors: 1 })

    remote.destroy()
    await expectNothingHeld(manager)
    await untilSockets(server.port, 0, 0)
  })

  it('has no socket for long when the other side answers nothing', async () => {
    const maConn = await dial()

    await maConn.close()
    expect(socketsOf(server.port).dialled).to.have.lengthOf(1)

    await untilSockets(server.port, 0, 0, 6_000)
    expect(failures).to.have.lengthOf(1)
    expect(failures[0]).to.include({ kind: 'connection', direction: 'outbound', stage: 'close', reason: 'TimeoutError' })
    expect(failures[0].endpoint?.equals(server.address)).to.be.true()
  })

  it('is gone at once when it is aborted', async () => {
    const maConn = await dial()

    maConn.abort(new Error('Aborted on purpose'))

    await expectNothingHeld(manager)
    await untilSockets(server.port, 0, 0, 1_000)
  })
})
