/* eslint-disable no-loop-func */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { memory } from '@libp2p/memory'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { plaintext } from '@libp2p/plaintext'
import { tcp } from '@libp2p/tcp'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { isResourceLimitExceeded } from '../../src/index.ts'
import { usesFileDescriptor } from '../../src/libp2p/connection-records.ts'
import { facade } from '../../src/libp2p/override.ts'
import { BASE_MEMORY } from '../../src/limits/base-memory.ts'
import { createNode, eventually, expectNothingHeld, managerOf } from '../fixtures/nodes.ts'
import { connectPair, ECHO, expectPairHoldsNothing, stopPair } from '../fixtures/pair.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import { createWebSocketsNode, rawWebSocketServer, socketsOf, untilNoSockets, UPGRADES_AND_IGNORES } from '../fixtures/websockets.ts'
import type { ConnectionManagementScope } from '../../src/index.ts'
import type { Pair } from '../fixtures/pair.ts'
import type { PrivateKey } from '@libp2p/interface'

describe('a transport', () => {
  let pair: Pair | undefined

  afterEach(async () => {
    await stopPair(pair)
    pair = undefined
  })

  async function expectIsAccounted ({ dialer, listener }: Pair): Promise<void> {
    const stream = await dialer.connection.newStream(ECHO)
    await eventually(() => managerOf(listener.node).stat().protocols.get(ECHO)?.inboundStreams === 1)

    expect(managerOf(dialer.node).stat().peers.get(`${listener.node.peerId}`)).to.include({ outboundConnections: 1, outboundStreams: 1 })
    expect(managerOf(listener.node).stat().peers.get(`${dialer.node.peerId}`)).to.include({ inboundConnections: 1, inboundStreams: 1 })
    expect(managerOf(dialer.node).streamScope(stream)?.protocolScope?.protocol).to.equal(ECHO)
    expect(managerOf(dialer.node).connectionScope(dialer.connection)?.peerScope?.peer.equals(listener.node.peerId)).to.be.true()
  }

  it('may bring its own muxer along', async () => {
    const transports = [memory({ upgraderOptions: { muxerFactory: yamux()() } as any })]
    pair = await connectPair(
      await createNode({ transport: 'memory', options: { transports, streamMuxers: [] } }),
      await createNode({ transport: 'memory', options: { transports, streamMuxers: [] } })
    )

    expect(pair.dialer.connection.multiplexer).to.equal('/yamux/1.0.0')
    await expectIsAccounted(pair)
    await pair.dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })

  it('may know its peer and need no encryption', async () => {
    const [dialerKey, listenerKey] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')]
    const knows = (other: PrivateKey): any => [memory({
      upgraderOptions: { skipEncryption: true, remotePeer: peerIdFromPrivateKey(other), muxerFactory: yamux()() } as any
    })]

    pair = await connectPair(
      await createNode({ transport: 'memory', options: { privateKey: dialerKey, transports: knows(listenerKey) } }),
      await createNode({ transport: 'memory', options: { privateKey: listenerKey, transports: knows(dialerKey) } })
    )

    expect(pair.dialer.connection.encryption).to.equal('native')
    await expectIsAccounted(pair)
    await pair.dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })

  it('may have an encrypter that brings its own muxer along', async () => {
    const connectionEncrypters = [(components: any): any => {
      const encrypter = plaintext()(components)
      const factory = yamux()()

      return facade<any>(encrypter, {
        secureInbound: async (...args: any[]) => ({ ...await (encrypter as any).secureInbound(...args), streamMuxer: factory }),
        secureOutbound: async (...args: any[]) => ({ ...await (encrypter as any).secureOutbound(...args), streamMuxer: factory })
      })
    }]

    pair = await connectPair(
      await createNode({ options: { connectionEncrypters, streamMuxers: [] } }),
      await createNode({ options: { connectionEncrypters, streamMuxers: [] } })
    )

    expect(pair.dialer.connection.multiplexer).to.equal('/yamux/1.0.0')
    await expectIsAccounted(pair)
    await pair.dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })

  /**
   * A transport that does not hand the options of a dial on to the upgrader
   */
  function reticent (): any[] {
    return [(components: any): any => {
      const transport: any = tcp()(components)
      const dial = transport.dial.bind(transport)
      transport.dial = async (address: any, { upgrader, ...options }: any) => dial(address, {
        ...options,
        upgrader: {
          upgradeOutbound: async (maConn: any) => upgrader.upgradeOutbound(maConn, { signal: options.signal })
        }
      })

      return transport
    }]
  }

  it('may keep the options of a dial to itself', async () => {
    const dialer = await createNode({ options: { transports: reticent() } })
    const opened: number[] = []
    const manager = managerOf(dialer)
    const openConnection = manager.openConnection.bind(manager)
    manager.openConnection = (...args) => {
      const scope = openConnection(...args)
      opened.push(manager.stat().system.outboundConnections)

      return scope
    }

    pair = await connectPair(dialer, await createNode())
    await expectIsAccounted(pair)
    expect(opened).to.deep.equal([1])

    await pair.dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })

  it('may keep them to itself when one address is dialled more than once at a time', async () => {
    const dialer = await createNode({ options: { transports: reticent() } })
    const manager = managerOf(dialer)
    const openConnection = manager.openConnection.bind(manager)
    let opened = 0
    manager.openConnection = (...args) => {
      opened++

      return openConnection(...args)
    }

    pair = await connectPair(dialer, await createNode())
    const [address] = pair.listener.node.getMultiaddrs()
    const { transportManager } = (dialer as any).components
    opened = 0

    await Promise.all([1, 2, 3].map(async () => transportManager.dial(address, { signal: AbortSignal.timeout(5_000) })))

    expect(opened).to.equal(3)
    expect(manager.stat().system.outboundConnections).to.equal(4)
    await dialer.hangUp(pair.listener.node.peerId)
    await expectPairHoldsNothing(pair)
  })

  for (const direction of ['inbound', 'outbound'] as const) {
    it(`may leave it to the manager to close an ${direction} connection that is refused`, async () => {
      const node = await createNode({ limits: { system: { connections: 0 } } })
      const { upgrader } = (node as any).components
      const maConns = multiaddrConnectionPair()
      const maConn = maConns[direction === 'inbound' ? 0 : 1]
      const method = direction === 'inbound' ? 'upgradeInbound' : 'upgradeOutbound'

      await expect(upgrader[method](maConn, { signal: AbortSignal.timeout(5_000) })).to.eventually.be.rejected()
        .with.property('name', 'ResourceLimitExceededError')

      expect(maConn.status).to.equal('aborted')
      await expectNothingHeld(managerOf(node))
      await node.stop()
    })
  }

  it('may have a muxer that refuses to open a stream', async () => {
    const streamMuxers = [yamux({ maxOutboundStreams: 1 })]
    pair = await connectPair(await createNode({ options: { streamMuxers } }), await createNode())
    const { dialer } = pair
    await dialer.connection.newStream(ECHO)

    for (let i = 0; i < 3; i++) {
      await expect(dialer.connection.newStream(ECHO)).to.eventually.be.rejected()
        .with.property('name', 'TooManyOutboundProtocolStreamsError')
    }

    expect(managerOf(dialer.node).stat().system.outboundStreams).to.equal(1)
    expect(managerOf(dialer.node).stat().transient.outboundStreams).to.equal(0)
  })

  for (const ends of ['dialer', 'listener'] as const) {
    it(`may ask before it has a connection and hand the scope over, which ends with the connection, closed by the ${ends}`, async () => {
      const dialer = await createNode()
      const listener = await createNode()
      const manager = managerOf(listener)
      const scopes: ConnectionManagementScope[] = []
      const { upgrader } = (listener as any).components
      const upgradeInbound = upgrader.upgradeInbound

      upgrader.upgradeInbound = async (maConn: any, options: any) => {
        const scope = manager.openConnection('inbound', false, maConn.remoteAddr)
        scopes.push(scope)
        manager.adoptConnection(maConn, scope)

        return upgradeInbound(maConn, options)
      }

      pair = await connectPair(dialer, listener)
      await expectIsAccounted(pair)

      expect(scopes).to.have.lengthOf(1)
      // it was counted once, as it was opened
      expect(manager.stat().system).to.include({ inboundConnections: 1, fileDescriptors: 0 })
      expect(scopes[0].peerScope?.peer.equals(dialer.peerId)).to.be.true()

      await pair[ends].connection.close()
      await expectPairHoldsNothing(pair)
    })
  }

  it('that hands a scope over for a connection that fails has it ended', async () => {
    const dialer = await createNode()
    const listener = await createNode({ options: { connectionGater: { denyInboundConnection: () => true } } })
    const manager = managerOf(listener)
    const { upgrader } = (listener as any).components
    const upgradeInbound = upgrader.upgradeInbound
    let handedOver = 0

    upgrader.upgradeInbound = async (maConn: any, options: any) => {
      handedOver++
      manager.adoptConnection(maConn, manager.openConnection('inbound', true, maConn.remoteAddr))

      return upgradeInbound(maConn, options)
    }

    await dialer.dial(listener.getMultiaddrs()).catch(() => {})
    await eventually(() => handedOver === 1)
    await expectNothingHeld(manager)
    await expectNothingHeld(managerOf(dialer))
    await dialer.stop()
    await listener.stop()
  })

  it('that hands a scope over without room for what a connection costs has the scope and the socket closed', async () => {
    const server = await rawWebSocketServer(UPGRADES_AND_IGNORES)
    const node = await createWebSocketsNode({ options: { addresses: { listen: [] } }, limits: { connection: { memory: 2 * BASE_MEMORY.connection } } })
    const manager = managerOf(node)
    const { upgrader } = (node as any).components
    const { upgradeOutbound } = upgrader
    const sockets: number[] = []

    upgrader.upgradeOutbound = async (maConn: any, options: any) => {
      const scope = manager.openConnection('outbound', true, maConn.remoteAddr)
      scope.reserveMemory(BASE_MEMORY.connection + 1)
      manager.adoptConnection(maConn, scope)
      sockets.push(socketsOf(server.port).dialled.length)

      return upgradeOutbound(maConn, options)
    }

    const err = await node.dial(server.address).catch(err => err)
    expect(isResourceLimitExceeded(err)).to.be.true()
    expect(sockets).to.deep.equal([1])
    await untilNoSockets(server.port)
    await expectNothingHeld(manager)
    await node.stop()
    await server.close()
  })

  for (const direction of ['inbound', 'outbound'] as const) {
    for (const [address, expected] of [
      ['/ip4/127.0.0.1/tcp/4001', true],
      ['/ip6/::1/tcp/4001', true],
      ['/dns4/example.com/tcp/443/wss', true],
      ['/ip4/127.0.0.1/tcp/80/ws', true],
      ['/unix/%2Ftmp%2Fsocket', true],
      [`/webrtc/p2p/${PEER}`, true],
      [`/ip4/127.0.0.1/tcp/4001/p2p/${PEER}/p2p-circuit/webrtc/p2p/${OTHER_PEER}`, true],
      // the listener has one for all of them
      ['/ip4/127.0.0.1/udp/4001/webrtc-direct', direction === 'outbound'],
      ['/ip4/127.0.0.1/udp/4001/quic-v1', false],
      ['/ip4/127.0.0.1/udp/4001/quic-v1/webtransport', false],
      ['/memory/test', false],
      [`/ip4/127.0.0.1/tcp/4001/p2p/${PEER}/p2p-circuit`, false],
      [`/ip4/127.0.0.1/tcp/4001/ws/p2p/${PEER}/p2p-circuit/p2p/${OTHER_PEER}`, false],
      [`/ip4/127.0.0.1/udp/4001/webrtc-direct/p2p/${PEER}/p2p-circuit/p2p/${OTHER_PEER}`, false],
      [`/webrtc/p2p/${PEER}/p2p-circuit/p2p/${OTHER_PEER}`, false]
    ] as Array<[string, boolean]>) {
      it(`with an ${direction} connection of ${address} uses ${expected ? 'a' : 'no'} file descriptor`, () => {
        expect(usesFileDescriptor(direction, multiaddr(address))).to.equal(expected)
      })
    }
  }
})
