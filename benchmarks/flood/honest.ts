/**
 * @file Child process: an honest client. It connects before the attacks and
 * pings and echoes at a steady pace, or reconnects now and then.
 */

import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Parent } from '../child.ts'
import { exchange } from '../exchange.ts'
import { ECHO, PING } from './plan.ts'
import type { ChildOptions, FromChild, ToChild } from './messages.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

const parent = new Parent<ChildOptions, ToChild, FromChild>()
const { role, plan } = parent.options

const PING_SIZE = 32
const ECHO_SIZE = 4096

const node = await createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionManager: { reconnectRetries: 0 }
})
const pending = new Set<Promise<void>>()
let target: Multiaddr
let timer: ReturnType<typeof setInterval>
let count = 0

parent.onMessage(async message => {
  switch (message.type) {
    case 'target':
      target = multiaddr(message.address)
      await (role === 'steady' ? request() : reconnect())
      parent.tell({ type: 'ready' })
      break
    case 'start':
      timer = role === 'steady'
        ? setInterval(() => { measure(request) }, plan.requestInterval)
        // one at a time: a second dial to a peer would wait for the first
        : setInterval(() => { pending.size === 0 && measure(reconnect) }, plan.reconnectInterval)
      break
    case 'finish':
      clearInterval(timer)
      await Promise.all(pending)
      parent.tell({ type: 'finished' })
      break
    default:
  }
})

/**
 * Requests begin at their time even if earlier ones are not answered yet, so a
 * node that stalls is seen to stall all of them
 */
function measure (task: () => Promise<void>): void {
  const at = Date.now()
  const start = performance.now()
  const done = (error?: string): void => {
    parent.tell({ type: 'request', role: role === 'steady' ? 'steady' : 'reconnect', at, milliseconds: performance.now() - start, error })
  }

  const result = task().then(
    () => { done() },
    err => { done(`${err.name}: ${err.message}`) }
  )

  pending.add(result)
  void result.then(() => { pending.delete(result) })
}

/**
 * A ping or an echo, in turn, each on a stream of its own. Dials again if the
 * connection has been lost.
 */
async function request (): Promise<void> {
  const signal = AbortSignal.timeout(plan.requestTimeout)
  const [protocol, size] = count++ % 2 === 0 ? [PING, PING_SIZE] : [ECHO, ECHO_SIZE]
  const stream = await node.dialProtocol(target, protocol, { signal, maxOutboundStreams: 1000 })

  await exchange(stream, size, signal)
}

async function reconnect (): Promise<void> {
  const signal = AbortSignal.timeout(plan.requestTimeout)
  const connection = await node.dial(target, { signal, force: true })

  try {
    await exchange(await connection.newStream(PING, { signal }), PING_SIZE, signal)
  } finally {
    await connection.close().catch(err => { connection.abort(err) })
  }
}
