/* eslint-disable no-loop-func */

/**
 * @file For a reader that is prompt, `for await` does what that of js-libp2p
 * does. Random scripts run against a node with a resource manager and one without.
 */

import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { createNode, eventually, MUXERS, nodeOptions, stopAll } from '../../fixtures/nodes.ts'
import { handleHeld } from '../../fixtures/pair.ts'
import { pick, random } from '../../fixtures/random.ts'
import { openHeld, pattern, settle, take } from '../../fixtures/transfer.ts'
import type { Flood, Receiver } from '../../fixtures/transfer.ts'
import type { Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'

const SCRIPTS = 25

interface Script {
  /** How many bytes are sent before the loop begins */
  early: number
  /** One message after the other, each waits until all is quiet if it is to */
  messages: Array<{ length: number, quiet: boolean }>
  /** After so many chunks the loop is left and begun again. js-libp2p loses what came in between. */
  leaveAfter: number
  ending: keyof typeof ENDINGS
}

/** How the iterator divides what it gets, in bytes */
function pieces (length: number): number[] {
  if (length > 64 * 1024) {
    return [64 * 1024, ...pieces(length - 64 * 1024)]
  }

  return length > 16 * 1024 ? [length - 4096, 4096] : [length]
}

/** What an application could tell apart */
interface Observed extends Receiver {
  /** Of the chunks that were sent alone */
  chunks: number[]
  error?: string
  status: string
  readStatus: string
  remoteWriteStatus: string
  readableEnded: boolean
  /** After the end, what another loop does */
  afterwards: string | false
}

const ENDINGS = {
  closed: async ({ out }: Ends) => { await out.close() },
  'closed by both': async ({ out, stream }: Ends) => {
    await stream.close()
    await out.close()
  },
  reset: async ({ out }: Ends) => { out.abort(new Error('Aborted on purpose')) },
  aborted: async ({ stream }: Ends) => { stream.abort(new TypeError('Aborted on purpose')) },
  'without a connection': async ({ flood }: Ends) => { await (flood.connection as any).maConn.close() },
  'closed for reading': async ({ out, stream }: Ends) => {
    await stream.closeRead()
    await out.close()
  }
}

interface Ends {
  flood: Flood
  out: Stream
  stream: Stream
}

function writeScript (seed: number): Script {
  const next = random(seed)
  const leaveAfter = next() < 0.3 ? 1 + Math.floor(next() * 4) : Infinity

  return {
    early: next() < 0.3 ? Math.floor(next() * 50_000) : 0,
    messages: Array.from({ length: Math.floor(next() * 8) }, () => ({
      length: Math.floor(10 ** (next() * 5)),
      quiet: leaveAfter !== Infinity || next() < 0.5
    })),
    leaveAfter,
    ending: pick(next, Object.keys(ENDINGS) as Array<keyof typeof ENDINGS>)
  }
}

async function run (flood: Flood, { early, messages, leaveAfter, ending }: Script): Promise<Observed> {
  const { out, unread: stream } = await openHeld(flood)
  const observed: any = { received: 0, inOrder: true, chunks: [] }
  let sent = 0

  const send = (length: number): void => {
    out.send(pattern(length, sent))
    sent += length
  }

  if (early > 0) {
    send(early)
    await eventually(() => stream.readBufferLength === sent)
  }

  const reading = (async () => {
    for (let taken = 0, left = true; left;) {
      left = false

      for await (const data of stream) {
        take(observed, data)
        observed.chunks.push(data.byteLength)

        if (++taken === leaveAfter) {
          left = true
          break
        }
      }
    }
  })().catch(err => { observed.error = err.name })

  for (const { length, quiet } of messages) {
    send(length)

    if (quiet) {
      await eventually(() => observed.received === sent)
      await settle(flood)
    }
  }

  // an abort throws away what has not been delivered
  await eventually(() => observed.received === sent)
  await ENDINGS[ending]({ flood, out, stream })
  await reading
  await eventually(() => stream.remoteWriteStatus === 'closed')

  if (messages.some(({ quiet }) => !quiet)) {
    observed.chunks = []
  }

  const { status, readStatus, remoteWriteStatus, readableEnded } = stream
  // js-libp2p waits for what has been, if the stream is only closed by the remote
  const afterwards = readStatus === 'closed' && await stream[Symbol.asyncIterator]().next().then(({ done }) => `done: ${done}`, err => err.name)

  return { ...observed, status, readStatus, remoteWriteStatus, readableEnded, afterwards }
}

describe('for await by a prompt reader', () => {
  for (const muxer of Object.keys(MUXERS) as Array<keyof typeof MUXERS>) {
    describe(`with ${muxer}`, () => {
      let sender: Libp2p<any>
      let stock: Libp2p<any>
      let node: Libp2p<any>

      before(async () => {
        sender = await createLibp2p(nodeOptions({ muxer }))
        stock = await createLibp2p(nodeOptions({ muxer }))
        node = await createNode({ muxer })
        await handleHeld(stock as any)
        await handleHeld(node as any)
      })

      after(async () => {
        await stopAll(sender, stock, node)
      })

      for (let seed = 1; seed <= SCRIPTS; seed++) {
        const script = writeScript(seed)

        it(`is what js-libp2p does, script ${seed}: ${script.messages.length} messages, ${script.ending}`, async () => {
          const observed: Observed[] = []

          for (const receiver of [stock, node]) {
            const flood: any = { sender, node: receiver, connection: await sender.dial(receiver.getMultiaddrs()) }
            observed.push(await run(flood, script))
          }

          expect(observed[1]).to.deep.equal({ ...observed[0], chunks: observed[0].chunks.flatMap(pieces) })
          expect(observed[1].received).to.equal(script.early + script.messages.reduce((sum, { length }) => sum + length, 0))
          expect(observed[1].inOrder).to.be.true()
        })
      }
    })
  }
})
