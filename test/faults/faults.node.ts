/**
 * @file Every step of a dial, an upgrade and a stream fails in every way, at
 * either end, and nothing is left.
 */

import v8 from 'node:v8'
import vm from 'node:vm'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import pWaitFor from 'p-wait-for'
import { eventually, nodeOptions } from '../fixtures/nodes.ts'
import { KINDS } from './faults.ts'
import { casesOf, Harness, nameOf, recordSteps, SETUPS } from './harness.ts'
import { leftovers, remains } from './leftovers.ts'
import { ourTimers, unwatchOurs, watchOurs } from './ours.ts'
import { Pair, PROTOCOL } from './pair.ts'
import { reasonAgainst, rowOf, stagesOf, stepsInTable } from './steps.ts'
import type { Recorded } from './harness.ts'
import type { MultiaddrConnection } from '@libp2p/interface'

/**
 * js-libp2p's TCP listener keeps the socket of a connection that is gone before
 * its upgrade has come to an end
 */
const KEPT_BY_LIBP2P = 'listener: upgrader.upgradeInbound > connectionGater.denyInboundUpgradedConnection: reset'

interface Setup {
  name: string
  init: typeof SETUPS[string]
  recorded: Recorded[]
}

// the tests below are made of what is seen here
const setups: Setup[] = []
let failure: unknown

try {
  for (const [name, init] of Object.entries(SETUPS)) {
    setups.push({ name, init, recorded: await recordSteps(init) })
  }
} catch (err) {
  failure = err
}

describe('faults at every step', function () {
  this.timeout(120_000)

  const harnesses: Harness[] = []
  let pair: Pair | undefined

  let resources: Record<string, number>

  async function stopAll (): Promise<void> {
    await Promise.all(harnesses.map(async harness => { await harness.stop() }))
  }

  before(() => {
    resources = activeResources()
    watchOurs()
  })

  after(async () => {
    await stopAll()
    unwatchOurs()
  })

  afterEach(async () => {
    await pair?.stop()
    pair = undefined
  })

  it('are tried at the steps of nodes that work without any', () => {
    expect(failure).to.equal(undefined)
  })

  it('are in the table for every step that a node takes', () => {
    const missing: string[] = []

    for (const { init, recorded } of setups) {
      for (const { side, step } of recorded) {
        const kinds = KINDS.filter(kind => rowOf(side, step)?.[kind] == null && reasonAgainst(init, side, step, kind) == null)
        missing.push(...kinds.map(kind => nameOf({ side, step, kind })))
      }
    }

    expect(missing.join('; ')).to.equal('')
  })

  it('are in the table for no other step', () => {
    const taken = setups.flatMap(({ recorded }) => recorded.map(({ side, step }) => `${side}: ${step.name}`))

    expect(stepsInTable()).to.have.members([...new Set(taken)])
  })

  for (const { name, init, recorded } of setups) {
    it(`are tried at the steps that a node without a resource manager takes as well, over ${name}`, async () => {
      const stock = await recordSteps(init, false)
      const ours = recorded.filter(({ step }) => !/ (manager|connectionScope|streamScope)\./.test(step.name))

      expect(ours).to.have.deep.members(stock)
    })
  }

  it('that leave something would be seen', async () => {
    pair = await Pair.create(Object.values(SETUPS)[0], 5_000)
    await pair.start()

    // a dial has a scope before it has a connection
    const dialling: string[] = []
    pair.dialer.tracer.arm('transportManager.dial > transport.dial', call => {
      dialling.push(...remains(pair!))

      return call()
    })

    const open: string[] = []
    const rates: number[] = []

    await pair.run(false, () => {
      const { admission } = pair!.listener.manager as any
      rates.push(admission.connectionRates.size, admission.peerRates.size, admission.protocolRates.size)
      open.push(...remains(pair!))
    })

    expect(dialling).to.include('dialer: a pending dial')
    expect(rates).to.deep.equal([1, 1, 1])
    expect(open).to.include('a socket')

    for (const [side, stream, connection] of [['dialer', 'outboundStreams', 'outboundConnections'], ['listener', 'inboundStreams', 'inboundConnections']]) {
      for (const expected of [
        `system {"${stream}":1,"${connection}":1`,
        'peer:',
        `protocol:${PROTOCOL} `,
        `protocol:${PROTOCOL}.peer:`,
        'service:faults ',
        'service:faults.peer:',
        'a scope of peer',
        'a scope of protocol',
        'an entry in subnets',
        'a connection',
        'one of maConns',
        'one of streams',
        'a listener for close on maConn',
        'a listener for close on stream'
      ]) {
        expect(open.some(left => left.startsWith(`${side}: ${expected}`))).to.equal(true, `${side}: ${expected}`)
      }
    }

    expect(await leftovers(pair)).to.be.empty()
  })

  it('are none if a node stops while the socket of a connection that is over may live on', async () => {
    pair = await Pair.create(Object.values(SETUPS)[0], 5_000)
    await pair.start()
    expect(await pair.run()).to.equal('end')
    expect(ourTimers().some(timer => timer.includes('connection-end'))).to.be.true()

    await pair.stop()
    expect(ourTimers()).to.be.empty()
  })

  it('do not include what js-libp2p does not clean up', async () => {
    const { promise: gone, resolve: onGone } = Promise.withResolvers<void>()
    const listener = await createLibp2p({
      ...nodeOptions({
        options: {
          connectionGater: {
            denyInboundUpgradedConnection: async (_: any, maConn: MultiaddrConnection) => {
              maConn.addEventListener('close', () => { onGone() })
              await gone

              return false
            }
          }
        }
      })
    })
    const dialer = await createLibp2p(nodeOptions({}))
    const connection = await dialer.dial(listener.getMultiaddrs())
    connection.abort(new Error('Aborted on purpose'))
    await gone

    // when this fails, what is exempted above need not be any more
    const [{ sockets }]: any[] = (listener as any).components.transportManager.getListeners()
    expect([...sockets].map(({ destroyed }) => destroyed)).to.deep.equal([true])

    await dialer.stop()
    await listener.stop()
  })

  for (const { name, init, recorded } of setups) {
    describe(`over ${name}, at`, () => {
      const harness = new Harness(init)
      harnesses.push(harness)

      before(() => {
        // each test waits for its cases
        harness.run(casesOf(init, recorded)).catch(() => {})
      })

      for (const { side, step } of recorded) {
        const cases = casesOf(init, [{ side, step }])
        const row = rowOf(side, step) ?? {}

        it(`${side}: ${step.name} | ${cases.map(({ kind }) => `${kind}: ${row[kind] ?? 'not in the table'}`).join(' | ')}`, async () => {
          for (const one of cases) {
            const { hit, stage, left } = await harness.outcome(one)

            expect(left.join('; '), `what is left: ${one.kind}`).to.equal('')
            expect(hit, `whether the step was reached: ${one.kind}`).to.be.true()
            expect(stage, one.kind).to.be.oneOf(stagesOf(row[one.kind] ?? ''))
          }
        })
      }
    })
  }

  describe('of all kinds', () => {
    it('leave nothing that is referred to', async () => {
      v8.setFlagsFromString('--expose-gc')
      const gc = vm.runInNewContext('gc')

      const alive = (): string[] => {
        gc()

        return harnesses.flatMap(harness => harness.alive()).filter(name => !name.endsWith(KEPT_BY_LIBP2P))
      }

      // timeouts of js-libp2p hold what they were for until they are over
      await pWaitFor(() => alive().length === 0, { interval: 100, timeout: 30_000 }).catch(() => {})
      expect(alive().join('; ')).to.equal('')
    })

    it('leave no timer, and nothing else that keeps the process alive, when the nodes have stopped', async () => {
      await stopAll()
      expect(ourTimers()).to.be.empty()

      const more = (): string[] => Object.entries(activeResources()).filter(([type, count]) => count > (resources[type] ?? 0)).map(([type]) => type)
      await eventually(() => more().length === 0).catch(() => {})
      expect(more()).to.be.empty()
    })
  })
})

/**
 * What keeps the process alive, counted by type
 */
function activeResources (): Record<string, number> {
  const counts: Record<string, number> = {}

  for (const type of process.getActiveResourcesInfo()) {
    counts[type] = (counts[type] ?? 0) + 1
  }

  return counts
}
