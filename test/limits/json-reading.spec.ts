import { peerIdFromString } from '@libp2p/peer-id'
import { expect } from 'aegir/chai'
import { bases } from 'multiformats/basics'
import { limitsFromJSON, limitsToJSON } from '../../src/limits/json.ts'
import { applyLimits } from '../../src/limits/merge.ts'
import { normalisePeerId } from '../../src/limits/peer-key.ts'

const ED25519 = '12D3KooWHNii27hQyBtDSYRtaee4aNX6vLHefMbAPXdcyoHhhvuU'
const RSA = 'QmSueXourFCJimYxKP34YNENy3biVWnLRSB9X9y2bKGPgV'

describe('limits/json reading', () => {
  it('merges scopes and maps that are given twice, whatever the case of the key', () => {
    expect(limitsFromJSON('{"System":{"Conns":1,"FD":2},"Service":{"a":{"FD":1},"b":{}},"system":{"conns":3},"SERVICE":{"a":{"Conns":2},"c":null}}')).to.deep.equal({
      system: { connections: 3, fileDescriptors: 2 },
      services: { a: { connections: 2 }, b: {}, c: {} }
    })
  })

  it('takes the last of a field that is given twice, default as well', () => {
    expect(limitsFromJSON('{"System":{"Conns":1,"Conns":2,"FD":1,"FD":"default","Memory":1,"Memory":null}}')).to.deep.equal({ system: { connections: 2 } })
  })

  it('keeps a scope and drops a map for which null follows, as go does', () => {
    expect(limitsFromJSON('{"System":{"Conns":1},"Service":{"a":{}},"System":null,"Service":null}')).to.deep.equal({ system: { connections: 1 }, services: {} })
  })

  it('folds case as go does, and takes names as they are', () => {
    expect(limitsFromJSON('{"\u017fystem":{"\u017fTREAMS":1},"Protocol":{"/A":{},"/a":{}}}')).to.deep.equal({ system: { streams: 1 }, protocols: { '/A': {}, '/a': {} } })
  })

  it('takes all names of entries for ordinary ones', () => {
    const { services } = limitsFromJSON('{"Service":{"__proto__":{"Conns":1},"constructor":{"Conns":2},"":{"Conns":3},"toString":{"Conns":4}}}')

    expect(Object.keys(services ?? {})).to.deep.equal(['__proto__', 'constructor', '', 'toString'])
    expect(Object.getPrototypeOf(services)).to.equal(null)
    expect({}).to.not.have.property('connections')
  })

  it('does not take __proto__ for a scope or a field', () => {
    const unknown: string[] = []

    expect(limitsFromJSON('{"__proto__":{"Conns":1},"System":{"__proto__":{"Conns":1}}}', { onUnknownKey: ({ path }) => unknown.push(path) })).to.deep.equal({ system: {} })
    expect(unknown).to.deep.equal(['__proto__', 'System.__proto__'])
  })

  it('reads numbers in strings as go does', () => {
    const memory = (text: string): unknown => limitsFromJSON(`{"System":{"Memory":"${text}"}}`).system?.memory

    expect(memory('007')).to.equal(7)
    expect(memory('+0')).to.equal(0)
    expect(memory('-0')).to.equal(0)
    expect(memory('\\u0031')).to.equal(1)
    expect(memory('9223372036854775806')).to.equal(9223372036854775806n)
  })

  it('takes the last of a peer that is given in two encodings', () => {
    const cid = peerIdFromString(ED25519).toCID().toString()

    expect(limitsFromJSON(`{"Peer":{"${ED25519}":{"FD":1},"${cid}":{"Conns":2}}}`)).to.deep.equal({ peers: { [ED25519]: { connections: 2 } } })
    expect(JSON.parse(limitsToJSON({ peers: { [ED25519]: { fileDescriptors: 1 }, [cid]: { connections: 2 } } }))).to.deep.equal({ Peer: { [ED25519]: { Conns: 2 } } })
  })

  for (const id of [ED25519, RSA, '16Uiu2HAm68ov73QQ3nu4buB9q3N4WojQmBpKKjvvKyEUqTNe9dDx']) {
    it(`knows ${id} in every base`, () => {
      const cid = peerIdFromString(id).toCID()

      expect(normalisePeerId(id)).to.equal(id)

      for (const base of Object.values(bases)) {
        expect(normalisePeerId(cid.toString(base.encoder as any))).to.equal(id)
      }
    })
  }

  it('knows what is no peer', () => {
    for (const key of ['', '1', 'Q', 'Qm', 'k', 'k51', `${ED25519}x`, ED25519.slice(0, -1), ` ${RSA}`, '🚀', '\0', '\ud800', '__proto__', 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi']) {
      expect(normalisePeerId(key), key).to.equal(undefined)
    }
  })
})

describe('limits/json merging', () => {
  it('changes neither side', () => {
    const limits = Object.freeze({ system: Object.freeze({ streams: 1 }), services: Object.freeze({ a: Object.freeze({}) }) })
    const other = Object.freeze({ system: Object.freeze({ memory: 1 }), services: Object.freeze({ a: Object.freeze({ memory: 1 }) }) })

    expect(applyLimits(limits, other)).to.deep.equal({ system: { streams: 1, memory: 1 }, services: { a: { memory: 1 } } })
  })

  it('fills what is undefined, and keeps 0 and Infinity', () => {
    expect(applyLimits(
      { system: { streams: 0, memory: Infinity, connections: undefined }, transient: undefined, services: { a: { streams: undefined } } },
      { system: { streams: 1, memory: 1, connections: 1 }, transient: { streams: 1 }, services: { a: { streams: 1 } } }
    )).to.deep.equal({
      system: { streams: 0, memory: Infinity, connections: 1 },
      transient: { streams: 1 },
      services: { a: { streams: 1 } }
    })
  })

  it('takes __proto__ for a name', () => {
    const applied = applyLimits(limitsFromJSON('{"Service":{"__proto__":{"Conns":1}}}'), limitsFromJSON('{"Service":{"__proto__":{"FD":2}}}'))

    expect(Object.entries(applied.services ?? {})).to.deep.equal([['__proto__', { connections: 1, fileDescriptors: 2 }]])
  })

  it('knows a peer in another encoding', () => {
    const cid = peerIdFromString(ED25519).toCID().toString()

    expect(applyLimits({ peers: { [cid]: { streams: 1 } } }, { peers: { [ED25519]: { streams: 2, memory: 2 } } })).to.deep.equal({ peers: { [ED25519]: { streams: 1, memory: 2 } } })
  })
})
