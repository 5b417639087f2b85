/**
 * @file A connection that is refused at one of its stages leaves no socket, at
 * either side, over every transport that has sockets to look at.
 */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect } from 'aegir/chai'
import { createNode, eventually, expectNothingHeld, managerOf, stopAll } from '../../fixtures/nodes.ts'
import { connectTo, portOf, rawServer } from '../../fixtures/sockets.ts'
import { createWebSocketsNode, rawWebSocketServer, untilNoSockets } from '../../fixtures/websockets.ts'
import type { NodeInit, TestNode } from '../../fixtures/nodes.ts'
import type { Behaviour, RawServer } from '../../fixtures/sockets.ts'
import type { ConnectionGater } from '@libp2p/interface'

interface SocketTransport {
  create(init?: NodeInit): Promise<TestNode>
  /** A remote that is no libp2p node */
  listen(behaviour: Behaviour): Promise<RawServer>
  /** Says that a dial has opened a socket */
  opening: string
}

const TRANSPORTS: Record<string, SocketTransport> = {
  TCP: { create: createNode, listen: rawServer, opening: 'tcp:open-connection' },
  WebSockets: { create: createWebSocketsNode, listen: rawWebSocketServer, opening: 'websockets:open-connection' }
}

const GATER_METHODS = [
  'denyInboundConnection',
  'denyOutboundConnection',
  'denyInboundEncryptedConnection',
  'denyOutboundEncryptedConnection',
  'denyInboundUpgradedConnection',
  'denyOutboundUpgradedConnection'
] as const

for (const [transport, { create, listen, opening }] of Object.entries(TRANSPORTS)) {
  describe(`over ${transport}, a connection that is refused`, () => {
    const nodes: TestNode[] = []

    async function start (init?: NodeInit): Promise<TestNode> {
      const node = await create(init)
      nodes.push(node)

      return node
    }

    afterEach(async () => {
      await stopAll(...nodes.splice(0))
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
      const server = await listen(async socket => { socket.resume() })

      try {
        await expect(dialer.dial(server.address)).to.eventually.be.rejected()
          .with.property('name', 'ResourceLimitExceededError')

        // a socket of our own comes after any that the node may have opened
        const socket = await connectTo(server.port)
        await eventually(() => server.accepted > 0)
        expect(server.accepted).to.equal(1)
        socket.destroy()
        await expectNothingHeld(managerOf(dialer))
      } finally {
        await server.close()
      }
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
          const connectionGater: ConnectionGater = {
            [method]: async () => {
              asked++

              if (name === 'throws') {
                throw new Error('Gater is broken')
              }

              return true
            }
          }
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

    for (const stage of [opening, 'upgrader:encrypt-outbound-connection', 'upgrader:multiplex-outbound-connection']) {
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
        if (transport === 'WebSockets' || stage !== opening) {
          await eventually(() => accepted === 1)
        }

        await untilNoSockets(portOf(listener))
        await expectNothingHeld(managerOf(dialer))
        await expectNothingHeld(managerOf(listener))
      })
    }
  })
}
