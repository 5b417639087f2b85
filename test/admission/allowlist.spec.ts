/* eslint-disable no-loop-func */

import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { ipOf } from '../../src/admission/addresses.ts'
import { Allowlist } from '../../src/admission/allowlist.ts'
import { InvalidLimitError } from '../../src/core/errors.ts'
import vectors from '../fixtures/vectors/allowlist.json' with { type: 'json' }
import { ip, someIp } from './ips.ts'

interface Op {
  op: string
  addr: string
  peer?: string
  ok?: boolean
  removed?: boolean
  result?: boolean
  error?: string
}

interface Case {
  id: string
  ops: Op[]
  goQuirk?: unknown
}

const cases = vectors.cases as Case[]
const { A, B, Q } = vectors.peers

/**
 * What is asserted in place of what go-libp2p does, and why
 */
const INSTEAD: Record<string, { instead: string, ops: Op[] }> = {
  'several-ips-in-one-entry': {
    instead: 'the first IP address counts, because it is the first that counts for an endpoint',
    ops: [
      { op: 'add', addr: '/ip4/1.1.1.1/tcp/1/ip4/2.2.2.2', ok: true },
      { op: 'allowed', addr: '/ip4/1.1.1.1', result: true },
      { op: 'allowed', addr: '/ip4/2.2.2.2', result: false }
    ]
  },
  'v4-mapped': {
    instead: 'an entry is removed in either spelling, because a mapped address is the IPv4 one (DESIGN 8)',
    ops: [
      { op: 'add', addr: '/ip4/1.2.3.0/ipcidr/24', ok: true },
      { op: 'allowed', addr: '/ip6/::ffff:1.2.3.9/tcp/1', result: true },
      { op: 'add', addr: '/ip6/::ffff:5.6.7.8', ok: true },
      { op: 'allowed', addr: '/ip4/5.6.7.8', result: true },
      { op: 'remove', addr: '/ip4/5.6.7.8', removed: true, ok: true },
      { op: 'allowed', addr: '/ip4/5.6.7.8', result: false },
      { op: 'remove', addr: '/ip6/::ffff:5.6.7.8', removed: false, ok: true },
      { op: 'remove', addr: '/ip6/::ffff:1.2.3.0/ipcidr/120', removed: true, ok: true },
      { op: 'allowed', addr: '/ip4/1.2.3.9', result: false }
    ]
  }
}

const ERRORS: Record<string, RegExp> = {
  missingIp: /allowed is a multiaddr with an IP address/,
  invalidMask: /allowed is a multiaddr with a valid IP address and an ipcidr from 0 to (32|128)/
}

describe('admission: allowlist', () => {
  let allowlist: Allowlist

  beforeEach(() => {
    allowlist = new Allowlist()
  })

  describe('vectors', () => {
    for (const { id, ops } of cases) {
      it(id in INSTEAD ? `${id}: ${INSTEAD[id].instead}` : id, () => {
        for (const [i, { op, addr, peer, removed, result, error }] of (INSTEAD[id]?.ops ?? ops).entries()) {
          const what = `op ${i} ${op} ${addr}`
          const endpoint = op.startsWith('allowed') ? ipOf(multiaddr(addr)) : undefined

          if (error !== undefined) {
            expect(() => op === 'add' ? allowlist.add(addr) : allowlist.remove(addr), what).to.throw(InvalidLimitError)
              .with.property('message').that.matches(ERRORS[error])
          } else if (op === 'add') {
            // as a string or not, by turns
            allowlist.add(i % 2 === 0 ? addr : multiaddr(addr))
          } else if (op === 'remove') {
            expect(allowlist.remove(i % 2 === 0 ? multiaddr(addr) : addr)).to.equal(removed, what)
          } else if (peer === undefined) {
            expect(endpoint !== undefined && allowlist.allows(endpoint)).to.equal(result, what)
          } else {
            expect(endpoint !== undefined && allowlist.allowsPeer(endpoint, peerIdFromString(peer))).to.equal(result, what)
          }
        }
      })
    }

    it('are all run', () => {
      expect(new Set(cases.flatMap(({ ops }) => ops).map(({ op }) => op))).to.deep.equal(new Set(['add', 'remove', 'allowed', 'allowedPeerAndMultiaddr']))
      expect(cases.map(({ id }) => id)).to.include.members(Object.keys(INSTEAD))
      expect(Object.keys(INSTEAD)).to.include.members(cases.filter(({ goQuirk }) => goQuirk !== undefined).map(({ id }) => id))
    })
  })

  it('lists its entries in one notation, each as often as it was added', () => {
    for (const address of [
      '/ip4/1.2.3.4/tcp/1',
      '/ip4/1.2.3.77/ipcidr/24',
      '/ip6/2001:db8:0:0:0:0:0:1/ipcidr/128',
      '/ip6zone/eth0/ip6/fe80::1:2/ipcidr/112',
      '/ip6/::ffff:9.9.9.9/ipcidr/104',
      `/p2p/${Q}/tcp/1/ipcidr/8/ip4/7.7.7.7`,
      '/ip4/1.2.3.4',
      '/ip4/5.5.5.5/p2p/k51qzi5uqu5dl5eb0zkvaq26po4hmxjbc205vrpkyun7n74kdr5iu9f2k2cjdx'
    ]) {
      allowlist.add(address)
    }

    const entries = allowlist.entries()

    expect(entries).to.deep.equal([
      '/ip4/1.2.3.4',
      '/ip4/1.2.3.4',
      '/ip4/1.2.3.0/ipcidr/24',
      '/ip6/2001:db8::1',
      '/ip6/fe80::1:0/ipcidr/112',
      '/ip4/9.0.0.0/ipcidr/8',
      `/ip4/7.0.0.0/ipcidr/8/p2p/${Q}`,
      `/ip4/5.5.5.5/p2p/${A}`
    ])

    // which can be removed as they are
    for (const entry of entries) {
      expect(allowlist.remove(entry)).to.be.true()
    }

    expect(allowlist.entries()).to.be.empty()
    expect(allowlist.allows(ip('1.2.3.4'))).to.be.false()
  })

  it('takes the first of several peers', () => {
    allowlist.add(`/ip4/1.2.3.4/p2p/${A}/p2p/${B}`)

    expect(allowlist.allowsPeer(ip('1.2.3.4'), peerIdFromString(A))).to.be.true()
    expect(allowlist.allowsPeer(ip('1.2.3.4'), peerIdFromString(B))).to.be.false()
  })

  for (const address of [
    '',
    '/',
    'nonsense',
    '/ip4/1.2.3.4/nonsense/1',
    '/ip4/1.2.3',
    '/ip4/1.2.3.0/ipcidr/-1',
    '/ip4/1.2.3.0/ipcidr/x',
    '/ip4/1.2.3.0/ipcidr/8.5',
    '/ip4/1.2.3.0/ipcidr/256',
    // all IPv6 addresses up to there or all IPv4 ones, nobody knows
    '/ip6/::ffff:1.2.3.0/ipcidr/24',
    '/ip4/1.2.3.4/p2p/nonsense',
    '/ip4/1.2.3.4/p2p/Qmnonsense',
    '/ip4/1.2.3.4/p2p/12D3KooW',
    `/ip4/1.2.3.4/tcp/1/p2p/${A}/p2p-circuit`,
    `/ip4/1.2.3.4/tcp/1/p2p/${A}/p2p-circuit/p2p/${B}`,
    undefined,
    null,
    5
  ] as any[]) {
    it(`refuses ${JSON.stringify(address)} as an entry`, () => {
      expect(() => { allowlist.add(address, 'allowlist[3]') }).to.throw(InvalidLimitError)
        .with.property('path', 'allowlist[3]')
      expect(() => allowlist.remove(address)).to.throw(InvalidLimitError)
      expect(allowlist.entries()).to.be.empty()
    })
  }

  it('allows what a list that is searched from end to end does, and forgets everything', () => {
    const peers = [undefined, A, B]
    const entry = fc.record({ text: someIp, prefixLength: fc.nat({ max: 32 }), peer: fc.constantFrom(...peers) })
    const steps = fc.array(fc.record({ add: fc.boolean(), entry, asked: someIp }), { maxLength: 60 })

    fc.assert(fc.property(steps, ops => {
      const list = new Allowlist()
      const naive: Array<{ network: string, prefixLength: number, peer?: string, address: string }> = []

      for (const { add, entry: { text, prefixLength, peer }, asked } of ops) {
        const length = text.includes(':') ? prefixLength * 4 : prefixLength
        const address = `/${text.includes(':') ? 'ip6' : 'ip4'}/${text}/ipcidr/${length}${peer === undefined ? '' : `/p2p/${peer}`}`
        const network = ip(text).network(length)

        if (add) {
          list.add(address)
          naive.push({ network, prefixLength: length, peer, address })
        } else {
          const at = naive.findIndex(other => other.network === network && other.peer === peer)
          expect(list.remove(address)).to.equal(at !== -1)

          if (at !== -1) {
            naive.splice(at, 1)
          }
        }

        const matching = naive.filter(other => {
          const same = asked.includes(':') === other.network.includes(':')

          return same && ip(asked).network(other.prefixLength) === other.network
        })

        expect(list.allows(ip(asked))).to.equal(matching.length > 0)

        for (const id of [A, B]) {
          expect(list.allowsPeer(ip(asked), peerIdFromString(id))).to.equal(matching.some(other => other.peer === undefined || other.peer === id))
        }
      }

      expect(list.entries()).to.have.lengthOf(naive.length)

      for (const { address } of naive) {
        expect(list.remove(address)).to.be.true()
      }

      expect(list.entries()).to.be.empty()
    }))
  })
})
