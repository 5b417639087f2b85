import { expect } from 'aegir/chai'
import { GO_FIELDS as GO_NAMES } from '../../src/core/go-names.ts'
import { RESOURCES } from '../../src/core/limit.ts'
import { GO_KEYS } from '../../src/limits/json-names.ts'
import { limitsFromJSON, limitsToJSON } from '../../src/limits/json.ts'
import { LimitTable, NAMED_KEYS, nullRecord, resolveLimits, SCOPE_KEYS } from '../../src/limits/limits.ts'
import { applyLimits } from '../../src/limits/merge.ts'
import vectors from '../fixtures/vectors/limits-json.json' with { type: 'json' }
import { GO_FIELDS, GO_MAPS, GO_SCOPES, integer } from '../fixtures/vectors.ts'
import type { ConcreteLimit, Limit, ScopeKind } from '../../src/core/types.ts'
import type { JSONPosition } from '../../src/limits/json-error.ts'
import type { ConcreteLimits, Limits } from '../../src/limits/limits.ts'
import type { GoField, GoInteger, GoLimit, GoMap, GoQuirk, GoScope } from '../fixtures/vectors.ts'

type GoConcreteLimits = Record<GoScope, GoLimit> & Partial<Record<GoMap, Record<string, GoLimit>>>
/** As a document, names of scopes to limits, or names of maps to limits by name */
type GoPartial = Record<string, any>

interface Case {
  id: string
  kind: 'build' | 'apply' | 'write' | 'toPartial'
  goQuirk?: GoQuirk
}

interface BuildCase extends Case {
  json: string
  defaults: string
  expected?: GoConcreteLimits
  error?: string
  lookups?: Array<{ get: string, name: string, field: GoField, value: GoInteger }>
}

interface ApplyCase extends Case {
  this: GoPartial
  other: GoPartial
  expectedPartial: GoPartial
  thenBuildWith?: string
  expectedWithoutApply?: GoConcreteLimits
}

interface WriteCase extends Case {
  partial: GoPartial
  expectedJson: GoPartial
}

interface ToPartialCase extends Case {
  concrete: GoLimit
  expectedPartialScope: Record<GoField, number | string>
}

const MAX_INT64 = 2n ** 63n - 1n
const tables = vectors.defaultsTable as unknown as Record<string, GoConcreteLimits>
const cases = vectors.cases as unknown as Case[]

/**
 * What we do where go is lax or wrong, the recommendations of the vectors made
 * definite. `limits` are the limits that the document then holds.
 */
const QUIRKS: Record<string, { why: string, error?: string, limits?: Limits, unknown?: string[] }> = {
  'negative-other': {
    why: 'a negative limit is a mistake, go takes it for one that blocks everything',
    error: 'number'
  },
  'keys-any-case': {
    why: 'accepted like in go, so that its files load',
    limits: { system: { streams: 7, memory: 9 }, serviceDefault: { fileDescriptors: 3 }, services: { Known: { connections: 4 } } }
  },
  'unknown-keys': {
    why: 'ignored like in go, so that its files load, but reported',
    limits: { system: { connections: 3 } },
    unknown: ['Sytem', 'System.Stream', 'Extra']
  },
  'trailing-text': {
    why: 'text after the document is a mistake, go does not look at it',
    error: 'syntax'
  },
  'null-count-blocks': {
    why: 'null is the same as leaving out wherever it stands, go blocks everything',
    limits: { system: {} }
  },
  'null-memory-fails': {
    why: 'null is the same as leaving out in all fields alike, go refuses it for memory only',
    limits: { system: {} }
  },
  'error-count-word-escaped': {
    why: 'escapes mean the same characters, go compares the raw text',
    limits: { system: { streams: Infinity } }
  },
  'apply-then-build-differs': {
    why: 'what an entry leaves out is looked up once, when limits are laid over defaults',
    limits: { serviceDefault: { streams: 5 }, services: { known: { memory: 1 } } }
  }
}

/** go's largest integer is no limit at all, for go too */
function concreteValue (value: GoInteger): number | bigint {
  return BigInt(value) === MAX_INT64 ? Infinity : integer(value)
}

function concreteLimit (go: GoLimit): ConcreteLimit {
  return Object.fromEntries(RESOURCES.map(field => [field, concreteValue(go[GO_FIELDS[field]])])) as unknown as ConcreteLimit
}

function concreteLimits (go: GoConcreteLimits): ConcreteLimits {
  const limits: any = {}

  for (const key of SCOPE_KEYS) {
    limits[key] = concreteLimit(go[GO_SCOPES[key]])
  }

  for (const key of NAMED_KEYS) {
    limits[key] = nullRecord()

    for (const [name, limit] of Object.entries(go[GO_MAPS[key]] ?? {})) {
      limits[key][name] = concreteLimit(limit)
    }
  }

  return limits
}

function partialLimit (go: Record<string, number | string>): Limit {
  const words: Record<string, number | undefined> = { unlimited: Infinity, blockAll: 0, default: undefined }
  const limit: Limit = {}

  for (const field of RESOURCES) {
    const value = go[GO_NAMES[field]]

    if (value !== undefined) {
      limit[field] = Object.hasOwn(words, value) ? words[value] : integer(value)
    }
  }

  return limit
}

/** A partial configuration as an object, without the code under test */
function partialLimits (go: GoPartial): Limits {
  const limits: any = {}

  for (const key of SCOPE_KEYS) {
    if (go[GO_KEYS[key]] !== undefined) {
      limits[key] = partialLimit(go[GO_KEYS[key]])
    }
  }

  for (const key of NAMED_KEYS) {
    if (go[GO_KEYS[key]] !== undefined) {
      limits[key] = Object.fromEntries(Object.entries<any>(go[GO_KEYS[key]]).map(([name, limit]) => [name, partialLimit(limit)]))
    }
  }

  return limits
}

function titled (c: Case): string {
  return c.goQuirk === undefined ? c.id : `${c.id}, unlike go: ${QUIRKS[c.id]?.why}`
}

function of<T extends Case> (kind: Case['kind']): T[] {
  return cases.filter(c => c.kind === kind) as T[]
}

describe('limits/json vectors', () => {
  it('decides about every quirk', () => {
    expect(cases.filter(c => c.goQuirk !== undefined).map(c => c.id)).to.have.members(Object.keys(QUIRKS))
  })

  describe('reading', () => {
    for (const c of of<BuildCase>('build')) {
      it(titled(c), () => {
        const quirk = QUIRKS[c.id]
        const error = quirk === undefined ? c.error : quirk.error
        const defaults = concreteLimits(tables[c.defaults])
        const unknown: JSONPosition[] = []
        const read = (): Limits => limitsFromJSON(c.json, { onUnknownKey: position => unknown.push(position) })

        if (error !== undefined) {
          expect(read).to.throw().with.property('name', 'LimitsSyntaxError')
          expect(read).to.throw().with.property('kind', error)

          return
        }

        const limits = read()
        const resolved = resolveLimits(limits, defaults)

        expect(unknown.map(({ path }) => path)).to.deep.equal(quirk?.unknown ?? [])

        if (quirk !== undefined) {
          expect(limits).to.deep.equal(quirk.limits)
        } else {
          expect(resolved).to.deep.equal(concreteLimits(c.expected as GoConcreteLimits))
        }

        const table = new LimitTable(resolved)

        for (const { get, name, field, value } of c.lookups ?? []) {
          const kind = (get === 'conn' ? 'connection' : get) as ScopeKind
          const resource = RESOURCES.find(resource => GO_FIELDS[resource] === field) ?? 'memory'

          expect(table.limitFor(kind, name)).to.have.property(resource, concreteValue(value))
        }
      })
    }
  })

  describe('merging', () => {
    for (const c of of<ApplyCase>('apply')) {
      it(titled(c), () => {
        const limits = partialLimits(c.this)
        const applied = applyLimits(limits, partialLimits(c.other))
        const expected = QUIRKS[c.id]?.limits ?? partialLimits(c.expectedPartial)

        if (c.id === 'apply-name-only-here') {
          // follows from the recommendation of apply-then-build-differs: the entry
          // is not filled from the default of its kind before limits are laid over
          // defaults, which comes to the same
          expect(applied).to.have.deep.nested.property('services.a', { streams: 1 })
        } else {
          expect(applied).to.deep.equal(expected)
        }

        // neither defaults has an entry of a name that the cases use, but `known`
        for (const table of ['tiny', 'tinyNoMaps', 'infinite'].filter(name => c.thenBuildWith === undefined || name === c.thenBuildWith)) {
          const defaults = concreteLimits(tables[table])

          expect(resolveLimits(applied, defaults)).to.deep.equal(resolveLimits(expected, defaults))
        }

        if (c.thenBuildWith !== undefined) {
          const defaults = concreteLimits(tables[c.thenBuildWith])

          expect(resolveLimits(applied, defaults)).to.deep.equal(concreteLimits(c.expectedWithoutApply as GoConcreteLimits))
        }
      })
    }
  })

  describe('writing', () => {
    for (const c of of<WriteCase>('write')) {
      it(titled(c), () => {
        expect(JSON.parse(limitsToJSON(partialLimits(c.partial)))).to.deep.equal(c.expectedJson)
      })
    }

    for (const c of of<ToPartialCase>('toPartial')) {
      it(titled(c), () => {
        expect(JSON.parse(limitsToJSON({ system: concreteLimit(c.concrete) }))).to.deep.equal({ System: c.expectedPartialScope })
      })
    }

    for (const [name, table] of Object.entries(tables)) {
      it(`concrete limits, which come back whatever they are laid over: ${name}`, () => {
        const limits = concreteLimits(table)

        expect(resolveLimits(limitsFromJSON(limitsToJSON(limits)), concreteLimits(tables.tinyNoMaps))).to.deep.equal(limits)
      })
    }
  })

  it('runs every case', () => {
    expect(of('build').length + of('apply').length + of('write').length + of('toPartial').length).to.equal(cases.length).and.equal(80)
  })
})
