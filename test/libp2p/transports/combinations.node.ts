/**
 * @file Every transport with every encrypter and every muxer, in the open and in
 * a private network.
 */

/* eslint-disable no-loop-func */

import { generateKey, preSharedKey } from '@libp2p/pnet'
import { expect } from 'aegir/chai'
import { createNode, ENCRYPTERS, eventually, expectNothingHeld, managerOf, MUXERS, stopAll, TRANSPORTS } from '../../fixtures/nodes.ts'
import { connectPair, ECHO, expectPairHoldsNothing } from '../../fixtures/pair.ts'
import { counts } from '../../fixtures/relay.ts'
import { connectTo, portOf } from '../../fixtures/sockets.ts'
import { pattern, receive } from '../../fixtures/transfer.ts'
import { createWebSocketsNode, untilNoSockets } from '../../fixtures/websockets.ts'
import type { NodeInit, TestNode } from '../../fixtures/nodes.ts'
import type { End } from '../../fixtures/pair.ts'

type Encrypter = keyof typeof ENCRYPTERS
type Muxer = keyof typeof MUXERS
type Transport = keyof typeof TRANSPORTS | 'webSockets'

const ALL: Transport[] = [...Object.keys(TRANSPORTS) as Array<keyof typeof TRANSPORTS>, 'webSockets']

function newKey (): Uint8Array {
  const key = new Uint8Array(95)
  generateKey(key)

  return key
}

const KEY = newKey()

describe('with every transport, encrypter and muxer', () => {
  const nodes: TestNode[] = []

  async function start (transport: Transport, init: NodeInit, psk?: Uint8Array): Promise<TestNode> {
    init = { ...init, options: { ...init.options, ...psk == null ? {} : { connectionProtector: preSharedKey({ psk }) } } }
    const node = await (transport === 'webSockets' ? createWebSocketsNode(init) : createNode({ ...init, transport }))
    nodes.push(node)

    return node
  }

  afterEach(async () => {
    await stopAll(...nodes.splice(0))
  })

  for (const transport of ALL) {
    for (const encrypter of Object.keys(ENCRYPTERS) as Encrypter[]) {
      for (const muxer of Object.keys(MUXERS) as Muxer[]) {
        for (const psk of [undefined, KEY]) {
          const name = `${transport}, ${encrypter} and ${muxer}${psk == null ? '' : ' in a private network'}`
          const own = transport === 'memory' ? {} : { fileDescriptors: 1 }

          it(`connections and streams count over ${name}`, async () => {
            const init = { encrypter, muxer }
            const pair = await connectPair(await start(transport, init, psk), await start(transport, init, psk))
            const { dialer, listener } = pair

            for (const [end, other, direction] of [[dialer, listener, 'outboundConnections'], [listener, dialer, 'inboundConnections']] as Array<[End, End, string]>) {
              const manager = managerOf(end.node)

              expect(counts(manager.stat().system)).to.deep.equal({ [direction]: 1, ...own })
              expect(counts(manager.stat().peers.get(`${other.node.peerId}`))).to.deep.equal({ [direction]: 1, ...own })
              expect(counts(manager.stat().transient)).to.deep.equal({})

              const stream = await other.connection.newStream(ECHO)
              const echoed = receive(stream)
              stream.send(pattern(100_000))
              await eventually(() => echoed.received === 100_000)
              expect(echoed.inOrder).to.be.true()
              expect(manager.stat().protocols.get(ECHO)).to.include({ inboundStreams: 1, outboundStreams: 0 })
              expect(managerOf(other.node).streamScope(stream)?.protocolScope?.protocol).to.equal(ECHO)
              stream.abort(new Error('Done'))
              await eventually(() => end.connection.streams.length + other.connection.streams.length === 0)
            }

            await dialer.connection.close()
            await expectPairHoldsNothing(pair)
          })

          for (const [direction, side] of [['outboundConnections', 'dialer'], ['inboundConnections', 'listener']] as const) {
            it(`the limit of a peer refuses ${direction} over ${name}`, async () => {
              const limits = { peerDefault: { [direction]: 0 } }
              const dialer = await start(transport, { encrypter, muxer, ...side === 'dialer' ? { limits } : {} }, psk)
              const listener = await start(transport, { encrypter, muxer, ...side === 'listener' ? { limits } : {} }, psk)
              const refusals: Error[] = []
              managerOf(side === 'dialer' ? dialer : listener).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })

              // the dialer may have finished before the listener turns it away
              await dialer.dial(listener.getMultiaddrs()).catch(() => {})
              await eventually(() => refusals.length === 1)

              expect(refusals[0]).to.include({ name: 'ResourceLimitExceededError', resource: direction })
              await expectNothingHeld(managerOf(dialer))
              await expectNothingHeld(managerOf(listener))
              await eventually(() => dialer.getConnections().length + listener.getConnections().length === 0)
            })
          }
        }
      }
    }

    it(`who is not in the private network leaves nothing over ${transport}`, async () => {
      const connectionManager = { inboundUpgradeTimeout: 500, addressDialTimeout: 500 }
      const dialer = await start(transport, { options: { connectionManager } }, newKey())
      const listener = await start(transport, { options: { connectionManager } }, KEY)

      await expect(dialer.dial(listener.getMultiaddrs())).to.eventually.be.rejected()

      await expectNothingHeld(managerOf(dialer))
      await expectNothingHeld(managerOf(listener))
      expect(dialer.getConnections()).to.be.empty()
      expect(listener.getConnections()).to.be.empty()

      if (transport !== 'memory') {
        await untilNoSockets(portOf(listener))
      }
    })
  }

  it('who says nothing to a private network leaves nothing', async () => {
    const listener = await start('tcp', { options: { connectionManager: { inboundUpgradeTimeout: 300 } } }, KEY)
    const socket = await connectTo(portOf(listener))
    await eventually(() => managerOf(listener).stat().transient.inboundConnections === 1)
    socket.resume()

    await expectNothingHeld(managerOf(listener))
    await untilNoSockets(portOf(listener))
  })
})
