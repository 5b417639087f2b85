/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { connect, createNode, eventually, expectNothingHeld, managerOf, MUXERS, stopAll } from '../fixtures/nodes.ts'
import { ECHO, unnegotiated } from '../fixtures/pair.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { Connection } from '@libp2p/interface'

const ERROR = new Error('Aborted on purpose')

/**
 * A muxer holds streams back that come before the connection listens to it. Here
 * the gater of the listener keeps the connection from being ready.
 */
describe('streams that come early', () => {
  let dialer: TestNode
  let listener: TestNode
  let connection: Connection
  let ready: PromiseWithResolvers<boolean>

  /** Streams in the muxer of the listener, which has no connection yet */
  let muxer: { status: string, streams: any[] } | undefined

  async function start (name: 'yamux' | 'mplex'): Promise<void> {
    ready = Promise.withResolvers()
    muxer = undefined
    dialer = await createNode({ muxer: name })
    listener = await createNode({
      options: {
        connectionGater: { denyInboundUpgradedConnection: async () => ready.promise },
        streamMuxers: [() => {
          const factory: any = MUXERS[name]()()
          const createStreamMuxer = factory.createStreamMuxer.bind(factory)
          factory.createStreamMuxer = (...args: any[]) => {
            muxer = createStreamMuxer(...args)

            return muxer
          }

          return factory
        }]
      }
    })

    connection = await connect(dialer, listener)
    await eventually(() => muxer != null)
  }

  afterEach(async () => {
    ready.resolve(true)
    await stopAll(dialer, listener)
  })

  async function expectBothEmpty (): Promise<void> {
    await expectNothingHeld(managerOf(dialer))
    await expectNothingHeld(managerOf(listener))
  }

  for (const name of ['yamux', 'mplex'] as const) {
    it(`have scopes once the connection is ready, with ${name}`, async () => {
      await start(name)
      const opening = Promise.all(Array.from({ length: 5 }, async () => connection.newStream(ECHO)))
      await eventually(() => muxer?.streams.length === 5)
      expect(managerOf(listener).stat().system.inboundStreams).to.equal(0)

      ready.resolve(false)
      const streams = await opening
      await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 5)
      expect(streams.every(({ status }) => status === 'open')).to.be.true()

      await connection.close()
      await expectBothEmpty()
    })

    it(`and are gone before the connection is ready leave nothing, with ${name}`, async () => {
      await start(name)
      const streams = await Promise.all(Array.from({ length: 5 }, async () => unnegotiated({ connection, node: dialer })))
      await eventually(() => muxer?.streams.length === 5)
      streams.forEach(stream => { stream.abort(ERROR) })
      await eventually(() => muxer?.streams.length === 0)

      ready.resolve(false)
      await eventually(() => listener.getConnections().length === 1)
      await eventually(() => managerOf(listener).stat().system.inboundStreams === 0)
      expect(managerOf(listener).stat().transient.inboundStreams).to.equal(0)

      await connection.close()
      await expectBothEmpty()
    })

    it(`and whose connection is turned away leave nothing, with ${name}`, async () => {
      await start(name)
      await Promise.all(Array.from({ length: 5 }, async () => unnegotiated({ connection, node: dialer })))
      await eventually(() => muxer?.streams.length === 5)

      ready.resolve(true)
      await expectBothEmpty()
    })

    it(`and are too many leave nothing, with ${name}`, async () => {
      await start(name)
      await Promise.allSettled(Array.from({ length: 20 }, async () => unnegotiated({ connection, node: dialer })))
      // mplex still opens those that came with the one too many
      await eventually(() => muxer?.status === 'closed')

      ready.resolve(false)
      connection.abort(ERROR)
      await expectBothEmpty()
    })

    it(`are refused one by one, with ${name}`, async () => {
      await start(name)
      const manager = managerOf(listener)
      const refusals: string[] = []
      manager.addEventListener('blocked', ({ detail }) => { refusals.push(detail.scope) })
      manager.viewTransient(scope => { scope.setLimit({ inboundStreams: 2 }) })

      const opening = Promise.allSettled(Array.from({ length: 5 }, async () => unnegotiated({ connection, node: dialer })))
      await eventually(() => muxer?.streams.length === 5)
      ready.resolve(false)
      await opening

      await eventually(() => refusals.length === 3)
      expect(refusals).to.deep.equal(['transient', 'transient', 'transient'])
      // the refused ones are reset, for both sides
      await eventually(() => muxer?.streams.length === 2)
      await eventually(() => connection.streams.length === 2)
      expect(connection.status).to.equal('open')

      await connection.close()
      await expectBothEmpty()
    })
  }
})
