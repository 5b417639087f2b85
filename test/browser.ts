/* eslint-disable no-loop-func */

/**
 * @file What there is in browsers only: nodes in a page or a web worker that talk
 * to a Node.js node over WebSockets, and to each other over WebRTC, which needs a
 * page; and the bundle that is published.
 */

import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { webRTC } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { isWebWorker } from 'aegir/env'
import { isResourceLimitExceeded } from '../src/index.ts'
import { systemResources } from '../src/limits/system-resources.ts'
import { createNode, eventually, expectNothingHeld, managerOf, stopAll } from './fixtures/nodes.ts'
import { ECHO } from './fixtures/pair.ts'
import type { Limits, ResourceLimitExceededError } from '../src/index.ts'
import type { TestNode } from './fixtures/nodes.ts'
import type { Connection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/** See .aegir.js */
const RELAY = multiaddr(process.env.RELAY ?? '')

const nodes: TestNode[] = []

async function start (limits?: Limits, listen: string[] = []): Promise<TestNode> {
  const node = await createNode({
    limits,
    options: {
      addresses: { listen },
      transports: [webSockets(), ...isWebWorker ? [] : [circuitRelayTransport(), webRTC({ rtcConfiguration: { iceServers: [] } })]],
      // in browsers js-libp2p dials neither loopback nor plain WebSockets by default
      connectionGater: { denyDialMultiaddr: () => false },
      services: { identify: identify() }
    }
  })
  nodes.push(node)

  return node
}

/** All that a node refuses from now on */
function refusalsOf (node: TestNode): ResourceLimitExceededError[] {
  const refusals: ResourceLimitExceededError[] = []
  managerOf(node).addEventListener('blocked', ({ detail }) => { refusals.push(detail) })

  return refusals
}

/**
 * js-libp2p 3.3 waits for the first channel of a dialer to open, then to close.
 * When the remote has closed it before, it waits without end: 9 of 240 dials did
 * so, with and without a resource manager.
 */
function tellLate (channel: RTCDataChannel): RTCDataChannel {
  const addEventListener = channel.addEventListener

  channel.addEventListener = (...args: [string, any, any?]) => {
    Reflect.apply(addEventListener, channel, args)
    const [type] = args

    if (channel.label === 'init' && ((type === 'open' && channel.readyState !== 'connecting') || (type === 'close' && channel.readyState === 'closed'))) {
      queueMicrotask(() => { channel.dispatchEvent(new Event(type)) })
    }
  }

  return channel
}

async function expectEchoes (stream: Stream): Promise<void> {
  const received: number[] = []
  stream.addEventListener('message', ({ data }) => { received.push(...data.subarray()) })
  stream.send(Uint8Array.from([1, 2, 3]))

  await eventually(() => received.length === 3)
  expect(received).to.deep.equal([1, 2, 3])
}

async function expectStopsWithNothingHeld (): Promise<void> {
  const stopped = nodes.splice(0)
  await stopAll(...stopped)

  for (const node of stopped) {
    await expectNothingHeld(managerOf(node))
  }
}

afterEach(async () => {
  await stopAll(...nodes.splice(0))
})

describe('a node in a browser, over WebSockets', () => {
  /** Sockets that have been made since the test began */
  let sockets: WebSocket[]
  const { WebSocket } = globalThis

  beforeEach(() => {
    sockets = []
    globalThis.WebSocket = class extends WebSocket {
      constructor (...args: ConstructorParameters<typeof WebSocket>) {
        super(...args)
        sockets.push(this)
      }
    }
  })

  afterEach(() => {
    globalThis.WebSocket = WebSocket
  })

  it('counts its connection and its streams, and gives everything back', async () => {
    const node = await start()
    const refusals = refusalsOf(node)
    const connection = await node.dial(RELAY)
    const stream = await connection.newStream(ECHO)
    await expectEchoes(stream)

    expect(managerOf(node).stat().system).to.include({ outboundConnections: 1, inboundConnections: 0, fileDescriptors: 1 })
    expect(managerOf(node).stat().peers.get(`${connection.remotePeer}`)).to.include({ outboundConnections: 1, inboundConnections: 0 })
    expect(managerOf(node).stat().protocols.get(ECHO)).to.include({ outboundStreams: 1 })
    expect(managerOf(node).streamScope(stream)?.protocolScope?.protocol).to.equal(ECHO)
    expect(sockets).to.have.lengthOf(1)

    await stream.close()
    await eventually(() => managerOf(node).stat().protocols.get(ECHO)?.outboundStreams === 0)
    await connection.close()
    await expectNothingHeld(managerOf(node))
    await eventually(() => sockets[0].readyState === WebSocket.CLOSED)
    expect(refusals).to.be.empty()
  })

  it('opens no socket for a connection over the limit', async () => {
    const node = await start({ system: { outboundConnections: 0 } })

    const err = await node.dial(RELAY).catch(err => err)
    expect(isResourceLimitExceeded(err)).to.be.true()
    expect(sockets).to.be.empty()
    await expectNothingHeld(managerOf(node))
  })

  it('leaves no socket open when the limit of the peer refuses a connection', async () => {
    const node = await start({ peerDefault: { connections: 0 } })

    const err = await node.dial(RELAY).catch(err => err)
    expect(isResourceLimitExceeded(err)).to.be.true()
    expect(sockets).to.have.lengthOf(1)
    await expectNothingHeld(managerOf(node))
    await eventually(() => sockets[0].readyState === WebSocket.CLOSED)
  })

  it('is refused a stream over the limit, and has room again when one has closed', async () => {
    const node = await start({ protocols: { [ECHO]: { outboundStreams: 1 } } })
    const connection = await node.dial(RELAY)
    const first = await connection.newStream(ECHO)

    await expect(connection.newStream(ECHO)).to.eventually.be.rejected()
      .that.include({ name: 'ResourceLimitExceededError', scope: `protocol:${ECHO}`, resource: 'outboundStreams' })
    await expectEchoes(first)

    await first.close()
    await eventually(() => managerOf(node).stat().protocols.get(ECHO)?.outboundStreams === 0)
    await expectEchoes(await connection.newStream(ECHO))

    await expectStopsWithNothingHeld()
  })
})

// there is no RTCPeerConnection in web workers
;(isWebWorker ? describe.skip : describe)('two nodes in a page, over WebRTC', () => {
  /** That of the dialer, which makes an offer, then that of the listener, which answers */
  const peerConnections = new Set<RTCPeerConnection>()
  const prototype = globalThis.RTCPeerConnection?.prototype
  const setLocalDescription = prototype?.setLocalDescription
  const createDataChannel = prototype?.createDataChannel

  before(() => {
    // the transport has taken the constructor by now
    prototype.setLocalDescription = async function (this: RTCPeerConnection, ...args: any[]) {
      peerConnections.add(this)

      return Reflect.apply(setLocalDescription, this, args)
    }

    prototype.createDataChannel = function (this: RTCPeerConnection, ...args: any[]) {
      return tellLate(Reflect.apply(createDataChannel, this, args))
    }
  })

  after(() => {
    Object.assign(prototype, { setLocalDescription, createDataChannel })
  })

  let dialer: TestNode
  let listener: TestNode

  /** Where the listener can be reached through the relay, over WebRTC or not */
  function addresses (overWebRTC: boolean): Multiaddr[] {
    return listener.getMultiaddrs().filter(address => address.getComponents().some(({ name }) => name === 'webrtc') === overWebRTC)
  }

  /** Two nodes with a connection through the relay */
  async function startPair ({ dialerLimits, listenerLimits }: { dialerLimits?: Limits, listenerLimits?: Limits } = {}): Promise<void> {
    peerConnections.clear()
    dialer = await start(dialerLimits)
    listener = await start(listenerLimits, ['/webrtc', `${RELAY}/p2p-circuit`])
    await eventually(() => addresses(true).length > 0)
    await dialer.dial(addresses(false))
    await eventually(() => listener.getConnections(dialer.peerId).length === 1)
  }

  async function dial (): Promise<Connection> {
    return dialer.dial(addresses(true), { force: true })
  }

  /** Chromium tells an end that does nothing of it only 15 seconds later */
  async function expectClosed (...ends: Array<'dialer' | 'listener'>): Promise<void> {
    const [ofDialer, ofListener] = peerConnections
    await eventually(() => ends.every(end => (end === 'dialer' ? ofDialer : ofListener).connectionState === 'closed'))
  }

  async function expectStopsWithNothingLeft (): Promise<void> {
    await expectStopsWithNothingHeld()
    await expectClosed('dialer', 'listener')
  }

  it('count the relayed connection and the direct one once each, and give everything back', async () => {
    await startPair()
    const connection = await dial()
    expect(connection.limits).to.equal(undefined)
    expect(connection.multiplexer).to.equal('/webrtc')
    await eventually(() => listener.getConnections(dialer.peerId).length === 2)

    expect(managerOf(dialer).stat().peers.get(`${listener.peerId}`)).to.include({ outboundConnections: 2, inboundConnections: 0 })
    expect(managerOf(listener).stat().peers.get(`${dialer.peerId}`)).to.include({ outboundConnections: 0, inboundConnections: 2 })
    expect(managerOf(dialer).stat().transient).to.include({ outboundConnections: 0, inboundConnections: 0 })

    const stream = await connection.newStream(ECHO)
    await expectEchoes(stream)
    expect(managerOf(dialer).streamScope(stream)?.protocolScope?.protocol).to.equal(ECHO)
    expect(managerOf(dialer).stat().protocols.get(ECHO)).to.include({ outboundStreams: 1, inboundStreams: 0 })
    expect(managerOf(listener).stat().protocols.get(ECHO)).to.include({ outboundStreams: 0, inboundStreams: 1 })

    await connection.close()
    await eventually(() => managerOf(dialer).stat().peers.get(`${listener.peerId}`)?.outboundConnections === 1)
    expect(managerOf(dialer).stat().protocols.get(ECHO)?.outboundStreams).to.equal(0)
    await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 0)

    await Promise.all(listener.getConnections(dialer.peerId).map(async connection => connection.close()))
    await expectClosed('dialer', 'listener')
    await eventually(() => managerOf(listener).stat().peers.get(`${dialer.peerId}`)?.inboundConnections === 0)
    await expectStopsWithNothingLeft()
  })

  it('are refused a connection over the limit of the dialer', async () => {
    // the relayed one is there already
    await startPair({ dialerLimits: { peerDefault: { outboundConnections: 1 } } })
    const others = managerOf(dialer).stat().system.outboundConnections

    const err = await dial().catch(err => err)
    expect(isResourceLimitExceeded(err)).to.be.true()

    await eventually(() => managerOf(dialer).stat().system.outboundConnections === others)
    await expectClosed('dialer')
    await expectStopsWithNothingLeft()
  })

  it('are refused a connection over the limit of the listener', async () => {
    await startPair({ listenerLimits: { peerDefault: { inboundConnections: 1 } } })
    const refusals = refusalsOf(listener)

    // the dialer may have finished before the listener hangs up
    await dial().catch(() => {})
    await eventually(() => refusals.length > 0)
    expect(refusals[0]).to.include({ scope: `peer:${dialer.peerId}`, resource: 'inboundConnections' })

    await eventually(() => managerOf(listener).stat().system.inboundConnections === 1)
    await expectClosed('listener')
    await expectStopsWithNothingLeft()
  })

  for (const side of ['dialer', 'listener'] as const) {
    it(`are refused a stream over the limit of the ${side}, and the others live on`, async () => {
      const limits = { protocols: { [ECHO]: { streams: 1 } } }
      await startPair(side === 'dialer' ? { dialerLimits: limits } : { listenerLimits: limits })
      const refusals = refusalsOf(side === 'dialer' ? dialer : listener)
      const connection = await dial()
      const first = await connection.newStream(ECHO)
      await expectEchoes(first)

      // js-libp2p opens a stream before the remote has answered
      const second = await connection.newStream(ECHO).catch(() => undefined)
      await eventually(() => refusals.length === 1)
      expect(refusals[0]).to.include({ scope: `protocol:${ECHO}`, resource: 'streams' })
      await eventually(() => second?.status !== 'open')

      await expectEchoes(first)
      expect(connection.status).to.equal('open')

      await expectStopsWithNothingLeft()
    })
  }
})

describe('the bundle', () => {
  it('runs where there is nothing of Node.js', async () => {
    // playwright-test gives pages and workers a process, but not what they start
    const worker = new Worker(URL.createObjectURL(new Blob([`
      importScripts(${JSON.stringify(new URL('/dist/index.min.js', location.href))})
      const { createLibp2p } = self.Libp2PResourceManager

      createLibp2p().then(async node => {
        const manager = node.services.resourceManager
        manager.viewSystem(scope => { scope.reserveMemory(1000) })
        const { memory } = manager.stat().system
        await node.stop()
        postMessage({ memory, globals: [typeof process, typeof Buffer, typeof require] })
      }).catch(err => { postMessage({ error: err.stack }) })
    `])))

    try {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      worker.onmessage = ({ data }) => { resolve(data) }
      worker.onerror = ({ message }) => { reject(new Error(message)) }

      expect(await promise).to.deep.equal({ memory: 1000, globals: ['undefined', 'undefined', 'undefined'] })
    } finally {
      worker.terminate()
    }
  })
})

describe('what a browser may use', () => {
  afterEach(() => {
    Reflect.deleteProperty(navigator, 'deviceMemory')
  })

  it('is the memory of the device, and has no file descriptors', () => {
    Object.defineProperty(navigator, 'deviceMemory', { value: 0.5, configurable: true })
    expect(systemResources()).to.deep.equal({ memory: 512 * 1024 * 1024, fileDescriptors: 0 })
  })

  it('is little where the browser does not tell', () => {
    Object.defineProperty(navigator, 'deviceMemory', { value: undefined, configurable: true })
    expect(systemResources()).to.deep.equal({ memory: 2 * 1024 * 1024 * 1024, fileDescriptors: 0 })
  })
})
