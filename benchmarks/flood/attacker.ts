/**
 * @file Child process: the attacker. It runs one attack after the other when it
 * is told to, each bounded in count and time.
 */

import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { setMaxListeners } from 'main-event'
import { Parent } from '../child.ts'
import { AttackRun } from './attacks.ts'
import type { ChildOptions, FromChild, ToChild } from './messages.ts'
import type { Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/** An attack ends by itself if nobody ends it */
const LONGEST = 30_000

const parent = new Parent<ChildOptions, ToChild, FromChild>()
const { plan } = parent.options
const nodes: Libp2p[] = []

// every node makes itself an Ed25519 key, so each is a peer of its own
for (let i = 0; i < plan.sizes.identities; i++) {
  nodes.push(await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ maxOutboundStreams: Infinity })],
    connectionManager: { reconnectRetries: 0 },
    connectionMonitor: { enabled: false }
  }))
}

let target: Multiaddr
let controller = new AbortController()
let run: AttackRun | undefined

parent.onMessage(message => {
  switch (message.type) {
    case 'target':
      target = multiaddr(message.address)
      parent.tell({ type: 'ready' })
      break
    case 'attack':
      controller = new AbortController()
      setMaxListeners(Infinity, controller.signal)
      run = new AttackRun(nodes, target, plan.sizes, AbortSignal.any([controller.signal, AbortSignal.timeout(LONGEST)]))
      void run[message.attack]()
      break
    case 'halt':
      controller.abort()
      dropConnections()
      parent.tell({ type: 'halted', tried: run?.tried ?? 0 })
      break
    default:
  }
})

/**
 * Drops the sockets and says nothing: no goodbye in thousands of streams
 */
function dropConnections (): void {
  for (const node of nodes) {
    for (const connection of node.getConnections() as any[]) {
      connection.maConn.abort(new Error('The attack is over'))
    }
  }
}
