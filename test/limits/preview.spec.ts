import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { RESOURCES } from '../../src/core/limit.ts'
import { createResourceManager } from '../../src/index.ts'
import { NAMED_KEYS, SCOPE_KEYS } from '../../src/limits/limits.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import type { DefaultResourceManager, EnforcedLimits, Limit, Limits, ResourceManagerInit, ScopeKind } from '../../src/index.ts'

const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')

const value = fc.constantFrom(0, 1, 2, 100, Infinity, 2n ** 63n, undefined)
const limit = fc.record(Object.fromEntries(RESOURCES.map(resource => [resource, value])), { requiredKeys: [] }) as fc.Arbitrary<Limit>
const record = (...names: string[]): fc.Arbitrary<Record<string, Limit>> => fc.dictionary(fc.constantFrom(...names), limit, { maxKeys: 2 })
const allLimits = fc.record({
  ...Object.fromEntries(SCOPE_KEYS.map(key => [key, limit])),
  services: record('svc', '__proto__'),
  servicePeers: record('svc', 'other'),
  protocols: record('/p/1', '/p/"2"'),
  protocolPeers: record('/p/1', '/p/3'),
  peers: record(PEER.toString(), OTHER_PEER.toString()),
  subnets: fc.constantFrom({}, { ipv4: { prefixes: [] } }, { ipv4: { prefixes: [{ prefixLength: 32, connections: 8 }] } }),
  rates: fc.constantFrom({}, { inboundStreamsOfPeer: { default: { perSecond: 1, burst: 2 } } })
}, { requiredKeys: [] }) as fc.Arbitrary<Limits>

/**
 * Something of every kind
 */
function managerInUse (init: ResourceManagerInit = {}): DefaultResourceManager {
  const manager = createResourceManager({ ...init, enforce: false })
  manager.close()
  const connection = manager.openConnection('inbound', true, ENDPOINT)
  connection.setPeer(PEER)
  connection.reserveMemory(10)
  const stream = manager.openStream(PEER, 'inbound')
  stream.setProtocol('/p/1')
  stream.setService('svc')
  stream.reserveMemory(30)
  manager.openStream(OTHER_PEER, 'outbound')

  return manager
}

/**
 * What differs between two enforced limits, found another way: by what is printed
 */
function differences (before: EnforcedLimits, after: EnforcedLimits): string[] {
  const [a, b] = [before, after].map(limits => {
    const flat = new Map<string, unknown>()

    for (const key of SCOPE_KEYS) {
      RESOURCES.forEach(resource => { flat.set(`limits.${key}.${resource}`, limits[key][resource]) })
    }

    for (const key of NAMED_KEYS) {
      for (const name of Object.keys({ ...before[key], ...after[key] })) {
        const fallback = `${key.replace(/s$/, '')}Default` as 'peerDefault'
        RESOURCES.forEach(resource => { flat.set(`limits.${key}[${JSON.stringify(name)}].${resource}`, (limits[key][name] ?? limits[fallback])[resource]) })
      }
    }

    for (const key of ['subnets', 'rates'] as const) {
      flat.set(`limits.${key}`, JSON.stringify(limits[key], (_, value) => value === Infinity ? 'Infinity' : value))
    }

    return flat
  })

  return [...b].filter(([option, value]) => a.get(option) !== value).map(([option]) => option)
}

describe('a preview of limits', () => {
  for (const [what, init] of Object.entries<ResourceManagerInit>({
    'a table': {},
    'a limiter of your own': { limits: { limitFor: (kind: ScopeKind, name?: string) => kind === 'protocol' ? { streams: name?.length } : undefined } }
  })) {
    it(`tells exactly what will change, and changes nothing, with ${what}`, () => {
      fc.assert(fc.property(allLimits, fc.boolean(), (limits, sticky) => {
        const manager = managerInUse(init)

        if (sticky) {
          manager.viewPeer(PEER, scope => { scope.setLimit({ streams: 5 }) })
          manager.viewSystem(scope => { scope.setLimit({ memory: 5 }) })
        }

        const before = manager.limits()
        const preview = manager.previewLimits(limits)
        expect(manager.limits()).to.deep.equal(before)

        manager.setLimits(limits)
        expect(preview.map(({ option }) => option)).to.have.members(differences(before, manager.limits()))
        expect(manager.previewLimits(limits)).to.deep.equal([])
      }))
    })
  }

  it('tells the values, the highest use of the scopes that a limit is for, and whether that is more', () => {
    const manager = managerInUse()
    const { limits: _, ...before } = { limits: 0, ...manager.limits() }

    expect(manager.previewLimits({
      system: { memory: 40 },
      peerDefault: { memory: 29 },
      peers: { [OTHER_PEER.toString()]: { outboundStreams: 0 } },
      protocols: { '/unused': { streams: 3 } },
      connection: { memory: 9 }
    })).to.deep.equal([
      { option: 'limits.system.memory', from: before.system.memory, to: 40, inUse: 40, exceeded: false },
      { option: 'limits.peerDefault.memory', from: before.peerDefault.memory, to: 29, inUse: 40, exceeded: true },
      { option: 'limits.connection.memory', from: before.connection.memory, to: 9, inUse: 10, exceeded: true },
      { option: 'limits.protocols["/unused"].streams', from: before.protocolDefault.streams, to: 3, inUse: undefined, exceeded: false },
      { option: `limits.peers["${OTHER_PEER}"].outboundStreams`, from: before.peerDefault.outboundStreams, to: 0, inUse: 1, exceeded: true },
      { option: `limits.peers["${OTHER_PEER}"].memory`, from: before.peerDefault.memory, to: 29, inUse: 0, exceeded: false }
    ])
  })

  it('leaves out connections and streams that have a limit of their own', () => {
    const manager = managerInUse()
    manager.listConnections()[0].setLimit({ memory: 1_000 })

    expect(manager.previewLimits({ connection: { memory: 9 } })).to.containSubset([{ inUse: undefined, exceeded: false }])
    expect(manager.previewLimits({ stream: { memory: 9 } })).to.containSubset([{ inUse: 30, exceeded: true }])
  })

  it('has limits by address and rate as a whole', () => {
    const manager = managerInUse()
    const { subnets, rates } = manager.limits()
    const ipv4 = { prefixes: [{ prefixLength: 24, connections: 5 }] }
    const [change, ...more] = manager.previewLimits({ subnets: { ipv4 }, rates })

    expect(more).to.be.empty()
    expect(change).to.deep.include({ option: 'limits.subnets', from: subnets, exceeded: false })
    manager.setLimits({ subnets: { ipv4 } })
    expect(manager.limits().subnets).to.deep.equal(change.to)
  })

  it('throws what setLimits throws', () => {
    const manager = managerInUse()
    let answered = false
    const custom = managerInUse({ limits: { limitFor: kind => kind === 'stream' && answered ? { memory: -1 } : undefined } })

    for (const limits of [
      null, undefined, 5, [], { sistem: {} }, { system: { memory: -1 } }, { peers: { nobody: {} } }, { subnets: { ipv4: { prefixes: [{ prefixLength: 33, connections: 1 }] } } },
      { rates: { connections: { global: { perSecond: -1 } } } }, { subnets: null }
    ] as any[]) {
      const [preview, set] = [() => { manager.previewLimits(limits) }, () => { manager.setLimits(limits) }].map(thrownBy)

      expect(preview, JSON.stringify(limits)).to.have.property('name', 'InvalidLimitError')
      expect(preview).to.have.property('message', set.message)
    }

    answered = true
    expect(thrownBy(() => { custom.previewLimits({}) })).to.have.property('message', thrownBy(() => { custom.setLimits({}) }).message)
  })
})

function thrownBy (fn: () => void): Error {
  try {
    fn()
  } catch (err: any) {
    return err
  }

  throw new Error('Nothing was thrown')
}
