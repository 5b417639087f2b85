/**
 * @file What the inspector tells about a manager, and what it costs if somebody
 * looks slowly, if too many look, and if nobody does.
 */

import { expect } from 'aegir/chai'
import { RESOURCES } from '../../../src/core/limit.ts'
import { createResourceManager } from '../../../src/index.ts'
import { MOST_CLIENTS } from '../../../src/observe/inspector/feed.ts'
import { serveInspector } from '../../../src/observe/inspector/inspector.ts'
import { FIELDS } from '../../../src/observe/inspector/page/messages.ts'
import { ask, EventReader, makePeers, ownHeaders, secretOf } from '../../fixtures/inspector.ts'
import { eventually } from '../../fixtures/nodes.ts'
import { OTHER_PEER, PEER } from '../../fixtures/peers.ts'
import type { DefaultResourceManager, Limits } from '../../../src/index.ts'
import type { Inspector } from '../../../src/observe/inspector/inspector.ts'
import type { PeerId } from '@libp2p/interface'

const KIB = 1024
const MIB = 1024 * 1024

describe('what the inspector tells', () => {
  let manager: DefaultResourceManager
  let inspector: Inspector
  let readers: EventReader[]

  async function start (limits?: Limits): Promise<void> {
    manager = createResourceManager({ limits })
    inspector = await serveInspector(manager, { allowChanges: true, interval: 50, name: 'node a' })
    readers = []
  }

  function isRefused (peer: PeerId): boolean {
    try {
      manager.openStream(peer, 'inbound')

      return false
    } catch {
      return true
    }
  }

  async function look (): Promise<EventReader> {
    const reader = await EventReader.open(inspector.url)
    readers.push(reader)

    return reader
  }

  afterEach(async () => {
    readers.forEach(reader => { reader.close() })
    await inspector.close()
    manager.close()
  })

  it('is what is used of what may be used, by whom', async () => {
    await start({ system: { memory: 2n ** 60n, outboundStreams: Infinity }, protocols: { '/echo/1.0.0': { inboundStreams: 4 } }, peers: { [`${PEER}`]: { connections: 10 } } })
    const connection = manager.openConnection('inbound', true)
    connection.setPeer(PEER)
    connection.reserveMemory(10 * KIB)
    const stream = manager.openStream(OTHER_PEER, 'inbound')
    stream.setProtocol('/echo/1.0.0')
    stream.setService('echo')
    stream.reserveMemory(KIB)

    const reader = await look()
    expect(await reader.next('welcome')).to.deep.equal({ name: 'node a', pid: process.pid, allowChanges: true })

    const { roots: [system, transient], peers, protocols, services, shares, connections, streams, memory } = await reader.next('snapshot')
    expect(FIELDS).to.deep.equal(RESOURCES)
    expect(system).to.deep.include({ kind: 'system', use: [1, 1, 0, 1, 1, 0, 1, 11 * KIB] })
    expect(system.limit.at(-1)).to.equal(`${2n ** 60n}`)
    expect(system.limit[2]).to.equal('unlimited')
    expect(transient.use).to.deep.equal([0, 0, 0, 0, 0, 0, 0, 0])
    expect(peers.total).to.equal(2)
    expect(peers.rows.find(({ name }) => name === `${PEER}`)).to.deep.include({ use: [0, 0, 0, 1, 1, 0, 1, 10 * KIB] }).with.nested.property('limit[3]', 10)
    expect(protocols).to.have.nested.property('rows[0]').that.deep.includes({ name: '/echo/1.0.0', fullness: 0.25, option: 'limits.protocols["/echo/1.0.0"]', use: [1, 1, 0, 0, 0, 0, 0, KIB] })
    expect(services).to.have.nested.property('rows[0].name', 'echo')
    expect(shares.rows.map(({ kind, name, option }) => [kind, name, option])).to.have.deep.members([
      ['protocolPeer', `${OTHER_PEER} /echo/1.0.0`, 'limits.protocolPeers["/echo/1.0.0"]'],
      ['servicePeer', `${OTHER_PEER} echo`, 'limits.servicePeers["echo"]']
    ])
    expect(connections.rows).to.have.length(1).with.nested.property('[0]').that.includes({ peer: `${PEER}`, direction: 'inbound', memory: 10 * KIB })
    expect(streams.rows).to.have.length(1).with.nested.property('[0]').that.includes({ peer: `${OTHER_PEER}`, protocol: '/echo/1.0.0', service: 'echo' })
    expect(memory.accounted).to.equal(11 * KIB)
    expect(memory.resident).to.be.above(MIB)

    stream.done()
    connection.done()

    for (;;) {
      const { roots: [{ use }] } = await reader.next('snapshot')

      if (use.every(value => value === 0)) {
        break
      }
    }
  })

  it('is of ten thousand peers those that matter, whatever they are sorted by', async () => {
    await start({ system: { connections: Infinity, inboundConnections: Infinity, streams: Infinity, inboundStreams: Infinity, memory: Infinity, fileDescriptors: Infinity }, transient: { connections: Infinity, inboundConnections: Infinity, streams: Infinity, inboundStreams: Infinity, fileDescriptors: Infinity }, peerDefault: { memory: MIB } })
    const peers = makePeers(10_000)

    peers.forEach(peer => { manager.openConnection('inbound', true).setPeer(peer) })
    peers.slice(2000, 2010).forEach(peer => { manager.viewPeer(peer, scope => { scope.reserveMemory(64 * KIB) }) })
    peers.slice(7000, 7010).forEach(peer => { Array.from({ length: 5 }, () => manager.openStream(peer, 'inbound')) })
    manager.viewPeer(peers[9999], scope => { scope.setLimit({ connections: 1 }) })

    const reader = await look()
    const { peers: { total, rows }, connections } = await reader.next('snapshot')
    const names = (from: number, to: number): string[] => peers.slice(from, to).map(peer => peer.toString())

    expect(total).to.equal(10_000)
    expect(rows.length).to.be.within(50, 150)
    expect(rows[0]).to.include({ name: `${peers[9999]}`, fullness: 1 })
    expect(rows.toSorted((a, b) => b.use[7] - a.use[7]).slice(0, 10).map(({ name }) => name)).to.have.members(names(2000, 2010))
    expect(rows.toSorted((a, b) => b.use[0] - a.use[0]).slice(0, 10).map(({ name }) => name)).to.have.members(names(7000, 7010))
    expect(connections.total).to.equal(10_000)
    expect(connections.rows).to.have.length(50)
  })

  it('is each kind of refusal once, with how often and what to change', async () => {
    await start({ protocols: { '/full/1.0.0': { inboundStreams: 0 } } })
    const reader = await look()
    await reader.next('snapshot')
    const stream = manager.openStream(PEER, 'inbound')

    for (let i = 0; i < 100_000; i++) {
      try {
        stream.setProtocol('/full/1.0.0')
      } catch {
        // all are refused
      }
    }

    let refusal

    while (refusal?.count !== 100_000) {
      const refusals = await reader.next('refusals')
      expect(refusals.length).to.be.at.most(1)
      refusal = refusals[0] ?? refusal
    }

    expect(refusal).to.include({ scope: 'protocol:/full/1.0.0', resource: 'inboundStreams', direction: 'inbound', limit: 0, current: 0, enforced: true, peer: `${PEER}`, option: 'limits.protocols["/full/1.0.0"].inboundStreams' })
    expect(refusal.message).to.include('raise limits.protocols["/full/1.0.0"].inboundStreams if this is legitimate')
    // what has not changed is not told again
    expect(await reader.next('refusals')).to.deep.equal([])
    expect((await reader.next('snapshot')).refusals).to.deep.include({ kind: 'protocol', resource: 'inboundStreams', direction: 'inbound', enforced: true, count: 100_000 })
  })

  it('is at most 200 kinds of refusals, the latest', async () => {
    await start({ peerDefault: { inboundStreams: 0 } })
    const reader = await look()
    await reader.next('snapshot')
    const peers = makePeers(1000)

    expect(peers.filter(peer => !isRefused(peer))).to.be.empty()

    const seen = new Map<string, number>()

    while (!seen.has(`peer:${peers[999]}`)) {
      for (const { scope, count } of await reader.next('refusals')) {
        seen.set(scope, count)
      }
    }

    expect([...seen.keys()]).to.have.members(peers.slice(800).map(peer => `peer:${peer}`))
    expect(new Set(seen.values())).to.deep.equal(new Set([1]))
  })

  it('is names of remotes cut short, and nothing but JSON', async () => {
    await start()
    const hostile = `/"</script>\n\nevent: welcome\ndata: {}\n\n\u2028${'x'.repeat(1000)}`
    manager.openStream(PEER, 'inbound').setProtocol(hostile)

    const { protocols: { rows } } = await (await look()).next('snapshot')
    expect(rows.find(({ name }) => name.startsWith('/"'))).to.have.property('name', `${hostile.slice(0, 256)}…`)
  })

  it('is what happened in the seconds before somebody looks', async () => {
    await start()
    manager.viewSystem(scope => { scope.reserveMemory(MIB) })
    const first = await look()
    const { at } = (await samples(first, 2)).at(-1) as { at: number }

    const second = await samples(await look(), 2)
    expect(second[0]).to.include({ memory: MIB, connections: 0, streams: 0, refusals: 0 })
    expect(second.some(sample => sample.at === at)).to.be.true()
  })

  async function samples (reader: EventReader, count: number): Promise<Array<{ at: number }>> {
    const all: Array<{ at: number }> = []

    while (all.length < count) {
      all.push(...await reader.next('samples'))
    }

    return all
  }

  it('costs nothing of refusals while nobody looks', async () => {
    await start()
    expect(manager.listenerCount('blocked')).to.equal(0)

    const [first, second] = [await look(), await look()]
    expect(manager.listenerCount('blocked')).to.equal(1)

    first.close()
    await second.next('snapshot')
    expect(manager.listenerCount('blocked')).to.equal(1)

    second.close()
    await eventually(() => manager.listenerCount('blocked') === 0)

    const third = await look()
    await third.next('snapshot')
    expect(manager.listenerCount('blocked')).to.equal(1)
  })

  it('does not pile up for who does not read it', async () => {
    await start()

    // so that a snapshot is large
    for (const [i, peer] of makePeers(150).entries()) {
      const stream = manager.openStream(peer, 'inbound')
      stream.setProtocol(`/${'long'.repeat(63)}${i}`)
      stream.reserveMemory(i)
    }

    let stats = 0
    const stat = manager.stat.bind(manager)
    manager.stat = () => {
      stats++

      return stat()
    }

    const slow = await look()
    // what a socket takes is taken, then no snapshot is made any more
    let before = -1

    for (let i = 0; i < 40 && stats !== before; i++) {
      before = stats
      await new Promise(resolve => setTimeout(resolve, 1000))
    }

    expect(stats).to.equal(before)

    // a reader that reads gets them, whatever the other one does
    const quick = await look()
    await quick.next('snapshot')
    await quick.next('snapshot')
    expect(stats).to.be.above(before)
    quick.close()

    // what has piled up is read, and then it goes on
    const made = stats
    let snapshots = 0

    while (snapshots <= made) {
      await slow.next('snapshot')
      snapshots++
    }
  }).timeout(60_000)

  it('is no more often made for who comes again and again', async () => {
    await start()
    const stat = manager.stat.bind(manager)
    let stats = 0

    // the next one waits for twenty times as long
    manager.stat = () => {
      stats++

      for (const start = performance.now(); performance.now() < start + 50;) {
        // as with very many peers
      }

      return stat()
    }

    for (let i = 0; i < 40; i++) {
      (await look()).close()
    }

    expect(stats).to.be.below(20)
    await (await look()).next('snapshot')
  })

  it('is told to so many', async () => {
    await start()

    for (let i = 0; i < MOST_CLIENTS; i++) {
      await look()
    }

    await expect(look()).to.eventually.be.rejectedWith('503')
    readers[0].close()
    await eventually(async () => look().then(() => true, () => false))
  })

  it('ends when it is closed, at once and once', async () => {
    await start()
    const reader = await look()
    const secret = await secretOf(inspector.url)
    await reader.next('snapshot')
    await Promise.all([inspector.close(), inspector.close()])
    await inspector.close()

    await expect((async () => { for (;;) { await reader.next('snapshot') } })()).to.eventually.be.rejected()
    expect(manager.listenerCount('blocked')).to.equal(0)
    await expect(ask(inspector.url, { headers: ownHeaders(inspector.url, secret) })).to.eventually.be.rejected()
  })

  it('is of its own manager when there are two', async () => {
    await start()
    const other = createResourceManager()
    other.viewSystem(scope => { scope.reserveMemory(7) })
    const second = await serveInspector(other, { interval: 50 })
    const reader = await EventReader.open(second.url)

    expect((await reader.next('snapshot')).memory.accounted).to.equal(7)
    expect((await (await look()).next('snapshot')).memory.accounted).to.equal(0)
    reader.close()
    await second.close()
    other.close()
  })

  /** As one of the user's own might */
  function failWith (fail: () => void): void {
    const limits = manager.limits.bind(manager)

    manager.limits = () => {
      fail()

      return limits()
    }
  }

  it('is that it fails, which harms nobody else', async () => {
    let isFailing = false
    manager = createResourceManager()
    failWith(() => {
      if (isFailing) {
        throw new Error('no limit today')
      }
    })
    inspector = await serveInspector(manager, { interval: 50 })
    readers = []
    const reader = await look()
    await reader.next('snapshot')

    isFailing = true
    expect(await reader.next('trouble')).to.deep.equal({ message: 'no limit today' })
    // there are samples of the history all the time
    await new Promise(resolve => setTimeout(resolve, 1100))

    isFailing = false
    await reader.next('snapshot')
    expect((await samples(reader, 2)).length).to.be.at.least(1)
  })

  it('is that it fails, whatever it throws', async () => {
    let fail: (() => never) | undefined
    manager = createResourceManager({ limits: { limitFor: () => fail?.() } })
    failWith(() => fail?.())
    inspector = await serveInspector(manager, { interval: 50 })
    readers = []
    const reader = await look()
    const headers = ownHeaders(inspector.url, await secretOf(inspector.url))

    for (const thrown of [undefined, null, 'text', Symbol('urk'), Object.create(null), { message: 42 }, { get message () { throw new Error('Urk!') } }]) {
      await reader.next('snapshot')
      fail = () => { throw thrown }
      expect((await reader.next('trouble')).message).to.be.a('string').that.is.not.empty()
      expect(await ask(inspector.url, { path: '/limits', headers })).to.have.property('status', 500)
      expect(await ask(inspector.url, { path: '/preview', method: 'POST', headers, body: '{}' })).to.have.property('status', 500)
      fail = undefined
    }

    await reader.next('snapshot')
  })

  it('goes on after the manager has closed', async () => {
    await start()
    const reader = await look()
    await reader.next('snapshot')
    manager.close()
    manager.openConnection('inbound', true).setPeer(PEER)

    for (;;) {
      if ((await reader.next('snapshot')).roots[0].use[3] === 1) {
        break
      }
    }
  })
})
