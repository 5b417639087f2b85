/* eslint-disable no-loop-func */

import { peerIdFromMultihash } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import sinon from 'sinon'
import { createResourceManager, ResourceLimitExceededError } from '../../src/index.ts'
import { RefusalLog } from '../../src/observe/refusal-log.ts'
import { keepLog } from '../fixtures/log.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import type { DefaultResourceManager, ResourceManagerInit } from '../../src/index.ts'
import type { KeptLog } from '../fixtures/log.ts'
import type { PeerId } from '@libp2p/interface'

const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')
const INTERVAL = 10_000

describe('the log of refusals', () => {
  let clock: sinon.SinonFakeTimers
  let kept: KeptLog
  let refusalLog: RefusalLog
  let manager: DefaultResourceManager
  let last: ResourceLimitExceededError

  beforeEach(() => {
    clock = sinon.useFakeTimers()
    kept = keepLog()
    refusalLog = new RefusalLog(kept.log, INTERVAL)
  })

  afterEach(() => {
    refusalLog.stop()
    clock.restore()
  })

  function manage (init: ResourceManagerInit): void {
    manager = createResourceManager(init)
    manager.close()
    manager.addEventListener('blocked', ({ detail }) => {
      last = detail
      refusalLog.add(detail)
    })
  }

  function openStreams (peer: PeerId, times: number, direction: 'inbound' | 'outbound' = 'inbound'): void {
    for (let i = 0; i < times; i++) {
      attempt(() => manager.openStream(peer, direction))
    }
  }

  it('has the first at once, and then once in an interval how many more there were', () => {
    manage({ limits: { peerDefault: { inboundStreams: 0 } } })

    openStreams(PEER, 1_000)
    expect(kept.lines).to.deep.equal([
      `an inbound stream of ${PEER} was refused: Local resource limit exceeded: peer:${PEER} may hold 0 inbound streams, 0 in use, 1 more asked for; raise limits.peers["${PEER}"].inboundStreams if this is legitimate`
    ])

    clock.tick(INTERVAL)
    expect(kept.lines).to.have.lengthOf(2)
    expect(kept.lines[1]).to.equal(`999 more inbound streams of ${PEER} were refused in 10 s, the last: ${last.message}`)

    // still the same flood
    openStreams(PEER, 1)
    expect(kept.lines).to.have.lengthOf(2)
    clock.tick(INTERVAL)
    expect(kept.lines[2]).to.match(/^1 more inbound stream of .* was refused in 10 s/)

    // a quiet interval later it is news again
    clock.tick(INTERVAL)
    openStreams(PEER, 1)
    expect(kept.lines).to.have.lengthOf(4)
    expect(kept.lines[3]).to.equal(kept.lines[0])
  })

  it('tells limits, directions and peers apart', () => {
    manage({ limits: { peerDefault: { inboundStreams: 0, outboundStreams: 0 }, transient: { connections: 0 }, protocols: { '/p/1': { memory: 0 } } } })

    openStreams(PEER, 2)
    openStreams(OTHER_PEER, 2)
    openStreams(PEER, 2, 'outbound')
    attempt(() => manager.openConnection('inbound', true, ENDPOINT))
    attempt(() => { manager.viewProtocol('/p/1', scope => { scope.reserveMemory(4_096) }) })

    expect(kept.lines.map(line => line.slice(0, line.indexOf(': Local')))).to.deep.equal([
      `an inbound stream of ${PEER} was refused`,
      `an inbound stream of ${OTHER_PEER} was refused`,
      `an outbound stream to ${PEER} was refused`,
      `an inbound connection at ${ENDPOINT} was refused`,
      'a reservation of 4096 bytes was refused'
    ])
  })

  it('takes connections, streams and spans together, of which each has a name of its own', () => {
    manage({ limits: { connection: { memory: 5 }, peerDefault: { memory: 5 } } })

    for (let i = 0; i < 100; i++) {
      const connection = manager.openConnection('inbound', false)
      connection.setPeer(PEER)
      attempt(() => { connection.reserveMemory(6) })
      connection.done()
      manager.viewPeer(PEER, scope => {
        const span = scope.beginSpan()
        attempt(() => { span.reserveMemory(6) })
        span.done()
      })
    }

    clock.tick(INTERVAL)
    expect(kept.lines).to.have.lengthOf(4)
    expect(kept.lines[2]).to.match(/^99 more reservations of 594 bytes in all of .* were refused .*the last: .*conn-100 may hold 5 bytes/)
    expect(kept.lines[3]).to.include('span-100 may hold 5 bytes')
  })

  it('does not grow with the peers of an attacker, and still tells what hits other limits', () => {
    manage({ limits: { peerDefault: { inboundStreams: 0 }, system: { connections: 0 }, transient: { outboundStreams: 0 } } })

    for (let i = 0; i < 5_000; i++) {
      openStreams(numbered(i), 2)
      manager.removeUnusedScopes()
    }

    const before = kept.lines.length
    expect(before).to.equal(33)

    attempt(() => manager.openConnection('inbound', true, ENDPOINT))
    openStreams(PEER, 5, 'outbound')
    expect(kept.lines.slice(before).map(line => line.slice(0, line.indexOf(': Local')))).to.deep.equal([
      `an inbound connection at ${ENDPOINT} was refused`,
      `an outbound stream to ${PEER} was refused`
    ])

    clock.tick(INTERVAL)
    const summary = kept.lines.at(-1)
    expect(summary).to.equal('and 9939 more of 2 kinds, of other peers or addresses, in 10 s: 9935 by inbound peer.inboundStreams, 4 by outbound transient.outboundStreams')
    // every refusal is in one line
    expect(kept.lines.reduce((sum, line) => sum + Number(/^(?:and )?(\d+) more/.exec(line)?.[1] ?? 1), 0)).to.equal(10_006)
    expect(kept.lines.length).to.be.at.most(2 * 32 + 4)

    // and nothing is left of it
    clock.tick(INTERVAL)
    expect(clock.countTimers()).to.equal(0)
    expect(kept.lines.at(-1)).to.equal(summary)
  })

  it('says what would have been refused where nothing is', () => {
    manage({ enforce: false, limits: { peerDefault: { inboundStreams: 0 } } })

    openStreams(PEER, 3)
    clock.tick(INTERVAL)
    expect(kept.lines[0]).to.match(/^an inbound stream of .* would have been refused: /)
    expect(kept.lines[1]).to.match(/^2 more inbound streams of .* would have been refused in 10 s/)
  })

  it('has limits by address, by rate and of the process', () => {
    manage({
      now: () => 0,
      limits: { subnets: { ipv4: { prefixes: [{ prefixLength: 32, connections: 1 }] } }, rates: { connections: { ipv4: { prefixes: [{ prefixLength: 32, perSecond: 0, burst: 2 }] } } } }
    })

    for (let i = 0; i < 3; i++) {
      attempt(() => manager.openConnection('inbound', true, ENDPOINT))
      attempt(() => manager.openConnection('inbound', true, multiaddr('/ip4/192.0.2.2/tcp/1')))
    }

    const kinds = kept.lines.map(line => /: (Local .* exceeded: \S+) /.exec(line)?.[1])
    expect(kinds).to.deep.equal([
      'Local resource limit exceeded: subnet:192.0.2.1/32',
      'Local resource limit exceeded: subnet:192.0.2.2/32',
      'Local rate limit exceeded: rate:192.0.2.1/32',
      'Local rate limit exceeded: rate:192.0.2.2/32'
    ])

    // in a page nobody knows how much that is
    refusalLog.add(new ResourceLimitExceededError({ scope: 'process', kind: 'process', path: ['process'], resource: 'memory', direction: 'inbound', current: 6, attempted: 0, limit: 5, option: 'maxProcessMemory' }))
    expect(kept.lines.at(-1)).to.equal('an inbound request was refused: Local resource limit exceeded: the process may hold 5 bytes of memory, 6 are resident, ' +
      'nothing new is let in until there are fewer; raise maxProcessMemory if this is legitimate')
  })

  it('is one line whatever names there are', () => {
    manage({ limits: { protocolDefault: { streams: 0 } } })
    attempt(() => { manager.openStream(PEER, 'inbound').setProtocol('/a\n\u001b[2J\u2028\u202eb') })

    expect(kept.lines).to.have.lengthOf(1)
    expect(kept.lines[0]).to.include('protocol:/a��[2J��b may hold')
    expect(/[\p{Cc}\p{Cf}\p{Zl}]/u.test(kept.lines[0])).to.be.false()
  })

  it('does nothing while the logger is off', () => {
    kept.log.enabled = false
    manage({ limits: { peerDefault: { inboundStreams: 0 } } })
    const timers = clock.countTimers()

    openStreams(PEER, 10)
    expect(clock.countTimers()).to.equal(timers)

    kept.log.enabled = true
    clock.tick(INTERVAL)
    expect(kept.lines).to.be.empty()

    // switched off in between: what was kept goes
    openStreams(PEER, 10)
    kept.log.enabled = false
    clock.tick(INTERVAL)
    expect(clock.countTimers()).to.equal(timers)
    kept.log.enabled = true
    openStreams(PEER, 1)
    expect(kept.lines).to.have.lengthOf(2)
  })

  it('tells what is left at the end, and ends its timer', () => {
    manage({ limits: { peerDefault: { inboundStreams: 0 } } })
    openStreams(PEER, 3)
    expect(clock.countTimers()).to.equal(1)

    refusalLog.stop()
    expect(kept.lines[1]).to.match(/^2 more/)
    expect(clock.countTimers()).to.equal(0)
    refusalLog.stop()
    expect(kept.lines).to.have.lengthOf(2)
  })
})

function attempt (fn: () => unknown): void {
  try {
    fn()
  } catch (err: any) {
    if (err.name !== 'ResourceLimitExceededError') {
      throw err
    }
  }
}

function numbered (n: number): PeerId {
  const digest = new Uint8Array(32)
  new DataView(digest.buffer).setUint32(0, n)

  return peerIdFromMultihash({ code: 0x12, size: 32, digest, bytes: Uint8Array.from([0x12, 32, ...digest]) })
}
