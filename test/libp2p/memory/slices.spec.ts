import { expect } from 'aegir/chai'
import { Uint8ArrayList } from 'uint8arraylist'
import { Joiner, ownBytes } from '../../../src/libp2p/memory/slices.ts'
import { random } from '../../fixtures/random.ts'

describe('slices', () => {
  /** A slice of a buffer that is much larger */
  function slice (length: number, of: number = 10_000): Uint8Array {
    return Uint8Array.from({ length: of }, (_, i) => i).subarray(5, 5 + length)
  }

  describe('that keep more than they are', () => {
    it('are copied', () => {
      for (const data of [slice(100), new Uint8ArrayList(slice(100)), new Uint8ArrayList(slice(100), slice(2_000))]) {
        const own = ownBytes(data) as Uint8Array

        expect(own).to.be.an.instanceOf(Uint8Array)
        expect(own).to.deep.equal(new Uint8ArrayList(data).slice())
        expect(own.buffer.byteLength).to.equal(data.byteLength)
      }
    })

    it('are left as they are if it is little more', () => {
      for (const data of [slice(9_000), new Uint8ArrayList(slice(9_000)), new Uint8ArrayList(slice(100, 150), slice(9_000)), new Uint8Array(0)]) {
        expect(ownBytes(data)).to.equal(data)
      }

      expect(ownBytes(slice(8_800))).to.deep.equal(slice(8_800)).and.have.nested.property('buffer.byteLength', 8_800)
    })
  })

  describe('of a list', () => {
    let list: Uint8ArrayList
    let joiner: Joiner

    beforeEach(() => {
      list = new Uint8ArrayList()
      joiner = new Joiner({ readBuffer: list }, 'readBuffer')
    })

    it('are few, whatever is added and taken, and the bytes stay the same', () => {
      const next = random(1)
      let expected = new Uint8Array(0)

      for (let i = 0; i < 20_000; i++) {
        if (next() < 0.005) {
          const taken = Math.floor(next() * list.byteLength)
          list.consume(taken)
          expected = expected.slice(taken)
        } else {
          const added = Uint8Array.from({ length: 1 + Math.floor(next() * 3) }, () => next() * 256)
          list.append(added)
          expected = Uint8Array.from([...expected, ...added])
        }

        joiner.grown()
        expect([...list].length).to.be.at.most(64 + list.byteLength / 1024)
      }

      expect(joiner.byteLength).to.equal(expected.byteLength)
      expect(list.slice()).to.deep.equal(expected)
    }).timeout(20_000)

    it('are not joined if they are large', () => {
      for (let i = 0; i < 200; i++) {
        list.append(new Uint8Array(2_000))
        joiner.grown()
      }

      expect([...list]).to.have.lengthOf(200)
    })

    it('are joined to a buffer of their own when a small rest is left', () => {
      list.append(slice(1_023, 60_000))
      joiner.shrunk()

      expect([...list].map(({ buffer }) => buffer.byteLength)).to.deep.equal([1_023])
    })

    it('are left as they are when a large rest is left, or none', () => {
      const rest = slice(1_024, 60_000)
      list.append(rest)
      joiner.shrunk()
      expect([...list]).to.deep.equal([rest])

      list.consume(1_024)
      joiner.shrunk()
      expect([...list]).to.be.empty()
    })

    it('can be thrown away', () => {
      list.append(slice(100))
      joiner.discard()
      expect(list.byteLength).to.equal(0)
    })
  })

  it('are nobody\'s where there is no list', () => {
    for (const holder of [undefined, {}, { readBuffer: new Uint8Array(10) }]) {
      const joiner = new Joiner(holder, 'readBuffer')

      expect(joiner.byteLength).to.equal(0)
      joiner.grown()
      joiner.shrunk()
      joiner.discard()
    }
  })
})
