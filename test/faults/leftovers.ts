/**
 * @file What is left of a connection when it is over, and should not be.
 */

import { PendingDials } from '../../src/libp2p/transport-manager.ts'
import { dropUnread, eventually, held } from '../fixtures/nodes.ts'
import { ourListeners } from './ours.ts'
import { currentTracer } from './tracer.ts'
import type { End, Pair } from './pair.ts'
import type { Tracer } from './tracer.ts'

/** After which rate limits keep nothing, in milliseconds */
const LONG = 10 * 60_000

/** What a listener for it waits for comes to an end with the object */
const ENDING = ['close', 'message', 'remoteCloseWrite']

/**
 * Whoever reserves memory for a buffer listens for it to shrink, for as long as
 * the object is there: it is garbage once it has ended. One each is enough.
 */
const SHRINKING = ['end', 'idle', 'drain']

/** Streams, and the forms that a connection takes */
const BUFFERED = ['maConn', 'protected', 'encrypted', 'stream']

/** By whose node it was that dialled */
const pendingDials = new WeakMap<Tracer, Set<PendingDials>>()

// nobody else gets hold of them
const { add } = PendingDials.prototype

PendingDials.prototype.add = function (...args) {
  const tracer = currentTracer()

  if (tracer != null) {
    pendingDials.set(tracer, (pendingDials.get(tracer) ?? new Set()).add(this))
  }

  return add.apply(this, args)
}

/**
 * Closes what is open, and names everything that is there all the same
 */
export async function leftovers (pair: Pair): Promise<string[]> {
  // objects close a moment after they were told to, and a dial that nobody waits
  // for any more may still come to a connection
  await eventually(async () => {
    await pair.hangUp()
    dropUnread(...pair.ends.flatMap(({ streams }) => streams))

    return remains(pair).length === 0
  }).catch(() => {})

  return remains(pair)
}

/**
 * All that is there now and will not be when no connection is
 */
export function remains (pair: Pair): string[] {
  const left = [
    ...remainsOf(pair.dialer).map(name => `dialer: ${name}`),
    ...remainsOf(pair.listener).map(name => `listener: ${name}`)
  ]

  if (ourListeners(pair.controller.signal, 'abort') > 0) {
    left.push('a listener on the signal of the application')
  }

  if (pair.wire != null && pair.wire.open > 0) {
    left.push('a socket')
  }

  return left
}

function remainsOf (end: End): string[] {
  const { manager, node, tracer, maConns, streams } = end
  const left = Object.entries(held(manager)).map(([scope, stat]) => `${scope} ${JSON.stringify(stat)}`)

  // named scopes outlive their use until they are collected
  manager.removeUnusedScopes()
  const stats = manager.stat()

  left.push(
    ...[...stats.peers.keys()].map(peer => `a scope of peer ${peer}`),
    ...[...stats.protocols.keys()].map(protocol => `a scope of protocol ${protocol}`),
    ...perPeer(stats.servicePeers),
    ...perPeer(stats.protocolPeers)
  )

  for (const { unclaimed } of (pendingDials.get(tracer) ?? []) as any) {
    if (unclaimed.size > 0) {
      left.push('a pending dial')
    }
  }

  const { admission } = manager as any
  end.skew += LONG
  admission.removeIdle()

  for (const name of ['subnets', 'connectionRates', 'peerRates', 'protocolRates']) {
    if (admission[name].size > 0) {
      left.push(`an entry in ${name}`)
    }
  }

  if (node.getConnections().length > 0) {
    left.push('a connection')
  }

  for (const [name, objects] of Object.entries({ maConns, streams })) {
    if (objects.some(({ status }) => status === 'open' || status === 'closing')) {
      left.push(`one of ${name}`)
    }
  }

  for (const { label, ref } of end.parts) {
    const object: any = BUFFERED.includes(label) ? ref.deref() : undefined

    if (object == null) {
      continue
    }

    left.push(
      ...ENDING.filter(type => ourListeners(object, type) > 0).map(type => `a listener for ${type} on ${label}`),
      ...SHRINKING.filter(type => ourListeners(object, type) > 1).map(type => `more than one listener for ${type} on ${label}`)
    )
  }

  return left
}

function perPeer (stats: Map<string, Map<string, unknown>>): string[] {
  return [...stats].flatMap(([name, byPeer]) => [...byPeer.keys()].map(peer => `a scope of peer ${peer} in ${name}`))
}
