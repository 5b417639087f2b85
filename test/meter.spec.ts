/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { pipe } from 'it-pipe'
import { ScopeRegistry } from '../src/core/scope-registry.ts'
import { ScopeEnvironment } from '../src/core/scope.ts'
import { createResourceManager, meter, ReservationPriority, scaleLimits } from '../src/index.ts'
import { LimitTable } from '../src/limits/limits.ts'
import { PEER } from './fixtures/peers.ts'
import type { ResourceScope, ResourceScopeSpan } from '../src/index.ts'
import type { Uint8ArrayList } from 'uint8arraylist'

const CHUNKS = [10, 20, 30].map(length => new Uint8Array(length))

async function * generate (): AsyncGenerator<Uint8Array> {
  yield * CHUNKS
}

describe('meter', () => {
  const manager = createResourceManager({ limits: { system: { memory: 100 } } })
  let scope: ResourceScopeSpan

  function held (): number {
    return manager.stat().system.memory
  }

  beforeEach(() => {
    scope = manager.viewSystem((system: ResourceScope) => system.beginSpan())
  })

  afterEach(() => {
    scope.done()
    expect(held()).to.equal(0)
  })

  for (const [name, source] of [['an asynchronous', generate], ['a synchronous', () => CHUNKS]] as const) {
    it(`holds the chunk that is worked on, from ${name} source`, async () => {
      const seen: Array<[chunk: Uint8Array | Uint8ArrayList, held: number]> = []

      await pipe(source, meter(scope), async chunks => {
        for await (const chunk of chunks) {
          seen.push([chunk, held()])
        }
      })

      expect(seen).to.deep.equal(CHUNKS.map(chunk => [chunk, chunk.byteLength]))
      expect(held()).to.equal(0)
    })
  }

  it('holds a chunk once for each meter that it is in', async () => {
    const most: number[] = []

    await pipe(generate, meter(scope), meter(scope), async chunks => {
      for await (const chunk of chunks) {
        most.push(held() / chunk.byteLength)
      }
    })

    expect(most).to.deep.equal([2, 2, 2])
  })

  it('counts what it is told that a chunk holds', async () => {
    const most: number[] = []

    await pipe(['a', 'bc'], meter(scope, { byteLength: (text: string) => 2 * text.length }), async texts => {
      for await (const text of texts) {
        expect(held()).to.equal(2 * text.length)
        most.push(held())
      }
    })

    expect(most).to.deep.equal([2, 4])
  })

  it('fails the pipeline with a chunk that does not fit, and holds nothing then', async () => {
    const passed: number[] = []

    await expect(pipe([new Uint8Array(60), new Uint8Array(101), new Uint8Array(1)], meter(scope), async chunks => {
      for await (const chunk of chunks) {
        passed.push(chunk.byteLength)
      }
    })).to.eventually.be.rejected().with.property('name', 'ResourceLimitExceededError')

    expect(passed).to.deep.equal([60])
    expect(held()).to.equal(0)
  })

  it('asks at the priority that it is given', async () => {
    const run = async (priority: number): Promise<void> => pipe([new Uint8Array(70)], meter(scope, { priority }), async chunks => {
      for await (const chunk of chunks) {
        expect(held()).to.equal(chunk.byteLength)
      }
    })

    await run(ReservationPriority.High)
    await expect(run(ReservationPriority.Medium)).to.eventually.be.rejected().with.property('priority', ReservationPriority.Medium)
  })

  for (const [name, end] of Object.entries<() => boolean>({
    stops: () => true,
    fails: () => { throw new Error('Failed on purpose') }
  })) {
    it(`holds nothing when the next step ${name} in the middle`, async () => {
      await pipe(generate, meter(scope), async chunks => {
        for await (const chunk of chunks) {
          expect(held()).to.equal(chunk.byteLength)

          if (end()) {
            break
          }
        }
      }).catch(err => { expect(err.message).to.equal('Failed on purpose') })

      expect(held()).to.equal(0)
    })
  }

  it('holds nothing when the source fails', async () => {
    const source = async function * (): AsyncGenerator<Uint8Array> {
      yield CHUNKS[0]
      throw new Error('Failed on purpose')
    }

    await expect(pipe(source, meter(scope), async chunks => {
      for await (const chunk of chunks) {
        expect(held()).to.equal(chunk.byteLength)
      }
    })).to.eventually.be.rejectedWith('Failed on purpose')

    expect(held()).to.equal(0)
  })

  it('lets pass what comes after the scope has ended', async () => {
    const passed: Array<Uint8Array | Uint8ArrayList> = []

    await pipe(generate, meter(scope), async chunks => {
      for await (const chunk of chunks) {
        passed.push(chunk)
        scope.done()
        expect(held()).to.equal(0)
      }
    })

    await pipe(generate, meter(scope), async chunks => {
      for await (const chunk of chunks) {
        passed.push(chunk)
      }
    })

    expect(passed).to.deep.equal([...CHUNKS, ...CHUNKS])
  })

  it('gives back no more than it has taken, when the scope has ended', async () => {
    const told: unknown[] = []
    const registry = new ScopeRegistry(new ScopeEnvironment({ overReleased: (...args) => { told.push(args) } }), new LimitTable(scaleLimits({ memory: 2 ** 30, fileDescriptors: 0 })))
    const stream = registry.openStream(PEER, 'inbound')
    const passed: unknown[] = []

    await pipe(generate, meter(stream), async chunks => {
      for await (const chunk of chunks) {
        passed.push(chunk)
        stream.done()
      }
    })

    expect(passed).to.have.length(CHUNKS.length)
    expect(told).to.be.empty()
  })

  it('says what does not work with a size that makes no sense', async () => {
    await expect(pipe(generate, meter(scope, { byteLength: () => -1 }), async chunks => {
      for await (const chunk of chunks) {
        expect.fail(`${chunk.byteLength} bytes must not get here`)
      }
    })).to.eventually.be.rejected().with.property('name', 'InvalidReservationError')
  })
})
