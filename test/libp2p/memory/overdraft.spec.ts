import { expect } from 'aegir/chai'
import { Uint8ArrayList } from 'uint8arraylist'
import { createResourceManager } from '../../../src/index.ts'
import { accountDecoder } from '../../../src/libp2p/memory/connections.ts'
import { FairShare } from '../../../src/libp2p/memory/fair-share.ts'
import { Overdraft } from '../../../src/libp2p/memory/overdraft.ts'
import { PEER } from '../../fixtures/peers.ts'
import type { DefaultResourceManager } from '../../../src/index.ts'

const KiB = 1024
const MiB = 1024 * KiB

describe('what may be there although it could not be reserved', () => {
  function holders (count: number): Array<{ ended: boolean }> {
    return Array.from({ length: count }, () => ({ ended: false }))
  }

  it('is 64 MiB of all together, and a little of each in any case', () => {
    const overdraft = new Overdraft()
    const [first, ...others] = holders(66)

    expect(overdraft.set(first, MiB)).to.be.true()
    expect(others.map(holder => overdraft.set(holder, MiB))).to.deep.equal([...new Array(63).fill(true), false, false])
    expect(overdraft.set(others[64], 16 * KiB)).to.be.true()
    expect(overdraft.set(others[64], 16 * KiB + 1)).to.be.false()

    // one that has come to terms makes room for another
    expect(overdraft.set(first, 0)).to.be.true()
    expect(overdraft.set(others[64], MiB)).to.be.true()
    expect(overdraft.set(others[64], MiB + 1)).to.be.false()
    // who was refused holds nothing
    expect(overdraft.set(first, MiB)).to.be.true()
  })

  it('is nothing of what has ended, which is forgotten', () => {
    const overdraft = new Overdraft()
    const ended = holders(64)
    ended.forEach(holder => overdraft.set(holder, MiB))
    ended.forEach(holder => { holder.ended = true })

    expect(overdraft.set({ ended: false }, 64 * MiB)).to.be.true()
    expect(overdraft.set({ ended: false }, MiB)).to.be.false()

    // also if it was next to nothing
    for (let i = 0; i < 10_000; i++) {
      const holder = { ended: false }
      overdraft.set(holder, 1)
      holder.ended = true
    }

    expect((overdraft as unknown as { held: Map<unknown, number> }).held.size).to.be.at.most(200)
  })

  describe('of frames that are not whole', () => {
    let manager: DefaultResourceManager
    let share: FairShare
    let overdraft: Overdraft

    interface Connection {
      buffer: Uint8ArrayList
      record: { ended: boolean }
      receive(bytes: number): void
    }

    beforeEach(() => {
      manager = createResourceManager({ limits: { system: { memory: 64 * MiB } } })
      share = new FairShare(manager)
      overdraft = new Overdraft()
    })

    afterEach(() => { manager.close() })

    function connect (): Connection {
      const scope = manager.openConnection('inbound', false)
      scope.setPeer(PEER)
      const buffer = new Uint8ArrayList()
      const record = { scope, ended: false }
      const muxer: any = { decoder: { buffer }, onData: (data: Uint8Array) => { buffer.append(data) } }
      accountDecoder(muxer, record, share, overdraft)

      return { buffer, record, receive: bytes => { muxer.onData(new Uint8Array(bytes)) } }
    }

    it('is counted together, and given back when it is reserved, is read or has ended', () => {
      manager.setLimits({ peerDefault: { connections: 1_000, inboundConnections: 1_000 } })
      const connections = Array.from({ length: 258 }, connect)
      const others = manager.viewSystem(scope => scope.beginSpan())
      others.reserveMemory(64 * MiB - manager.stat().system.memory)
      const full = connections.slice(0, 256)
      full.forEach(({ receive }) => { receive(256 * KiB) })

      expect(manager.stat().system.memory).to.equal(64 * MiB)
      expect(() => { connections[256].receive(100_000) }).to.throw().with.property('name', 'ResourceLimitExceededError')
      expect(connections[256].buffer.byteLength).to.equal(0)
      // a header
      connections[256].receive(12)

      // read
      full[0].buffer.consume(256 * KiB)
      full[0].receive(0)
      connections[257].receive(200_000)
      expect(() => { full[0].receive(200_000) }).to.throw()

      // reserved
      others.releaseMemory(MiB)
      full[1].receive(1)
      others.reserveMemory(64 * MiB - manager.stat().system.memory)
      full[0].receive(200_000)
      expect(() => { connections[256].receive(200_000) }).to.throw()

      // ended
      full[2].record.ended = true
      connections[256].receive(200_000)
    })
  })
})
