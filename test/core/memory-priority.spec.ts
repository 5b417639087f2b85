import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { Account, EnforcedLimit, memoryThreshold } from '../../src/core/account.ts'
import { createResourceManager, InvalidLimitError, ReservationPriority } from '../../src/index.ts'
import { scalingLimits } from '../../src/limits/defaults.ts'
import { defaultsVector, integer, memoryCases } from '../fixtures/vectors.ts'
import type { DefaultResourceManager, ResourceScope } from '../../src/index.ts'
import type { MemoryCase } from '../fixtures/vectors.ts'

// what go takes as unlimited
const MAX_INT64 = 2n ** 63n - 1n

type Kind = 'negativeLimit' | 'unreachableUse' | 'unreachableSize' | 'scope'

describe('memory by priority', () => {
  it('has the priorities of go', () => {
    const { low, medium, high, always } = defaultsVector.memoryPriorities

    expect(ReservationPriority).to.deep.equal({ Low: low, Medium: medium, High: high, Always: always })
  })

  for (const c of memoryCases) {
    switch (kindOf(c)) {
      case 'negativeLimit':
        it(`${c.id}: not as go, ${c.goQuirk?.recommended}, because ${c.goQuirk?.why}`, () => {
          expect(() => managerWith(BigInt(c.limit)))
            .to.throw(InvalidLimitError).with.property('path', 'limits.system.memory')
          expect(() => managerWith(Number(c.limit)))
            .to.throw(InvalidLimitError).with.property('path', 'limits.system.memory')
        })
        break
      case 'unreachableUse':
        // a negative size is refused whatever is in use
        if (c.reason === 'negative') {
          it(c.id, () => { runFull(c, 'InvalidReservationError') })
        } else if (isUnlimited(c)) {
          it(`${c.id}: not as go, ${c.goQuirk?.recommended ?? 'use above 2^53 - 1 is refused'}, because ${c.goQuirk?.why ?? 'it cannot be counted exactly'}`, () => {
            runFull(c, 'ResourceLimitExceededError')
          })
        } else {
          it(`${c.id}: by the threshold, use above 2^53 - 1 is never counted`, () => {
            checkThreshold(c)
            runFull(c, 'ResourceLimitExceededError')
          })
        }
        break
      case 'unreachableSize':
        it(`${c.id}: ${c.ok ? 'not as go, a size above 2^53 - 1 is refused, because it cannot be counted exactly; ' : ''}by the threshold`, () => {
          checkThreshold(c)

          const manager = managerWith(limitOf(c))
          reserve(manager, Number(c.used))
          expectError(manager, Number(c.size), c.priority, 'InvalidReservationError')
        })
        break
      default:
        it(c.id, () => {
          if (c.reason !== 'negative') {
            checkThreshold(c)
            checkAccount(c)
          }

          for (const limit of limitsOf(c)) {
            runInScope(c, limit)
          }
        })
    }
  }

  it('covers every kind of case', () => {
    expect(new Set(memoryCases.map(kindOf))).to.have.property('size', 4)
  })
})

describe('memory threshold', () => {
  const priority = fc.integer({ min: 0, max: 255 })

  it('is floor((1 + priority) * limit / 256) exactly, for all numbers that are safe integers', () => {
    fc.assert(fc.property(fc.maxSafeNat(), priority, (limit, priority) => {
      const threshold = memoryThreshold(limit, priority)

      expect(threshold).to.be.a('number')
      expect(BigInt(threshold)).to.equal(exactThreshold(BigInt(limit), priority))
    }), { numRuns: 2_000, examples: [[Number.MAX_SAFE_INTEGER, 255], [Number.MAX_SAFE_INTEGER, 254], [Number.MAX_SAFE_INTEGER, 0], [0, 255], [255, 254]] })
  })

  it('is floor((1 + priority) * limit / 256) exactly, for bigints', () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: MAX_INT64 }), priority, (limit, priority) => {
      expect(memoryThreshold(limit, priority)).to.equal(exactThreshold(limit, priority))
    }), { numRuns: 2_000, examples: [[MAX_INT64, 255], [MAX_INT64, 0]] })
  })

  it('is the limit at the highest priority, and never falls as the priority rises', () => {
    fc.assert(fc.property(fc.maxSafeNat(), priority, priority, (limit, a, b) => {
      expect(memoryThreshold(limit, 255)).to.equal(limit)
      expect(memoryThreshold(limit, Math.min(a, b))).to.be.at.most(Number(memoryThreshold(limit, Math.max(a, b))))
    }))
  })

  it('is unlimited at every priority for a limit that is', () => {
    fc.assert(fc.property(priority, priority => {
      expect(memoryThreshold(Infinity, priority)).to.equal(Infinity)
    }))
  })

  it('is what an account lets through, exactly', () => {
    fc.assert(fc.property(fc.maxSafeNat(), fc.boolean(), fc.maxSafeNat(), fc.maxSafeNat(), priority, (limit, big, used, size, priority) => {
      const after = BigInt(used) + BigInt(size)
      const fits = after <= exactThreshold(BigInt(limit), priority)

      expect(accountWith(big ? BigInt(limit) : limit, used).fitsMemory(size, priority)).to.equal(fits)
    }), { numRuns: 2_000 })
  })

  it('lets an account that is unlimited count up to 2^53 - 1', () => {
    for (const limit of [Infinity, MAX_INT64]) {
      expect(accountWith(limit, Number.MAX_SAFE_INTEGER - 1).fitsMemory(1, 255)).to.be.true()
      expect(accountWith(limit, Number.MAX_SAFE_INTEGER).fitsMemory(0, 255)).to.be.true()
      expect(accountWith(limit, Number.MAX_SAFE_INTEGER).fitsMemory(1, 255)).to.be.false()
      expect(accountWith(limit, 1).fitsMemory(Number.MAX_SAFE_INTEGER, 255)).to.be.false()
    }
  })
})

function kindOf (c: MemoryCase): Kind {
  if (BigInt(c.limit) < 0) {
    return 'negativeLimit'
  }

  if (BigInt(c.used) > Number.MAX_SAFE_INTEGER) {
    return 'unreachableUse'
  }

  return BigInt(c.size) > Number.MAX_SAFE_INTEGER ? 'unreachableSize' : 'scope'
}

function isUnlimited (c: MemoryCase): boolean {
  return BigInt(c.limit) === MAX_INT64
}

function limitOf (c: MemoryCase): number | bigint {
  return isUnlimited(c) ? Infinity : integer(c.limit)
}

/**
 * The ways to write a limit
 */
function limitsOf (c: MemoryCase): Array<number | bigint> {
  return [limitOf(c), BigInt(c.limit)]
}

function exactThreshold (limit: bigint, priority: number): bigint {
  return BigInt(1 + priority) * limit / 256n
}

/**
 * Without rounding anything to a double
 */
function checkThreshold (c: MemoryCase): void {
  const after = BigInt(c.used) + BigInt(c.size)

  for (const limit of limitsOf(c)) {
    const threshold = memoryThreshold(limit, c.priority)

    if (c.threshold == null) {
      expect(isUnlimited(c)).to.be.true()
      // above all that can be counted
      expect(threshold > Number.MAX_SAFE_INTEGER).to.be.true()
      continue
    }

    expect(BigInt(threshold)).to.equal(BigInt(c.threshold))
    // a sum above 2^63 - 1 is above every threshold as well
    expect(after <= threshold).to.equal(c.ok)
  }
}

function checkAccount (c: MemoryCase): void {
  for (const limit of limitsOf(c)) {
    expect(accountWith(limit, Number(c.used)).fitsMemory(Number(c.size), c.priority)).to.equal(c.ok)
  }
}

function accountWith (memory: number | bigint, used: number): Account {
  const account = new Account({ name: 'test' }, new EnforcedLimit({ ...scalingLimits.system.base, memory }))
  account.memory = used

  return account
}

function managerWith (memory: number | bigint): DefaultResourceManager {
  const manager = createResourceManager({ limits: { system: { memory } } })
  manager.close()

  return manager
}

function reserve (manager: DefaultResourceManager, size: number, priority?: number): void {
  manager.viewSystem((scope: ResourceScope) => { scope.reserveMemory(size, priority) })
}

function runInScope (c: MemoryCase, limit: number | bigint): void {
  const manager = managerWith(limit)
  const used = Number(c.used)
  const size = Number(c.size)

  reserve(manager, used)
  expect(manager.stat().system.memory).to.equal(used)

  if (c.ok) {
    reserve(manager, size, c.priority)
    expect(manager.stat().system.memory).to.equal(used + size)
    return
  }

  expectError(manager, size, c.priority, c.reason === 'negative' ? 'InvalidReservationError' : 'ResourceLimitExceededError')
}

/**
 * With as much in use as can be counted
 */
function runFull (c: MemoryCase, error: string): void {
  for (const limit of limitsOf(c)) {
    const manager = managerWith(limit)

    reserve(manager, Number.MAX_SAFE_INTEGER)
    expectError(manager, Number(c.size), c.priority, error)
  }
}

function expectError (manager: DefaultResourceManager, size: number, priority: number, name: string): void {
  const { memory: used } = manager.stat().system
  const limit = manager.limits().system.memory

  if (name === 'ResourceLimitExceededError') {
    expect(() => { reserve(manager, size, priority) }).to.throw().that.deep.includes({
      name,
      scope: 'system',
      resource: 'memory',
      current: used,
      attempted: size,
      limit,
      priority
    })
  } else {
    expect(() => { reserve(manager, size, priority) }).to.throw().with.property('name', name)
  }

  expect(manager.stat().system.memory).to.equal(used)
}
