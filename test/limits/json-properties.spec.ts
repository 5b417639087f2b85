import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { RESOURCES } from '../../src/core/limit.ts'
import { scaleLimits } from '../../src/limits/defaults.ts'
import { limitsFromJSON, limitsToJSON } from '../../src/limits/json.ts'
import { NAMED_KEYS, nullRecord, resolveLimits, SCOPE_KEYS } from '../../src/limits/limits.ts'
import type { Limit } from '../../src/core/types.ts'
import type { Limits } from '../../src/limits/limits.ts'

const MAX_INT64 = 2n ** 63n - 1n

const DEFAULTS = scaleLimits({ memory: 2 ** 30, fileDescriptors: 1000 })

const DOCUMENT = `{
  "System": {"Streams": "unlimited", "StreamsInbound": 10, "Conns": 0, "FD": -1, "Memory": "9007199254740993"},
  "Transient": null,
  "ServiceDefault": {"ConnsInbound": "blockAll", "Memory": 4096},
  "Service": {"a": {}, "__proto__": {"Streams": 1}, "constructor": null, "": {"StreamsOutbound": "default"}},
  "Protocol": {"/a/1.0.0": {"Memory": "+1"}, "\\u00e9": {"Conns": 9223372036854775807}},
  "Peer": {"12D3KooWPEHACsjcMehrMLGbU27pCvWdJSHH3tKK9M8bKEHyfEWG": {"Streams": 1}},
  "Extra": [1.5e3, true, false, null, "\\n", {"a": []}]
}`

const value = fc.oneof(
  fc.constantFrom(0, 1, Infinity, Number.MAX_SAFE_INTEGER, BigInt(Number.MAX_SAFE_INTEGER) + 1n, MAX_INT64 - 1n),
  fc.maxSafeNat(),
  fc.bigInt({ min: 2n ** 53n, max: MAX_INT64 - 1n })
)

const limit = fc.record(Object.fromEntries(RESOURCES.map(field => [field, value])), { requiredKeys: [] }) as fc.Arbitrary<Limit>

// a scope without a field is left out
const scope = limit.filter(limit => Object.keys(limit).length > 0)

const name = fc.oneof(fc.constantFrom('__proto__', 'constructor', 'hasOwnProperty', '', '0', '\u0000"\\'), fc.string({ unit: 'binary' }))

const peer = fc.constantFrom('12D3KooWPEHACsjcMehrMLGbU27pCvWdJSHH3tKK9M8bKEHyfEWG', '12D3KooWHNii27hQyBtDSYRtaee4aNX6vLHefMbAPXdcyoHhhvuU', 'QmSueXourFCJimYxKP34YNENy3biVWnLRSB9X9y2bKGPgV')

function entries (name: fc.Arbitrary<string>): fc.Arbitrary<Record<string, Limit>> {
  return fc.array(fc.tuple(name, limit), { minLength: 1, maxLength: 4 }).map(entries => {
    const record = nullRecord<Limit>()

    for (const [name, limit] of entries) {
      record[name] = limit
    }

    return record
  })
}

const limits = fc.record({
  ...Object.fromEntries(SCOPE_KEYS.map(key => [key, scope])),
  ...Object.fromEntries(NAMED_KEYS.map(key => [key, entries(key === 'peers' ? peer : name)]))
}, { requiredKeys: [] }) as fc.Arbitrary<Limits>

/**
 * Removes, repeats and inserts at random places
 */
const mutated = fc.array(fc.record({
  at: fc.nat(DOCUMENT.length),
  remove: fc.nat(12),
  insert: fc.oneof(
    fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', '0', '-', '.', 'e', '\n', '\t', '\0', '\u00a0', '\ufeff', '/*', '//', 'null', '"__proto__":', '"System":{"Conns":1},', '-3', '1e9', '01', '\\u0', '\\ud800', '😀', ''),
    fc.tuple(fc.nat(DOCUMENT.length), fc.nat(60)).map(([at, length]) => DOCUMENT.slice(at, at + length))
  )
}), { minLength: 1, maxLength: 4 }).map(edits => edits.reduce((text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove), DOCUMENT))

/**
 * All that anybody could have put on the prototype of everything
 */
function prototypes (): PropertyKey[] {
  return [Object.prototype, Array.prototype, Function.prototype].flatMap(prototype => Reflect.ownKeys(prototype))
}

describe('limits/json properties', () => {
  it('come back from JSON as they went', () => {
    fc.assert(fc.property(limits, limits => {
      expect(limitsFromJSON(limitsToJSON(limits))).to.deep.equal(limits)
    }))
  })

  it('come back from JSON as they went, undefined fields and numbers as bigints as well', () => {
    const loose = scope.map(limit => Object.fromEntries(RESOURCES.map(field => {
      const value = limit[field]

      return [field, value === undefined || value === Infinity ? value : BigInt(value)]
    })))

    fc.assert(fc.property(loose, system => {
      const given = { system, transient: {}, connection: undefined, services: {} }

      expect(resolveLimits(limitsFromJSON(limitsToJSON(given)), DEFAULTS)).to.deep.equal(resolveLimits(given, DEFAULTS))
    }))
  })

  it('are JSON when written', () => {
    fc.assert(fc.property(limits, limits => {
      expect(() => JSON.parse(limitsToJSON(limits))).to.not.throw()
    }))
  })

  it('write the same again after reading', () => {
    fc.assert(fc.property(limits, limits => {
      const text = limitsToJSON(limits)

      expect(limitsToJSON(limitsFromJSON(text))).to.equal(text)
    }))
  })

  it('writes what a go node cannot hold as unlimited', () => {
    expect(JSON.parse(limitsToJSON({ system: { memory: 2n ** 63n, streams: 2n ** 80n } }))).to.deep.equal({
      System: { Streams: 'unlimited', Memory: 'unlimited' }
    })
  })

  it('writes numbers that a double cannot hold as they are', () => {
    expect(limitsToJSON({ system: { memory: 9007199254740993n, streams: 9007199254740995n } })).to.equal(
      '{\n  "System": {\n    "Streams": 9007199254740995,\n    "Memory": "9007199254740993"\n  }\n}'
    )
  })

  it('reads a mutated document, or throws its own error, and nothing else happens', () => {
    const before = prototypes()

    fc.assert(fc.property(mutated, text => {
      let isJSON = true
      let limits: Limits | undefined
      let kind: string | undefined

      try {
        JSON.parse(text)
      } catch {
        isJSON = false
      }

      try {
        limits = limitsFromJSON(text)
      } catch (err: any) {
        expect(err).to.have.property('name', 'LimitsSyntaxError')
        expect(err.offset).to.be.within(0, text.length)
        kind = err.kind
      }

      // neither laxer nor stricter than the engine
      expect(kind === 'syntax' || kind === 'emptyInput').to.equal(!isJSON)

      // what can be read makes sense
      if (limits !== undefined) {
        resolveLimits(limits, DEFAULTS)
        expect(limitsFromJSON(limitsToJSON(limits))).to.deep.equal(withoutEmpty(limits))
      }
    }), { numRuns: 5_000 })

    expect(prototypes()).to.deep.equal(before)
    expect({}).to.not.have.property('streams')
  })

  it('knows the same JSON as the engine', () => {
    fc.assert(fc.property(fc.json({ depthSize: 'large' }), text => {
      try {
        limitsFromJSON(text)
      } catch (err: any) {
        expect(err).to.have.property('kind').that.is.oneOf(['type', 'number', 'peerId'])
      }
    }), { numRuns: 1_000 })
  })
})

function withoutEmpty (limits: Limits): Limits {
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => Object.keys(limit).length > 0))
}
