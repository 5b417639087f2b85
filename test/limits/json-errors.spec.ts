import { expect } from 'aegir/chai'
import { limitsFromJSON, limitsToJSON } from '../../src/limits/json.ts'
import type { JSONPosition } from '../../src/limits/json-error.ts'

interface Wrong {
  what: string
  json: string
  kind: string
  at: [line: number, column: number]
  path?: string
}

const WRONG: Wrong[] = [
  { what: 'nothing', json: '', kind: 'emptyInput', at: [1, 1] },
  { what: 'white space only', json: ' \r\n\t\n', kind: 'emptyInput', at: [3, 1] },
  { what: 'the end in the middle', json: '{\n  "System": {', kind: 'syntax', at: [2, 14] },
  { what: 'the end in a word', json: '{"System":{"Streams":"unli', kind: 'syntax', at: [1, 27] },
  { what: 'a comment', json: '{} // limits', kind: 'syntax', at: [1, 4] },
  { what: 'a second document', json: '{}\n{}', kind: 'syntax', at: [2, 1] },
  { what: 'a trailing comma', json: '{"System":{"Conns":1,}}', kind: 'syntax', at: [1, 22] },
  { what: 'a missing comma', json: '{"System":{"Conns":1 "FD":2}}', kind: 'syntax', at: [1, 22] },
  { what: 'single quotes', json: '{\'System\':{}}', kind: 'syntax', at: [1, 2] },
  { what: 'a byte order mark', json: '\ufeff{}', kind: 'syntax', at: [1, 1] },
  { what: 'a no-break space', json: '{\u00a0}', kind: 'syntax', at: [1, 2] },
  { what: 'a plus sign', json: '{"System":{"Conns":+1}}', kind: 'syntax', at: [1, 20] },
  { what: 'an unknown escape', json: '{"\\x":{}}', kind: 'syntax', at: [1, 3] },
  { what: 'a line break in a name', json: '{"Service":{"a\nb":{}}}', kind: 'syntax', at: [1, 15] },
  { what: 'a control character in a word', json: '{"System":{"Memory":"1\u00012"}}', kind: 'syntax', at: [1, 23] },
  { what: 'arrays in arrays in what is ignored', json: `{"Extra":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, kind: 'syntax', at: [1, 109] },
  { what: 'a syntax error after an error of another kind', json: '{"System":5,}', kind: 'syntax', at: [1, 13] },
  { what: 'true for the document', json: 'true', kind: 'type', at: [1, 1], path: '' },
  { what: 'an array for a scope', json: '{\n  "allowlistedsystem": []\n}', kind: 'type', at: [2, 24], path: 'AllowlistedSystem' },
  { what: 'a word for a scope', json: '{"System":"unlimited"}', kind: 'type', at: [1, 11], path: 'System' },
  { what: 'an array for an entry', json: '{"Protocol":{"/a/\\"1\\"":[]}}', kind: 'type', at: [1, 25], path: 'Protocol["/a/\\"1\\""]' },
  { what: 'a number in a string for a count', json: '{"Stream":{"Streams":"10"}}', kind: 'type', at: [1, 22], path: 'Stream.Streams' },
  { what: 'an array for memory', json: '{"Stream":{"Memory":[1]}}', kind: 'type', at: [1, 21], path: 'Stream.Memory' },
  { what: 'a fraction in an entry', json: '{"Service":{"__proto__":{"fd":0.5}}}', kind: 'number', at: [1, 31], path: 'Service["__proto__"].FD' },
  { what: 'an exponent', json: '{"Conn":{"FD":1e2}}', kind: 'number', at: [1, 15], path: 'Conn.FD' },
  { what: 'a negative number', json: '{"Conn":{"FD":-3}}', kind: 'number', at: [1, 15], path: 'Conn.FD' },
  { what: 'a number below 64 bits', json: '{"Conn":{"FD":-9223372036854775809}}', kind: 'number', at: [1, 15], path: 'Conn.FD' },
  { what: 'spaces around a number', json: '{"Conn":{"Memory":" 1"}}', kind: 'number', at: [1, 19], path: 'Conn.Memory' },
  { what: 'a sign without a number', json: '{"Conn":{"Memory":"-"}}', kind: 'number', at: [1, 19], path: 'Conn.Memory' },
  { what: 'another word', json: '{"Conn":{"Memory":"none"}}', kind: 'number', at: [1, 19], path: 'Conn.Memory' },
  { what: 'no peer', json: '{"Peer":{\n"":null}}', kind: 'peerId', at: [2, 1], path: 'Peer[""]' },
  { what: 'the CID of a file', json: '{"Peer":{"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi":{}}}', kind: 'peerId', at: [1, 10], path: 'Peer["bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"]' }
]

function errorOf (fn: () => unknown): any {
  try {
    fn()
  } catch (err) {
    return err
  }
}

describe('limits/json errors', () => {
  for (const { what, json, kind, at: [line, column], path = '' } of WRONG) {
    it(`names kind and place of ${what}`, () => {
      const err = errorOf(() => limitsFromJSON(json))
      const lines = json.split('\n')

      expect(err).to.have.property('name', 'LimitsSyntaxError')
      expect(err).to.deep.include({ kind, line, column, path })
      expect(err).to.have.property('offset', lines.slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0) + column - 1)
      expect(err.message).to.include(`line ${line}, column ${column}`).and.include(path).and.include(err.found).and.include(err.allowed)
    })
  }

  it('says what is there and what is allowed', () => {
    const message = (json: string): string => errorOf(() => limitsFromJSON(json)).message

    expect(message('{"System":{"Memory":"1GB"}}')).to.equal('System.Memory (line 1, column 21) is "1GB", allowed is a whole number of bytes from 0 to 9223372036854775807, also as a string, "unlimited", "blockAll" or "default"')
    expect(message('{"System":{"Conns":"none"}}')).to.equal('System.Conns (line 1, column 20) is "none", allowed is a whole number from 0 to 9223372036854775807, "unlimited", "blockAll" or "default"')
    expect(message('\ufeff{}')).to.equal('The document (line 1, column 1) is not JSON because of U+FEFF, allowed is one JSON value and nothing else, without comments or trailing commas')
    expect(message('[]')).to.match(/is an array, allowed is an object with the scopes System, Transient, .*, Stream, or null$/)
    expect(message('{"Peer":{"Bob":{}}}')).to.equal('Peer["Bob"] (line 1, column 10) is not the ID of a peer, allowed is a peer ID in base58, or as a CID in any base')
  })

  it('stays short when what is there is long', () => {
    expect(errorOf(() => limitsFromJSON(`{"System":{"Memory":"${'9'.repeat(10_000)}"}}`)).message).to.have.length.below(300)
  })

  it('reports unknown keys with their place, and ignores what they hold', () => {
    const unknown: JSONPosition[] = []
    const json = '{\n  "Sytem": {"Streams": 1},\n  "Conn": {"Stream": [], "FD": 1},\n  "Service": {"a b": {"": 1}},\n  "System.FD": 1\n}'

    expect(limitsFromJSON(json, { onUnknownKey: position => unknown.push(position) })).to.deep.equal({
      connection: { fileDescriptors: 1 },
      services: { 'a b': {} }
    })
    expect(unknown).to.deep.equal([
      { offset: json.indexOf('"Sytem"'), line: 2, column: 3, path: 'Sytem' },
      { offset: json.indexOf('"Stream":'), line: 3, column: 12, path: 'Conn.Stream' },
      { offset: json.indexOf('"":'), line: 4, column: 23, path: 'Service["a b"][""]' },
      { offset: json.indexOf('"System.FD"'), line: 5, column: 3, path: '["System.FD"]' }
    ])
  })

  it('refuses to write what it does not know, but for what go has no place for', () => {
    expect(() => limitsToJSON({ sytem: { memory: 1 } } as any)).to.throw().with.property('path', 'limits.sytem')
    expect(limitsToJSON({ subnets: {}, rates: {}, system: { streams: 1 } })).to.equal(limitsToJSON({ system: { streams: 1 } }))
  })

  it('refuses to read what is not a string', () => {
    expect(() => limitsFromJSON(new Uint8Array([0x7b, 0x7d]) as any)).to.throw().with.property('name', 'InvalidLimitError')
  })

  for (const [path, limits] of [
    ['limits', null],
    ['limits', '{}'],
    ['limits.system', { system: 5 }],
    ['limits.system', { system: null }],
    ['limits.system.memory', { system: { memory: -1 } }],
    ['limits.system.memory', { system: { memory: '1' } }],
    ['limits.system.memory', { system: { memory: NaN } }],
    ['limits.system.memory', { system: { memory: null } }],
    ['limits.system.streams', { system: { streams: 2 ** 53 } }],
    ['limits.system.Streams', { system: { Streams: 1 } }],
    ['limits.services["a"].streams', { services: { a: { streams: 1.5 } } }],
    ['limits.peers["a"]', { peers: { a: {} } }]
  ] as Array<[string, any]>) {
    it(`refuses to write ${JSON.stringify(limits)}, naming ${path}`, () => {
      const err = errorOf(() => limitsToJSON(limits))

      expect(err).to.have.property('name', 'InvalidLimitError')
      expect(err).to.have.property('path', path)
    })
  }
})
