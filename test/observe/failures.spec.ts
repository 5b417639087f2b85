import { expect } from 'aegir/chai'
import { reasonOf } from '../../src/core/failure.ts'
import { FailureCounts } from '../../src/observe/failures.ts'
import type { Failure } from '../../src/index.ts'

function failure (reason: string, rest: Partial<Failure> = {}): Failure {
  return { kind: 'stream', direction: 'inbound', stage: 'open', reason, error: new Error(), scope: 'stream-1', ...rest }
}

describe('counts of failures', () => {
  it('are by kind, direction, stage and reason', () => {
    const counts = new FailureCounts()

    for (const rest of [{}, {}, { kind: 'connection' }, { direction: 'outbound' }, { stage: 'negotiation' }] as const) {
      counts.add(failure('TimeoutError', rest))
    }

    counts.add(failure('__proto__'))

    expect(counts.entries()).to.deep.equal([
      { kind: 'stream', direction: 'inbound', stage: 'open', reason: 'TimeoutError', count: 2 },
      { kind: 'connection', direction: 'inbound', stage: 'open', reason: 'TimeoutError', count: 1 },
      { kind: 'stream', direction: 'outbound', stage: 'open', reason: 'TimeoutError', count: 1 },
      { kind: 'stream', direction: 'inbound', stage: 'negotiation', reason: 'TimeoutError', count: 1 },
      { kind: 'stream', direction: 'inbound', stage: 'open', reason: '__proto__', count: 1 }
    ])
  })

  it('are copies', () => {
    const counts = new FailureCounts()
    counts.add(failure('TimeoutError'))
    counts.entries()[0].count = 7

    expect(counts.entries()[0].count).to.equal(1)
  })

  it('do not grow with the names that errors have', () => {
    const counts = new FailureCounts()

    for (let i = 0; i < 1_000; i++) {
      counts.add(failure(`MadeUp${i}Error`))
      counts.add(failure(`MadeUp${i}Error`, { kind: 'connection' }))
    }

    counts.add(failure('MadeUp0Error'))

    const entries = counts.entries()
    expect(entries).to.have.lengthOf(102)
    expect(entries[0]).to.include({ reason: 'MadeUp0Error', count: 2 })
    expect(entries.filter(({ reason }) => reason === '(others)').map(({ kind, count }) => [kind, count])).to.deep.equal([['stream', 950], ['connection', 950]])
    expect(entries.reduce((sum, { count }) => sum + count, 0)).to.equal(2_001)
  })
})

describe('the reason of a failure', () => {
  for (const [error, reason] of [
    [new TypeError('no'), 'TypeError'],
    [new Error('no'), 'Error'],
    [Object.assign(new Error('no'), { code: 'ECONNRESET' }), 'ECONNRESET'],
    [Object.assign(new TypeError('no'), { code: 'ERR_INVALID' }), 'TypeError'],
    [new DOMException('no', 'TimeoutError'), 'TimeoutError'],
    [{ name: '' }, 'Error'],
    [{ name: 7, code: 7 }, 'Error'],
    ['no', 'Error'],
    [null, 'Error'],
    [undefined, 'Error']
  ] as Array<[unknown, string]>) {
    it(`is ${reason} for ${error instanceof Error ? `${error.name} ${(error as any).code ?? 'without a code'}` : JSON.stringify(error)}`, () => {
      expect(reasonOf(error)).to.equal(reason)
    })
  }
})
