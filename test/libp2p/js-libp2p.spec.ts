/* eslint-disable no-loop-func */

/**
 * @file What the hooks rely on in js-libp2p beyond what it documents. The nodes
 * here have no resource manager: when one of these tests fails, js-libp2p has
 * changed, and the hooks have to.
 */

import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { eventually, MUXERS, nodeOptions, stopAll, TRANSPORTS } from '../fixtures/nodes.ts'
import { HELD } from '../fixtures/pair.ts'
import { pattern, settle, WINDOW } from '../fixtures/transfer.ts'
import type { NodeInit } from '../fixtures/nodes.ts'
import type { Connection, Libp2p, MultiaddrConnection, Stream } from '@libp2p/interface'

describe('js-libp2p', () => {
  let dialer: Libp2p<any>
  let listener: Libp2p<any>
  let connection: Connection

  /** What the listener's handler got */
  let streams: Stream[]

  /** What was handed to the upgrader, and with which options */
  let upgrades: Array<{ node: Libp2p<any>, maConn: MultiaddrConnection, options: any }>

  async function startNode (init: NodeInit): Promise<Libp2p<any>> {
    const node = await createLibp2p(nodeOptions(init))
    const { upgrader } = (node as any).components

    for (const method of ['upgradeInbound', 'upgradeOutbound']) {
      const original = upgrader[method].bind(upgrader)
      upgrader[method] = async (maConn: MultiaddrConnection, options: any) => {
        upgrades.push({ node, maConn, options })

        return original(maConn, options)
      }
    }

    return node
  }

  async function start (init: NodeInit = {}): Promise<void> {
    upgrades = []
    streams = []
    dialer = await startNode(init)
    listener = await startNode(init)
    await listener.handle(HELD, stream => { streams.push(stream) })
    connection = await dialer.dial(listener.getMultiaddrs())
    await eventually(() => listener.getConnections().length === 1)
  }

  async function openHeld (): Promise<{ out: Stream, unread: Stream }> {
    const out = await connection.newStream(HELD)
    await eventually(() => streams.length === 1)

    return { out, unread: streams[0] }
  }

  /** Counts how often js-libp2p asks for a property of a stream */
  function watch (stream: Stream, property: 'maxReadBufferLength' | 'maxWriteBufferLength', length: () => number): number[] {
    const seen: number[] = []

    Object.defineProperty(stream, property, {
      configurable: true,
      get: () => {
        seen.push(length())

        return Infinity
      }
    })

    return seen
  }

  afterEach(async () => {
    await stopAll(dialer, listener)
  })

  for (const transport of Object.keys(TRANSPORTS) as Array<keyof typeof TRANSPORTS>) {
    it(`gives a connection the timeline of its raw connection, over ${transport}`, async () => {
      await start({ transport })

      const outbound = upgrades.find(({ node }) => node === dialer)
      const inbound = upgrades.find(({ node }) => node === listener)
      expect(connection.timeline).to.equal(outbound?.maConn.timeline)
      expect(listener.getConnections()[0].timeline).to.equal(inbound?.maConn.timeline)
    })

    it(`hands the options of a dial on to the upgrader, or the very address, over ${transport}`, async () => {
      await start({ transport })
      await connection.close()
      upgrades = []
      const symbol = Symbol('of the dial')
      const address = multiaddr(listener.getMultiaddrs()[0].toString())

      await (dialer as any).components.transportManager.dial(address, { [symbol]: 'value', signal: AbortSignal.timeout(10_000) })

      const upgrade = upgrades.find(({ node }) => node === dialer)
      expect(upgrade?.options[symbol] === 'value' || upgrade?.maConn.remoteAddr === address).to.be.true()
      expect(upgrade?.maConn.remoteAddr.equals(address)).to.be.true()
    })

    it(`asks the gater about the raw connection that the upgrader was given, over ${transport}`, async () => {
      const asked: MultiaddrConnection[] = []
      const gate = async (_: any, maConn: MultiaddrConnection): Promise<boolean> => {
        asked.push(maConn)

        return false
      }
      await start({ transport, options: { connectionGater: { denyInboundEncryptedConnection: gate, denyOutboundEncryptedConnection: gate } } })

      // same objects in any order
      expect(asked).to.have.lengthOf(2)
      expect(upgrades.every(({ maConn }) => asked.includes(maConn))).to.be.true()
    })
  }

  for (const muxer of Object.keys(MUXERS) as Array<keyof typeof MUXERS>) {
    it(`asks for maxReadBufferLength whenever unread data has grown, with ${muxer}`, async () => {
      await start({ muxer })
      const { out, unread } = await openHeld()
      const seen = watch(unread, 'maxReadBufferLength', () => unread.readBufferLength)

      for (let i = 1; i <= 3; i++) {
        out.send(pattern(1_000))
        await eventually(() => unread.readBufferLength === i * 1_000)
        expect(seen).to.include(i * 1_000)
      }

      unread.pause()
      out.send(pattern(1_000))
      await eventually(() => unread.readBufferLength === 4_000)
      expect(seen).to.include(4_000)
      unread.resume()

      // and when it has shrunk
      unread.addEventListener('message', () => {})
      await eventually(() => seen[seen.length - 1] === 0)
    })

    it(`asks for maxReadBufferLength when data is put back, with ${muxer}`, async () => {
      await start({ muxer })
      const { unread } = await openHeld()
      const seen = watch(unread, 'maxReadBufferLength', () => unread.readBufferLength)

      unread.push(pattern(10))
      unread.unshift(pattern(10))
      expect(seen).to.deep.equal([10, 20])
    })

    it(`asks for maxWriteBufferLength whenever unsent data has grown, with ${muxer}`, async () => {
      await start({ muxer })
      const { out } = await openHeld()
      const seen = watch(out, 'maxWriteBufferLength', () => out.writeBufferLength)

      // as if nothing more could be sent now
      out.writableNeedsDrain = true

      for (let i = 1; i <= 3; i++) {
        out.send(pattern(1_000))
        expect(seen[seen.length - 1]).to.equal(i * 1_000)
      }
    })

    it(`says when a write buffer is empty, with ${muxer}`, async () => {
      await start({ muxer })
      const { out, unread } = await openHeld()
      let idle = 0
      out.addEventListener('idle', () => { idle++ })
      unread.addEventListener('message', () => {})

      out.writableNeedsDrain = true
      out.send(pattern(1_000))
      expect(idle).to.equal(0)

      out.dispatchEvent(new Event('drain'))
      await eventually(() => out.writeBufferLength === 0)
      expect(idle).to.be.greaterThan(0)
    })

    it(`holds streams back until somebody listens to the muxer, with ${muxer}`, async () => {
      let early: Stream[] | undefined
      const ready = Promise.withResolvers<boolean>()
      await start({ muxer })

      const { upgrader, connectionGater } = (listener as any).components
      connectionGater.denyInboundUpgradedConnection = async () => ready.promise
      const factory = upgrader.getStreamMuxers().values().next().value
      const create = factory.createStreamMuxer.bind(factory)
      factory.createStreamMuxer = (stream: any) => {
        const muxer = create(stream)
        early = muxer.streams

        return muxer
      }

      const second = await dialer.dial(listener.getMultiaddrs(), { force: true })
      const opening = second.newStream(HELD)
      await eventually(() => early?.length === 1)
      expect(streams).to.be.empty()

      ready.resolve(false)
      await opening
      await eventually(() => streams.length === 1)
    })
  }

  it('tells yamux streams to pause and resume by methods of their own', async () => {
    await start()
    const { out, unread } = await openHeld()
    const stream: any = unread
    expect(stream.sendPause).to.be.a('function')
    expect(stream.sendResume).to.be.a('function')
    expect(unread.readStatus).to.equal('readable')

    stream.sendPause()
    out.send(pattern(4 * WINDOW))
    await settle({ sender: dialer, node: listener as any })
    expect(unread.readBufferLength).to.equal(WINDOW)

    // js-libp2p itself still emits what comes
    let received = 0
    unread.addEventListener('message', ({ data }) => { received += data.byteLength })
    await eventually(() => received === WINDOW)
    await settle({ sender: dialer, node: listener as any })
    expect(received).to.equal(WINDOW)

    stream.sendResume()
    await eventually(() => received === 4 * WINDOW)
  })

  it('uses the encrypters and muxers that are put into its maps', async () => {
    upgrades = []
    dialer = await startNode({ encrypter: 'plaintext' })
    listener = await startNode({ encrypter: 'plaintext' })
    const used: string[] = []

    for (const map of [(dialer as any).components.upgrader.getConnectionEncrypters(), (dialer as any).components.upgrader.getStreamMuxers()]) {
      for (const [protocol, original] of map) {
        map.set(protocol, new Proxy(original, {
          get: (target, property) => {
            used.push(String(property))
            const value = Reflect.get(target, property)

            return typeof value === 'function' ? value.bind(target) : value
          }
        }))
      }
    }

    await dialer.dial(listener.getMultiaddrs())
    expect(used).to.include.members(['secureOutbound', 'createStreamMuxer'])
  })

  it('runs the middleware of a protocol on streams in both directions, and rejects with what it throws', async () => {
    await start()
    const error = new Error('Thrown on purpose')
    const { registrar } = (dialer as any).components
    registrar.getMiddleware = () => [() => { throw error }]

    const err = await connection.newStream(HELD).catch(err => err)
    expect(err).to.equal(error)
    await eventually(() => connection.streams.length === 0)
  })

  it('looks its components up when it needs them', async () => {
    await start()
    const { components } = dialer as any
    await connection.close()

    components.connectionGater = { denyOutboundEncryptedConnection: () => true }
    await expect(dialer.dial(listener.getMultiaddrs())).to.eventually.be.rejected()
      .with.property('name', 'ConnectionInterceptedError')
  })
})
