/**
 * @file Two nodes whose every step is seen, and what they do together: one dials
 * the other, opens a stream, has a message sent back, and closes.
 */

import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p as createStockLibp2p } from 'libp2p'
import { createLibp2p, resourceManager } from '../../src/index.ts'
import { nodeOptions } from '../fixtures/nodes.ts'
import { portOf } from '../fixtures/sockets.ts'
import { askingFirst } from './asking-first.ts'
import { Tracer } from './tracer.ts'
import { Wire } from './wire.ts'
import type { DefaultResourceManager } from '../../src/index.ts'
import type { NodeInit } from '../fixtures/nodes.ts'
import type { Libp2p, MultiaddrConnection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pOptions } from 'libp2p'

export const PROTOCOL = '/faults/1.0.0'

export const SIDES = ['dialer', 'listener'] as const
export type Side = typeof SIDES[number]

/** What the application does, one after the other */
export const STAGES = ['dial', 'stream', 'message', 'close', 'end'] as const
export type Stage = typeof STAGES[number]

/**
 * How long a connection may take to close before it is aborted. js-libp2p waits in
 * vain for sockets that are destroyed meanwhile.
 */
const CLOSING = 250

export interface PairInit extends NodeInit {
  /** Whether the transport asks before it has a connection */
  asksFirst?: boolean
}

export interface End {
  node: Libp2p<{ resourceManager: DefaultResourceManager }>
  manager: DefaultResourceManager
  tracer: Tracer
  /** The raw connections and the streams of the case at hand */
  maConns: MultiaddrConnection[]
  streams: Stream[]
  /** Everything that should be gone when its connection is, of all cases */
  parts: Array<{ label: string, ref: WeakRef<object> }>
  /** Aborted, ends inbound upgrades */
  accepting: AbortController
  /** Moves the clock of the manager's rates */
  skew: number
}

export class Pair {
  readonly dialer: End
  readonly listener: End
  /** Over TCP there is one */
  readonly wire?: Wire
  /** Aborted, ends what the application does */
  controller = new AbortController()
  /** The nodes that are about to stop */
  stopping: Array<Promise<void>> = []
  readonly patience: number

  private constructor (dialer: End, listener: End, patience: number, wire?: Wire) {
    this.dialer = dialer
    this.listener = listener
    this.patience = patience
    this.wire = wire
  }

  /**
   * `patience` is how long a node waits for the other one, in milliseconds. Not
   * `managed`, they have no resource managers.
   */
  static async create (init: PairInit, patience: number, managed: boolean = true): Promise<Pair> {
    const wire = init.transport === 'memory' ? undefined : await Wire.create()

    return new Pair(await createEnd(init, patience, managed), await createEnd(init, patience, managed), patience, wire)
  }

  get ends (): End[] {
    return [this.dialer, this.listener]
  }

  /**
   * Starts what the case before has stopped
   */
  async start (): Promise<void> {
    await Promise.all(this.stopping)
    this.forget()

    for (const { node } of this.ends) {
      await node.start()
    }

    this.wire?.restore(portOf(this.listener.node))
  }

  /**
   * Lets go of all that the case at hand has made
   */
  forget (): void {
    this.stopping = []
    this.controller = new AbortController()

    for (const end of this.ends) {
      end.tracer.disarm()
      end.maConns = []
      end.streams = []
      end.accepting = new AbortController()
    }
  }

  /**
   * With `ownTimeouts` the application gives no signals, so that nothing but
   * js-libp2p's own timeouts ends what it does. `onMessage` is called when all is
   * open.
   *
   * @returns at which stage it failed
   */
  async run (ownTimeouts: boolean = false, onMessage?: () => void): Promise<Stage> {
    const options = ownTimeouts ? {} : { signal: this.controller.signal }
    let stage: Stage = 'dial'

    await this.dialer.tracer.begin('application', async () => {
      const connection = await this.dialer.node.dial(this.target(), options)
      stage = 'stream'
      const stream = await connection.newStream(PROTOCOL, options)
      stage = 'message'
      await this.exchange(stream, onMessage)
      stage = 'close'
      await connection.close({ signal: AbortSignal.timeout(this.patience) })
      stage = 'end'
    }).catch(() => {})

    return stage
  }

  /**
   * Closes what is open, as an application would that has seen an error
   */
  async hangUp (): Promise<void> {
    await Promise.all(this.ends.flatMap(({ node }) => node.getConnections().map(async connection => {
      try {
        await connection.close({ signal: AbortSignal.timeout(CLOSING) })
      } catch (err: any) {
        connection.abort(err)
      }
    })))
  }

  async stop (): Promise<void> {
    await Promise.all(this.stopping)
    await Promise.all(this.ends.map(async ({ node }) => { await node.stop() }))
    await this.wire?.close()
  }

  private target (): Multiaddr {
    const { node } = this.listener

    return this.wire == null ? node.getMultiaddrs()[0] : multiaddr(`/ip4/127.0.0.1/tcp/${this.wire.port}/p2p/${node.peerId}`)
  }

  private async exchange (stream: Stream, onMessage?: () => void): Promise<void> {
    const signal = AbortSignal.any([this.controller.signal, AbortSignal.timeout(this.patience)])
    const answered = Promise.withResolvers<void>()
    const closed = Promise.withResolvers<void>()
    const ends = Promise.all([answered.promise, closed.promise])
    // it may fail before anybody waits for it
    ends.catch(() => {})

    stream.addEventListener('message', () => { answered.resolve() })
    stream.addEventListener('close', ({ error }) => {
      answered.reject(error ?? new Error('The stream closed without an answer'))
      error == null ? closed.resolve() : closed.reject(error)
    })
    signal.addEventListener('abort', () => {
      answered.reject(signal.reason)
      closed.reject(signal.reason)
    }, { once: true })

    try {
      signal.throwIfAborted()
      stream.send(Uint8Array.of(1, 2, 3))
      await answered.promise
      onMessage?.()
      await stream.close({ signal })
      await ends
    } catch (err: any) {
      stream.abort(err)
      throw err
    }
  }
}

async function createEnd (init: PairInit, patience: number, managed: boolean): Promise<End> {
  const end: any = { maConns: [], streams: [], parts: [], accepting: new AbortController(), skew: 0 }

  end.tracer = new Tracer((label, part) => {
    end.parts.push({ label, ref: new WeakRef(part) })

    if (label === 'maConn') {
      end.maConns.push(part)
    } else if (label === 'stream') {
      end.streams.push(part)
    }
  })

  const options: Libp2pOptions<any> = {
    ...nodeOptions({
      ...init,
      options: {
        // would ping at any time
        connectionMonitor: { enabled: false },
        ...init.options,
        connectionManager: {
          inboundConnectionThreshold: Infinity,
          reconnectRetries: 0,
          addressDialTimeout: patience,
          inboundUpgradeTimeout: patience,
          inboundStreamProtocolNegotiationTimeout: patience,
          outboundStreamProtocolNegotiationTimeout: patience,
          connectionCloseTimeout: CLOSING
        }
      }
    }),
    services: {}
  }

  if (init.asksFirst === true) {
    options.transports = options.transports?.map(transport => askingFirst(transport, end))
  }

  const instrumented = (components: any): any => {
    // before the hooks: what they call is what is looked at
    end.tracer.instrument(components)

    if (managed) {
      end.manager = createManager(components, () => performance.now() + end.skew)
      end.tracer.watch(end.manager, 'manager')
    }

    accept(end, components.upgrader)
    // what is there from the beginning stays
    end.parts.length = 0

    return end.manager ?? {}
  }

  end.node = managed
    ? await createLibp2p<any, any>({ ...options, resourceManager: instrumented })
    : await createStockLibp2p({ ...options, services: { instrumented } })

  await end.node.handle(PROTOCOL, async (stream: Stream) => end.tracer.enter('handler', async () => {
    for await (const data of stream) {
      stream.send(data)
    }

    await stream.close()
  }))
  end.node.use(PROTOCOL, (stream: any, connection: any, next: any) => end.tracer.enter('middleware', async () => { next(stream, connection) }))

  return end
}

function createManager (components: any, now: () => number): DefaultResourceManager {
  const often = { perSecond: 1_000, burst: 1_000 }

  return resourceManager({
    services: { faults: [PROTOCOL] },
    // loopback is not limited by default, and would not be counted
    limits: {
      subnets: { ipv4: { networks: [{ network: '127.0.0.0/8', connections: 100 }] } },
      rates: {
        connections: { ipv4: { networks: [{ network: '127.0.0.0/8', ...often }] } },
        inboundStreamsOfPeer: { default: often },
        inboundStreamsOfProtocol: { default: often }
      }
    },
    now
  })(components)
}

/**
 * Connections come in as events of a transport, which may pass any signal
 */
function accept (end: End, upgrader: any): void {
  const { upgradeInbound } = upgrader

  upgrader.upgradeInbound = async (maConn: MultiaddrConnection, options: any) => end.tracer.begin('accept', async () => {
    const signal = AbortSignal.any([options.signal, end.accepting.signal])

    return upgradeInbound(maConn, { ...options, signal })
  })
}
