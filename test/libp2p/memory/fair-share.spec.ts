/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { createResourceManager, ReservationPriority } from '../../../src/index.ts'
import { FairShare } from '../../../src/libp2p/memory/fair-share.ts'
import { OTHER_PEER, PEER } from '../../fixtures/peers.ts'
import type { DefaultResourceManager, PeerScope, ResourceScope } from '../../../src/index.ts'

const MiB = 1024 * 1024

describe('the share of a peer', () => {
  let manager: DefaultResourceManager
  let share: FairShare

  function start (memory: number): void {
    manager = createResourceManager({ limits: { system: { memory }, peerDefault: { memory: Infinity }, stream: { memory: Infinity } } })
    share = new FairShare(manager)
  }

  function reserve (bytes: number): void {
    manager.viewSystem(scope => { scope.reserveMemory(bytes) })
  }

  function reserveFor (peer: typeof PEER, bytes: number): void {
    manager.viewPeer(peer, scope => { scope.reserveMemory(bytes) })
  }

  function priorityFor (peer?: typeof PEER): number {
    return peer == null ? share.priorityFor() : manager.viewPeer(peer, (scope: PeerScope) => share.priorityFor(scope))
  }

  function isExceededBy (peer: typeof PEER): boolean {
    return manager.viewPeer(peer, scope => share.isExceededBy(scope))
  }

  afterEach(() => {
    manager.close()
  })

  it('is a 128th of the memory, and at least 1 MiB', () => {
    for (const [limit, expected] of [[0, MiB], [64 * MiB, MiB], [128 * MiB, MiB], [256 * MiB, 2 * MiB], [1024 * MiB, 8 * MiB]]) {
      start(limit)
      manager.setLimits({ system: { memory: Infinity } })
      reserveFor(PEER, expected)
      manager.setLimits({ system: { memory: limit } })
      expect(isExceededBy(PEER), `${limit}`).to.be.false()

      manager.setLimits({ system: { memory: Infinity } })
      reserveFor(PEER, 1)
      manager.setLimits({ system: { memory: limit } })
      expect(isExceededBy(PEER), `${limit}`).to.be.true()
      expect(isExceededBy(OTHER_PEER)).to.be.false()
      manager.close()
    }
  })

  it('matters only when the memory is filled as far as medium priority goes', () => {
    const LIMIT = 256 * MiB
    const MEDIUM = Math.floor((1 + ReservationPriority.Medium) * LIMIT / 256)
    start(LIMIT)
    reserveFor(PEER, 2 * MiB + 1)
    reserveFor(OTHER_PEER, 2 * MiB)
    reserve(MEDIUM - 4 * MiB - 1)

    expect(manager.stat().system.memory).to.equal(MEDIUM)
    expect(priorityFor(PEER)).to.equal(ReservationPriority.Always)
    expect(priorityFor(OTHER_PEER)).to.equal(ReservationPriority.Always)

    reserve(1)
    expect(priorityFor(PEER)).to.equal(ReservationPriority.Medium)
    expect(priorityFor(OTHER_PEER)).to.equal(ReservationPriority.Always)
    // what is below its streams may have more, so that it is the streams that end
    expect(manager.viewPeer(PEER, scope => share.priorityForConnection(scope))).to.equal(ReservationPriority.High)
    expect(manager.viewPeer(OTHER_PEER, scope => share.priorityForConnection(scope))).to.equal(ReservationPriority.Always)

    // which is what it would find
    expect(() => { manager.viewPeer(PEER, scope => { scope.reserveMemory(1, ReservationPriority.Medium) }) })
      .to.throw().with.property('name', 'ResourceLimitExceededError')
    reserveFor(OTHER_PEER, 2 * MiB)
    expect(priorityFor(OTHER_PEER)).to.equal(ReservationPriority.Medium)
  })

  it('is not asked for before the peer is known', () => {
    start(4 * MiB)
    reserve(4 * MiB)
    expect(priorityFor()).to.equal(ReservationPriority.Always)
    expect(share.isExceededBy()).to.be.false()
  })

  it('has no end without a limit', () => {
    start(Infinity)
    reserveFor(PEER, 2 ** 50)
    expect(isExceededBy(PEER)).to.be.false()
    expect(priorityFor(PEER)).to.equal(ReservationPriority.Always)
  })

  it('follows limits that change', () => {
    start(1024 * MiB)
    reserveFor(PEER, 3 * MiB)
    expect(priorityFor(PEER)).to.equal(ReservationPriority.Always)

    manager.setLimits({ system: { memory: 4 * MiB } })
    expect(priorityFor(PEER)).to.equal(ReservationPriority.Medium)
  })

  it('leaves room for as many modest peers as fill what greedy ones cannot have', () => {
    const LIMIT = 256 * MiB
    start(LIMIT)

    // greedy ones take in steps what they get
    let refused = false
    while (!refused) {
      try {
        manager.viewPeer(PEER, scope => { scope.reserveMemory(64 * 1024, share.priorityFor(scope)) })
      } catch {
        refused = true
      }
    }

    expect(manager.stat().system.memory).to.be.at.most(0.6 * LIMIT + 64 * 1024)
    expect(manager.stat().system.memory).to.be.at.least(0.59 * LIMIT)

    // a share each, and all at the priority that is never refused while there is room
    const modest = Math.floor((LIMIT - manager.stat().system.memory) / (2 * MiB))
    expect(modest).to.be.at.least(51)
    manager.viewPeer(OTHER_PEER, scope => { scope.reserveMemory(2 * MiB, share.priorityFor(scope)) })
    expect(manager.stat().peers.get(`${OTHER_PEER}`)?.memory).to.equal(2 * MiB)
  })

  describe('of what a stream may be let to send', () => {
    const BYTES = MiB

    for (const [name, fill] of Object.entries<(scope: (bytes: number) => void) => void>({ 'plenty of room': () => {}, 'as much as low priority lets through': fill => { fill(0) }, 'a byte less': fill => { fill(1) } })) {
      for (const kind of ['stream', 'peer', 'protocol', 'service', 'system'] as const) {
        it(`is ${name === 'a byte less' ? 'refused' : 'granted'} with ${name} in the scope of the ${kind}, and nothing is counted`, () => {
          const LIMIT = 16 * MiB
          const LOW = Math.floor((1 + ReservationPriority.Low) * LIMIT / 256)
          let refusals = 0
          manager = createResourceManager({
            limits: {
              stream: { memory: kind === 'stream' ? LIMIT : Infinity },
              peerDefault: { memory: kind === 'peer' ? LIMIT : Infinity },
              protocolDefault: { memory: kind === 'protocol' ? LIMIT : Infinity },
              protocolPeerDefault: { memory: Infinity },
              serviceDefault: { memory: kind === 'service' ? LIMIT : Infinity },
              servicePeerDefault: { memory: Infinity },
              system: { memory: kind === 'system' ? LIMIT : Infinity }
            }
          })
          manager.addEventListener('blocked', () => { refusals++ })
          share = new FairShare(manager)

          const stream = manager.openStream(PEER, 'inbound')
          stream.setProtocol('/mine/1.0.0')
          stream.setService('mine')
          const scopes: Record<typeof kind, ResourceScope | undefined> = {
            stream,
            peer: stream.peerScope,
            protocol: stream.protocolScope,
            service: stream.serviceScope,
            system: manager.viewSystem(scope => scope)
          }

          fill(more => { scopes[kind]?.reserveMemory(LOW - BYTES + more) })
          const before = manager.stat().system.memory
          expect(share.hasPlentyOfRoom(stream, BYTES)).to.equal(name !== 'a byte less')
          expect(manager.stat().system.memory).to.equal(before)
          expect(refusals).to.equal(0)
        })
      }
    }
  })
})
