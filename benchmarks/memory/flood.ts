/**
 * @file Fifty peers send data that nobody reads for half a minute, all that they
 * are let to, while honest clients ask, reconnect, and send and receive what is
 * read slowly. The resident memory of the node that is flooded, which is a process
 * of its own, is compared with what it was at rest: with the flags of Node.js as
 * they are, and with a young generation of V8 that does not grow to 128 MiB.
 *
 * `npm run benchmark:memory` runs it.
 */

/* eslint-disable no-console */

import { runFlood } from '../../test/fixtures/flood/run.ts'
import { check, reportChecks } from '../harness.ts'

const MiB = 2 ** 20
const LIMIT = 128 * MiB

/** How much more than the limit may be held, in bytes */
const MORE = 128 * MiB

for (const flags of [[], ['--max-semi-space-size=16']]) {
  console.log(`\nNode.js ${process.version} ${flags.length === 0 ? 'as it comes' : flags.join(' ')}\n`)

  const { held, attacked, served } = await runFlood({
    limit: LIMIT,
    peers: 50,
    streams: 32,
    duration: 30_000,
    slowBytes: 2 * MiB,
    slowPause: 50,
    flags
  })

  const above = held.peak - held.idle
  const kept = above < LIMIT + MORE

  print('limit', format(LIMIT))
  print('resident when idle', format(held.idle))
  print('most resident above that', `${format(above)}, ${(above / (LIMIT + MORE)).toFixed(2)} of the limit and 128 MiB${kept ? '' : ', OVER'}`)
  print('most accounted', `${format(held.accounted)}, ${(held.accounted / LIMIT).toFixed(2)} of the limit`)
  print('refusals', held.refusals.toLocaleString('en'))
  print('the attack', `${attacked.streams.toLocaleString('en')} streams, ${format(attacked.bytes)} handed to them`)
  print('honest requests', `${served.requests} and ${served.reconnects} after reconnecting, ${served.failures.length} failed`)

  for (const [reader, { sent, received, failures }] of Object.entries(served.transfers)) {
    print(`read slowly by ${reader}`, `${format(sent)}, ${sent - received} bytes lost`)
    check(`read slowly by ${reader}, failures`, failures, [])
    check(`read slowly by ${reader}, bytes lost`, sent - received, 0)
    check(`read slowly by ${reader}, there was something`, sent > 0, true)
  }

  // as it comes, the young generation of V8 alone may take all of the 128 MiB
  if (flags.length > 0) {
    check('the most resident memory above idle is below the limit and 128 MiB', kept, true)
  }

  check('the most accounted is within the limit', held.accounted <= LIMIT, true)
  // or the flood was none
  check('more than a half of the limit was held', held.accounted > LIMIT / 2, true)
  check('there were refusals', held.refusals > 0, true)
  check('honest requests that failed', served.failures, [])
  check('honest requests were served', served.requests > 0 && served.reconnects > 0, true)
}

reportChecks()

function print (name: string, value: string): void {
  console.log(`${name.padEnd(32)}${value}`)
}

function format (bytes: number): string {
  return `${(bytes / MiB).toFixed(1)} MiB`
}
