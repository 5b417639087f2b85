/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { eventually, managerOf } from '../fixtures/nodes.ts'
import { createPair, expectOnlyConnection, expectPairHoldsNothing, stopPair } from '../fixtures/pair.ts'
import type { Pair } from '../fixtures/pair.ts'
import type { StreamMiddleware } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

const PROTOCOL = '/protocol/1.0.0'
const ERROR = new Error('Thrown on purpose')

/** The ways in which a middleware can let a stream down */
const BROKEN: Record<string, StreamMiddleware> = {
  throws: () => { throw ERROR },

  rejects: async () => { throw ERROR },

  'aborts the stream and throws': stream => {
    stream.abort(ERROR)

    throw ERROR
  },

  'aborts the stream and goes on': (stream, connection, next) => {
    stream.abort(ERROR)
    next(stream, connection)
  },

  'aborts the stream and stops there': stream => { stream.abort(ERROR) },

  'aborts the connection': (_, connection) => {
    connection.abort(ERROR)

    throw ERROR
  }
}

describe('the registrar', () => {
  let pair: Pair

  beforeEach(async () => {
    pair = await createPair()
    await pair.listener.node.handle(PROTOCOL, () => {})
  })

  afterEach(async () => {
    await stopPair(pair)
  })

  async function expectEndsWithConnection (): Promise<void> {
    for (const { node } of [pair.dialer, pair.listener]) {
      await eventually(() => managerOf(node).stat().system.inboundStreams + managerOf(node).stat().system.outboundStreams === 0)
    }

    await pair.dialer.connection.close()
    await expectPairHoldsNothing(pair)
  }

  for (const [name, handler] of Object.entries({
    throws: () => { throw ERROR },
    rejects: async () => { throw ERROR }
  })) {
    it(`gives back the stream of a handler that ${name}`, async () => {
      await pair.listener.node.handle('/broken/1.0.0', handler)

      const stream = await pair.dialer.connection.newStream('/broken/1.0.0')
      await eventually(() => stream.status === 'reset')

      await expectOnlyConnection(pair)
    })
  }

  for (const [name, middleware] of Object.entries(BROKEN)) {
    it(`gives back the stream of an inbound middleware that ${name}`, async () => {
      let calls = 0
      pair.listener.node.use(PROTOCOL, (stream, connection, next) => {
        calls++

        return middleware(stream, connection, next)
      })

      await pair.dialer.connection.newStream(PROTOCOL).catch(() => {})
      await eventually(() => calls === 1)

      await expectEndsWithConnection()
    })

    it(`gives back the stream of an outbound middleware that ${name}`, async () => {
      let calls = 0
      pair.dialer.node.use(PROTOCOL, (stream, connection, next) => {
        calls++

        return middleware(stream, connection, next)
      })

      // the promise of a stream whose middleware does nothing more is never settled
      pair.dialer.connection.newStream(PROTOCOL).catch(() => {})
      await eventually(() => calls === 1)

      await expectEndsWithConnection()
    })
  }

  it('runs the middleware of the user, in and out, in their order and after ours', async () => {
    const calls: string[] = []
    const record = (name: string, pairEnd: 'dialer' | 'listener'): StreamMiddleware => (stream, connection, next) => {
      const scope = managerOf(pair[pairEnd].node).streamScope(stream)
      calls.push(`${name} ${stream.direction} ${scope?.protocolScope?.protocol}`)
      next(stream, connection)
    }

    pair.dialer.node.use(PROTOCOL, [record('first', 'dialer'), record('second', 'dialer')])
    pair.listener.node.use(PROTOCOL, [record('first', 'listener'), record('second', 'listener')])

    const stream = await pair.dialer.connection.newStream(PROTOCOL)
    await eventually(() => calls.length === 4)

    expect(calls.filter(call => call.includes('outbound'))).to.deep.equal([
      `first outbound ${PROTOCOL}`,
      `second outbound ${PROTOCOL}`
    ])
    expect(calls.filter(call => call.includes('inbound'))).to.deep.equal([
      `first inbound ${PROTOCOL}`,
      `second inbound ${PROTOCOL}`
    ])

    stream.abort(ERROR)
    await expectOnlyConnection(pair)
  })

  it('does not gather middleware or handlers stream by stream', async () => {
    const calls: string[] = []
    const use: StreamMiddleware[] = [(stream, connection, next) => {
      calls.push('middleware')
      next(stream, connection)
    }]
    pair.listener.node.use(PROTOCOL, use)
    await pair.listener.node.handle(PROTOCOL, stream => {
      calls.push('handler')
      stream.abort(ERROR)
    }, { force: true })

    const registrar: Registrar = (pair.listener.node as any).components.registrar

    for (let i = 1; i <= 5; i++) {
      await pair.dialer.connection.newStream(PROTOCOL).catch(() => {})
      await eventually(() => calls.length === 2 * i)

      expect(registrar.getMiddleware(PROTOCOL)).to.have.lengthOf(2)
      // what the user gave is the user's
      expect(use).to.have.lengthOf(1)
    }

    // js-libp2p hands a stream to what it once pushed
    expect(calls).to.deep.equal(Array.from({ length: 5 }, () => ['middleware', 'handler']).flat())
    await expectOnlyConnection(pair)
  })

  it('returns a fresh array of middleware every time', () => {
    const registrar: Registrar = (pair.listener.node as any).components.registrar
    const middleware = registrar.getMiddleware(PROTOCOL)
    middleware.push(() => {})

    expect(registrar.getMiddleware(PROTOCOL)).to.have.lengthOf(1)
    expect(registrar.getMiddleware('/another')).to.have.lengthOf(1)
  })
})
