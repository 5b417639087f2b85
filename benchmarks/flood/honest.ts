/**
 * @file Child process: an honest client. It connects before the attacks and
 * pings and echoes at a steady pace, or reconnects now and then.
 */

import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { equals } from 'uint8arrays/equals'
import { childOptions, onMessage, tell } from './child.ts'
import { ECHO, PING } from './plan.ts'
import type { Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const { role, plan } = childOptions()

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

onMessage(async message => {
  switch (message.type) {
    case 'target':
      target = multiaddr(message.address)
      await (role === 'steady' ? request() : reconnect())
      tell({ type: 'ready' })
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
      tell({ type: 'finished' })
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
    tell({ type: 'request', role: role === 'steady' ? 'steady' : 'reconnect', at, milliseconds: performance.now() - start, error })
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

/**
 * Both protocols send back what they get
 */
async function exchange (stream: Stream, size: number, signal: AbortSignal): Promise<void> {
  const sent = crypto.getRandomValues(new Uint8Array(size))
  const received = new Uint8Array(size)
  let length = 0
  const answered = Promise.withResolvers<void>()
  // it may come to nothing before anybody waits for it
  answered.promise.catch(() => {})

  stream.addEventListener('message', ({ data }) => {
    if (length + data.byteLength > size) {
      answered.reject(new Error('The answer is longer than what was sent'))
      return
    }

    received.set(data.subarray(), length)
    length += data.byteLength

    if (length === size) {
      answered.resolve()
    }
  })
  stream.addEventListener('close', ({ error }) => { answered.reject(error ?? new Error('The stream closed before the answer was complete')) })
  signal.addEventListener('abort', () => { answered.reject(signal.reason) })

  try {
    stream.send(sent)
    await answered.promise

    if (!equals(received, sent)) {
      throw new Error('The answer is not what was sent')
    }
  } catch (err: any) {
    stream.abort(err)
    throw err
  }

  stream.close().catch(err => { stream.abort(err) })
}
