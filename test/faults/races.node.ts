/* eslint-disable no-loop-func */

/**
 * @file What ends in two ways at once gives back once: another connection of the
 * same peers, with a stream of the same protocol, keeps exactly what is its own.
 */

import { isDeepStrictEqual } from 'node:util'
import { expect } from 'aegir/chai'
import { eventually, held, managerOf } from '../fixtures/nodes.ts'
import { createPair, expectPairHoldsNothing, HELD, heldStreams, stopPair } from '../fixtures/pair.ts'
import type { DefaultResourceManager } from '../../src/index.ts'
import type { Pair } from '../fixtures/pair.ts'
import type { Connection, Stream } from '@libp2p/interface'

const ERROR = new Error('Aborted on purpose')

interface Ends {
  connection: Connection
  remoteConnection: Connection
  stream: Stream
  remoteStream: Stream
}

const OF_STREAM: Record<string, (ends: Ends) => void> = {
  'is aborted': ({ stream }) => { stream.abort(ERROR) },
  'is aborted by the remote': ({ remoteStream }) => { remoteStream.abort(ERROR) },
  'is aborted by both': ({ stream, remoteStream }) => {
    stream.abort(ERROR)
    remoteStream.abort(ERROR)
  },
  'is closed by both': ({ stream, remoteStream }) => {
    stream.close().catch(() => {})
    remoteStream.close().catch(() => {})
  }
}

const OF_CONNECTION: Record<string, (ends: Ends) => void> = {
  'is closed': ({ connection }) => { connection.close().catch(() => {}) },
  'is closed by the remote': ({ remoteConnection }) => { remoteConnection.close().catch(() => {}) },
  'is aborted': ({ connection }) => { connection.abort(ERROR) },
  'is aborted by the remote': ({ remoteConnection }) => { remoteConnection.abort(ERROR) },
  'is aborted twice': ({ connection }) => {
    connection.abort(ERROR)
    connection.abort(ERROR)
  }
}

describe('a connection and its stream that end at once', () => {
  let pair: Pair | undefined

  afterEach(async () => {
    await stopPair(pair)
    pair = undefined
  })

  async function openSecond ({ dialer, listener }: Pair): Promise<Ends> {
    const connection = await dialer.node.dial(listener.node.getMultiaddrs(), { force: true })
    await eventually(() => listener.node.getConnections(dialer.node.peerId).length === 2)
    const remoteConnection = listener.node.getConnections(dialer.node.peerId).find(({ id }) => id !== listener.connection.id)

    if (remoteConnection == null) {
      throw new Error('The listener has no second connection')
    }

    return { connection, remoteConnection, ...await openStream(pair!, connection) }
  }

  async function openStream ({ listener }: Pair, connection: Connection): Promise<Pick<Ends, 'stream' | 'remoteStream'>> {
    const count = heldStreams(listener.node).length
    const stream = await connection.newStream(HELD)
    await eventually(() => heldStreams(listener.node).length === count + 1)

    return { stream, remoteStream: heldStreams(listener.node)[count] }
  }

  for (const [streamEnds, endStream] of Object.entries(OF_STREAM)) {
    for (const [connectionEnds, endConnection] of Object.entries(OF_CONNECTION)) {
      for (const order of ['before', 'after'] as const) {
        it(`give back once when the stream ${streamEnds} just ${order} the connection ${connectionEnds}`, async () => {
          pair = await createPair()
          const { dialer, listener } = pair
          const nodes = [dialer, listener].map(({ node }) => managerOf(node))

          await openStream(pair, dialer.connection)
          await eventually(() => nodes.every(manager => manager.stat().protocols.get(HELD) != null))
          const alone = await settled(nodes)

          const second = await openSecond(pair)
          expect(nodes.map(manager => held(manager))).to.not.deep.equal(alone)

          const [first, then] = order === 'before' ? [endStream, endConnection] : [endConnection, endStream]
          first(second)
          then(second)

          await eventually(() => second.connection.status !== 'open' && second.remoteConnection.status !== 'open')
          await eventually(() => isDeepStrictEqual(nodes.map(manager => held(manager)), alone)).catch(() => {})
          expect(nodes.map(manager => held(manager))).to.deep.equal(alone)

          await dialer.connection.close()
          await expectPairHoldsNothing(pair)
        })
      }
    }
  }
})

/**
 * What is held once nothing comes and goes any more
 */
async function settled (managers: DefaultResourceManager[]): Promise<Array<ReturnType<typeof held>>> {
  let before: unknown

  await eventually(() => {
    const now = managers.map(manager => held(manager))
    const same = isDeepStrictEqual(now, before)
    before = now

    return same
  })

  return managers.map(manager => held(manager))
}
