/**
 * @file How the page writes numbers, and how it reads what somebody types.
 */

import { expect } from 'aegir/chai'
import { EditError, limitsOf, pathOf, placeOf } from '../../../src/observe/inspector/page/edits.ts'
import { bytes, duration, limitInput, limitText, parseLimit, percent, shortPeer } from '../../../src/observe/inspector/page/format.ts'
import type { Edit } from '../../../src/observe/inspector/page/edits.ts'

const KIB = 1024
const MIB = KIB * KIB

describe('numbers for people', () => {
  it('are bytes in units', () => {
    expect([0, 1023, KIB, 1536, 100 * KIB, MIB - 1, 64 * MIB, 1500 * MIB, 2 ** 40, 2 ** 63].map(bytes))
      .to.deep.equal(['0 B', '1,023 B', '1 KiB', '1.5 KiB', '100 KiB', '1,024 KiB', '64 MiB', '1.5 GiB', '1 TiB', '8 EiB'])
  })

  it('are limits, large ones and none as well', () => {
    expect(limitText('streams', 12345)).to.equal('12,345')
    expect(limitText('memory', `${2n ** 60n}`)).to.equal('1 EiB')
    expect(limitText('memory', 'unlimited')).to.equal('unlimited')
  })

  it('are times', () => {
    expect([0, 59.9, 61, 3600, 90_000].map(duration)).to.deep.equal(['0 s', '59 s', '1 min 1 s', '1 h 0 min', '1 d 1 h'])
  })

  it('are nearly all only if they are all', () => {
    expect([0, 0.999, 1].map(percent)).to.deep.equal(['0 %', '99 %', '100 %'])
  })

  it('are short IDs', () => {
    expect(shortPeer('12D3KooWPEHACsjcMehrMLGbU27pCvWdJSHH3tKK9M8bKEHyfEWG')).to.equal('12D3Ko…HyfEWG')
    expect(shortPeer('short')).to.equal('short')
  })
})

describe('what somebody types as a limit', () => {
  it('is a number, with units if it is memory', () => {
    for (const [text, value] of [['64 MiB', 64 * MIB], ['64mib', 64 * MIB], ['1.5 KiB', 1536], ['2k', 2048], ['1 MB', 1e6], ['0', 0], ['1,048,576', MIB], ['unlimited', 'unlimited'], [' ∞ ', 'unlimited'], ['Infinity', 'unlimited']] as const) {
      expect(parseLimit('memory', text), text).to.equal(value)
    }

    expect(parseLimit('streams', '12,345')).to.equal(12_345)
  })

  it('is digits if a number cannot hold it', () => {
    expect(parseLimit('memory', `${2n ** 63n - 1n}`)).to.equal(`${2n ** 63n - 1n}`)
  })

  it('is what it is if it is no limit, so that the node says so', () => {
    for (const text of ['many', '12 MiB', '1 2', '0x10', '1e3']) {
      expect(parseLimit('streams', text), text).to.equal(text)
    }

    expect(parseLimit('streams', '-5')).to.equal(-5)
    expect(parseLimit('streams', '1.5')).to.equal(1.5)
    expect(parseLimit('memory', '12 parsecs')).to.equal('12 parsecs')
    expect(parseLimit('streams', '')).to.equal('')
  })

  it('is the same again when it is shown', () => {
    for (const value of [0, 1, 1000, KIB, 3 * MIB, 5 * 1024 * MIB, MIB + 1, 'unlimited', `${2n ** 60n + 1n}`]) {
      expect(parseLimit('memory', limitInput('memory', value))).to.equal(value)
    }
  })
})

describe('where a limit stands', () => {
  it('is its path, and the other way round, whatever its name is', () => {
    for (const place of [
      { key: 'system', name: undefined, field: 'memory' as const },
      { key: 'peerDefault', name: undefined, field: undefined },
      { key: 'protocols', name: '/a"]["\\\n</script>.memory', field: 'inboundStreams' as const },
      { key: 'services', name: '__proto__', field: undefined }
    ]) {
      expect(placeOf(pathOf(place))).to.deep.equal(place)
    }
  })

  it('may be nowhere in the form', () => {
    expect(placeOf('maxProcessMemory')).to.equal(undefined)
    expect(placeOf('limits.rates.connections.ipv4')).to.deep.include({ key: 'rates', field: undefined })
  })

  it('is where it is in what is sent', () => {
    const edits: Edit[] = [
      { key: 'system', field: 'memory', text: '1 MiB' },
      { key: 'protocols', name: '__proto__', field: 'streams', text: 'unlimited' },
      { key: 'protocols', name: '/a', field: 'streams', text: '1' },
      { key: 'protocols', name: '/a', field: 'inboundStreams', text: '2' },
      { key: 'subnets', text: '{"ipv4": {}}' }
    ]

    expect(JSON.stringify(limitsOf(new Map(edits.map(edit => [pathOf(edit), edit])))))
      .to.equal('{"system":{"memory":1048576},"protocols":{"__proto__":{"streams":"unlimited"},"/a":{"streams":1,"inboundStreams":2}},"subnets":{"ipv4":{}}}')
  })

  it('is in the error if what is there is no JSON', () => {
    expect(() => limitsOf(new Map([['limits.rates', { key: 'rates', text: '{' }]]))).to.throw(EditError).with.nested.property('answer.path', 'limits.rates')
  })
})
