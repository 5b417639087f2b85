import { expect } from 'aegir/chai'
import { Overdraft } from '../../../src/libp2p/memory/overdraft.ts'

const MiB = 2 ** 20

describe('what may be there although it could not be reserved', () => {
  it('is 64 MiB of all together', () => {
    const overdraft = new Overdraft()
    const holders = Array.from({ length: 65 }, () => ({ ended: false }))

    expect(holders.map(holder => overdraft.set(holder, MiB))).to.deep.equal([...new Array(64).fill(true), false])
    // one that has come to terms makes room for another
    expect(overdraft.set(holders[0], 0)).to.be.true()
    expect(overdraft.set(holders[64], MiB)).to.be.true()
    expect(overdraft.set(holders[64], MiB + 1)).to.be.false()
    // who was refused holds nothing
    expect(overdraft.set(holders[0], MiB)).to.be.true()
  })

  it('is nothing of what has ended', () => {
    const overdraft = new Overdraft()
    const holders = Array.from({ length: 64 }, () => ({ ended: false }))
    holders.forEach(holder => overdraft.set(holder, MiB))
    holders.forEach(holder => { holder.ended = true })

    expect(overdraft.set({ ended: false }, 64 * MiB)).to.be.true()
    expect(overdraft.set({ ended: false }, 1)).to.be.false()
  })
})
