import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { connect, createNode, eventually, expectNothingHeld, managerOf, stopAll, TRANSPORTS } from '../fixtures/nodes.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { ConnectionEncrypter, ConnectionGater, MultiaddrConnection, StreamMuxerFactory } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'

type GaterMethod = 'denyInboundConnection' | 'denyOutboundConnection' |
  'denyInboundEncryptedConnection' | 'denyOutboundEncryptedConnection' |
  'denyInboundUpgradedConnection' | 'denyOutboundUpgradedConnection'

const GATER_METHODS: GaterMethod[] = [
  'denyInboundConnection',
  'denyOutboundConnection',
  'denyInboundEncryptedConnection',
  'denyOutboundEncryptedConnection',
  'denyInboundUpgradedConnection',
  'denyOutboundUpgradedConnection'
]

/**
 * What a gater may do with a connection, and what the upgrade may end like
 */
const DECISIONS: Record<string, (maConn: MultiaddrConnection) => Promise<boolean>> = {
  'denies it': async () => true,

  throws: async () => { throw new Error('Gater is broken') },

  'aborts it': async maConn => {
    maConn.abort(new Error('Aborted by gater'))

    return false
  },

  // js-libp2p 3.3 makes a muxer for a connection that was closed gracefully and
  // let pass, which throws outside of any promise
  'closes and denies it': async maConn => {
    await maConn.close()

    return true
  },

  'closes and denies it and does not wait': async maConn => {
    maConn.close().catch(() => {})

    return true
  }
}

function gater (method: GaterMethod, decide: (maConn: MultiaddrConnection) => Promise<boolean>): ConnectionGater {
  return { [method]: async (...args: any[]) => decide(args[args.length - 1]) }
}

/**
 * An encrypter that fails at one of the points where it can
 */
function brokenEncrypter (method: 'secureInbound' | 'secureOutbound', fail: (secure: () => Promise<any>) => any): (components: any) => ConnectionEncrypter {
  return components => {
    const encrypter: any = noise()(components)
    const secure = encrypter[method].bind(encrypter)
    encrypter[method] = (...args: any[]) => fail(async () => secure(...args))

    return encrypter
  }
}

function brokenMuxer (direction: 'inbound' | 'outbound', fail: (create: () => any) => any): () => StreamMuxerFactory {
  return () => {
    const factory: any = yamux({ enableKeepAlive: false })()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection: any) => {
      return connection.direction === direction ? fail(() => create(connection)) : create(connection)
    }

    return factory
  }
}

const ERROR = new Error('Broken on purpose')

describe('an upgrade that fails', () => {
  let dialer: TestNode
  let listener: TestNode

  afterEach(async () => {
    await stopAll(dialer, listener)
  })

  /**
   * Dials between two nodes, one of which has special options. The dialer may
   * have finished before the listener turns it away, so whatever comes of the
   * dial, both must be left with nothing, and the next one must work.
   */
  async function expectLeavesNothing (transport: keyof typeof TRANSPORTS, side: 'inbound' | 'outbound', options: Libp2pOptions<any>, asked: () => number): Promise<void> {
    // js-libp2p 3.3 never stops the timer of a muxer whose connection was dead
    // before it was made
    const streamMuxers = [yamux({ enableKeepAlive: false })]
    dialer = await createNode({ transport, options: side === 'outbound' ? { streamMuxers, ...options } : { streamMuxers } })
    listener = await createNode({ transport, options: side === 'inbound' ? { streamMuxers, ...options } : { streamMuxers } })

    await connect(dialer, listener).catch(() => {})
    await eventually(() => asked() === 1)

    await expectNothingHeld(managerOf(dialer))
    await expectNothingHeld(managerOf(listener))
  }

  for (const transport of Object.keys(TRANSPORTS) as Array<keyof typeof TRANSPORTS>) {
    for (const method of GATER_METHODS) {
      for (const [name, decide] of Object.entries(DECISIONS)) {
        it(`because ${method} ${name}, over ${transport}`, async () => {
          let asked = 0

          await expectLeavesNothing(transport, method.includes('Inbound') ? 'inbound' : 'outbound', {
            connectionGater: gater(method, async maConn => {
              asked++

              return decide(maConn)
            })
          }, () => asked)
        })
      }
    }

    for (const side of ['inbound', 'outbound'] as const) {
      const method = side === 'inbound' ? 'secureInbound' : 'secureOutbound'

      for (const [name, fail] of Object.entries({
        'throws at once': () => { throw ERROR },
        'rejects before the handshake': async () => { throw ERROR },
        'rejects after the handshake': async (secure: () => Promise<any>) => {
          await secure()

          throw ERROR
        }
      })) {
        it(`because the encrypter of the ${side} side ${name}, over ${transport}`, async () => {
          let asked = 0

          await expectLeavesNothing(transport, side, {
            connectionEncrypters: [brokenEncrypter(method, secure => {
              asked++

              return fail(secure)
            })]
          }, () => asked)
        })
      }

      for (const [name, fail] of Object.entries({
        'throws at once': () => { throw ERROR },
        'throws when it has made the muxer': (create: () => any) => {
          create()

          throw ERROR
        }
      })) {
        it(`because the muxer factory of the ${side} side ${name}, over ${transport}`, async () => {
          let asked = 0

          await expectLeavesNothing(transport, side, {
            streamMuxers: [brokenMuxer(side, create => {
              asked++

              return fail(create)
            })]
          }, () => asked)
        })
      }
    }
  }

  for (const side of ['inbound', 'outbound'] as const) {
    it(`makes no muxer for an ${side} connection that is gone when its peer is known`, async () => {
      let muxers = 0

      // js-libp2p 3.3 would make one, whose timer and tables then live on
      await expectLeavesNothing('memory', side, {
        connectionGater: gater(side === 'inbound' ? 'denyInboundEncryptedConnection' : 'denyOutboundEncryptedConnection', DECISIONS['aborts it']),
        streamMuxers: [brokenMuxer(side, create => {
          muxers++

          return create()
        })]
      }, () => 1)

      expect(muxers).to.equal(0)
    })
  }

  it('or does not, when the gater lets it pass', async () => {
    const asked: string[] = []
    const connectionGater = Object.assign({}, ...GATER_METHODS.map(method => gater(method, async () => {
      asked.push(method)

      return false
    })))

    dialer = await createNode({ options: { connectionGater } })
    listener = await createNode({ options: { connectionGater } })
    const connection = await connect(dialer, listener)
    await eventually(() => listener.getConnections().length === 1)

    expect([...asked].sort()).to.deep.equal([...GATER_METHODS].sort())
    expect(managerOf(dialer).stat().system.outboundConnections).to.equal(1)
    expect(managerOf(listener).stat().system.inboundConnections).to.equal(1)

    await connection.close()
    await expectNothingHeld(managerOf(dialer))
    await expectNothingHeld(managerOf(listener))
  })
})
