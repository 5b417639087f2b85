/**
 * @file A stock service has two names under the createLibp2p of this package: its
 * own in the node and that of its protocol family. Both mean one scope.
 */

import { ping } from '@libp2p/ping'
import { expect } from 'aegir/chai'
import { createLibp2p, nullResourceManager, resourceManager } from '../../src/index.ts'
import { BASE_MEMORY } from '../../src/limits/base-memory.ts'
import { createNode, managerOf, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import { own, perf } from '../fixtures/own-services.ts'
import { connectBoth } from '../fixtures/services.ts'
import type { Limits, ResourceManagerInit } from '../../src/index.ts'
import type { Libp2pOptions } from 'libp2p'

const PING = '/ipfs/ping/1.0.0'
const PERF = '/perf/1.0.0'

const DEFAULTS = { memory: 2 ** 30, fileDescriptors: 1024 }

describe('the names of a service', () => {
  let nodes: any[]

  beforeEach(() => {
    nodes = []
  })

  afterEach(async () => {
    await stopAll(...nodes)
  })

  async function create (init: ResourceManagerInit = {}, options: Libp2pOptions<any> = {}): Promise<any> {
    // js-libp2p itself lets out one ping at a time
    const many = ping({ maxInboundStreams: 10, maxOutboundStreams: 10 })
    const node = await createNode({ ...DEFAULTS, ...init, options: { ...options, services: { ping: many, ...options.services } } })
    nodes.push(node)

    return node
  }

  async function createRemote (...protocols: string[]): Promise<any> {
    const node = await create()
    await node.handle(protocols, () => {})

    return node
  }

  for (const name of ['ping', 'libp2p.ping']) {
    for (const key of ['services', 'servicePeers'] as const) {
      it(`are both good for its limit: limits.${key}.${name}`, async () => {
        const node = await create({ limits: { [key]: { [name]: { outboundStreams: 1 } } } })
        const remote = await createRemote()
        const [connection] = await connectBoth(node, remote)

        await connection.newStream(PING)
        await expect(connection.newStream(PING)).to.eventually.be.rejected.with.property('scope', key === 'services'
          ? 'service:libp2p.ping'
          : `service:libp2p.ping.peer:${remote.peerId}`)

        // and while it runs
        managerOf(node).setLimits({ [key]: { [name]: { outboundStreams: 2 } } })
        await connection.newStream(PING)
        await expect(connection.newStream(PING)).to.eventually.be.rejected.with.property('limit', 2)
      })

      it(`are both good for a limit that leaves out what has a default: limits.${key}.${name}`, async () => {
        const before = managerOf(await create()).limits()
        const node = await create({ limits: { [key]: { [name]: { outboundStreams: 1 } } } })
        const expected = { ...before[key]['libp2p.ping'], outboundStreams: 1 }

        expect(managerOf(node).limits()).to.deep.equal({
          ...before,
          [key]: { ...before[key], 'libp2p.ping': expected }
        })

        managerOf(node).setLimits({ [key]: { [name]: { memory: 7 } } })
        expect(managerOf(node).limits()[key]['libp2p.ping']).to.deep.equal({ ...expected, memory: 7 })
        expect(Object.keys(managerOf(node).limits()[key])).to.not.include('ping')
      })
    }
  }

  it('may be mixed where it is clear what they mean', async () => {
    const node = await create({ limits: { services: { ping: { streams: 5 } }, servicePeers: { 'libp2p.ping': { streams: 3 } } } })
    managerOf(node).setLimits({ services: { 'libp2p.ping': { memory: 7 }, ping: undefined as any } })

    expect(managerOf(node).limits().services['libp2p.ping']).to.include({ streams: 5, memory: 7 })
    expect(managerOf(node).limits().servicePeers['libp2p.ping']).to.include({ streams: 3 })
  })

  for (const key of ['services', 'servicePeers'] as const) {
    it(`are an error in limits.${key} both at once, which changes nothing`, async () => {
      const both: Limits = { system: { memory: 1 }, [key]: { 'libp2p.ping': { streams: 5 }, ping: { streams: 5 } } }
      const check = (err: any): void => {
        expect(err).to.have.property('name', 'InvalidLimitError')
        expect(err.message).to.include(`limits.${key}["ping"]`)
        expect(err.message).to.include(`limits.${key}["libp2p.ping"]`)
      }

      check(await create({ limits: both }).catch(err => err))

      const node = await create()
      const before = managerOf(node).limits()

      try {
        managerOf(node).setLimits(both)
        expect.fail('did not throw')
      } catch (err) {
        check(err)
      }

      expect(managerOf(node).limits()).to.deep.equal(before)
      // what is printed can be fed back
      managerOf(node).setLimits(before)
      expect(managerOf(node).limits()).to.deep.equal(before)
    })

    it(`are an error in limits.${key} too if they are those of two services of a family`, async () => {
      const err: any = await create({ limits: { [key]: { pong: { streams: 5 }, ping: { streams: 5 } } } }, { services: { pong: ping({ protocolPrefix: 'custom' }) } })
        .catch(err => err)

      expect(err).to.have.property('name', 'InvalidLimitError')
      expect(err.message).to.include(`limits.${key}["ping"]`)
      expect(err.message).to.include(`limits.${key}["pong"]`)
    })
  }

  it('lead to one scope', async () => {
    const node = await create()
    const remote = await createRemote()
    const manager = managerOf(node)
    const [connection] = await connectBoth(node, remote)
    await connection.newStream(PING)

    expect(manager.viewService('ping', scope => scope)).to.equal(manager.viewService('libp2p.ping', scope => scope))
    expect(manager.viewService('ping', scope => scope.service)).to.equal('libp2p.ping')
    expect(manager.listServices()).to.deep.equal(['libp2p.ping'])
    expect([...manager.stat().services.keys()]).to.deep.equal(['libp2p.ping'])
    expect(manager.stat().services.get('ping')).to.include({ outboundStreams: 1 })
    expect(manager.stat().services.get('libp2p.ping')).to.include({ outboundStreams: 1 })
    expect(manager.stat().services.has('ping')).to.be.true()
    expect(manager.stat().services.has('pong')).to.be.false()
    expect(manager.stat().servicePeers.get('ping')?.get(remote.peerId.toString())).to.include({ outboundStreams: 1 })

    manager.viewService('ping', scope => { scope.setLimit({ outboundStreams: 1 }) })
    await expect(connection.newStream(PING)).to.eventually.be.rejected.with.property('option', 'limits.services["libp2p.ping"].outboundStreams')

    // by a handler
    await remote.handle('/mine/1.0.0', () => {})
    const stream = await connection.newStream('/mine/1.0.0')
    expect(() => { manager.streamScope(stream)?.setService('ping') }).to.throw().with.property('scope', 'service:libp2p.ping')
  })

  it('are one to a limiter of the user\'s own', async () => {
    const asked = new Set<string>()
    const node = await create({
      limits: {
        limitFor (kind, name) {
          asked.add(`${kind} ${name}`)

          return kind === 'service' && name === 'libp2p.ping' ? { outboundStreams: 0 } : undefined
        }
      }
    })
    const [connection] = await connectBoth(node, await createRemote())

    await expect(connection.newStream(PING)).to.eventually.be.rejected.with.property('scope', 'service:libp2p.ping')
    expect([...asked]).to.include('service libp2p.ping')
    expect([...asked]).to.not.include('service ping')
  })

  it('are one in what is suggested', async () => {
    const node = await create({ enforce: false })
    const [connection] = await connectBoth(node, await createRemote())
    await connection.newStream(PING)

    expect(managerOf(node).suggestLimits(1).services).to.deep.equal({ 'libp2p.ping': { outboundStreams: 1, memory: 2 ** 20 } })
  })

  describe('of a service that does not say what it is', () => {
    const options = (start: boolean): Libp2pOptions<any> => ({ start, services: { speed: perf() } })

    it('are known once it registers a stock protocol, with all that was done under its own name', async () => {
      const node = await create({ limits: { services: { speed: { outboundStreams: 5 } }, servicePeers: { speed: { outboundStreams: 4 } } } }, options(false))
      const remote = await createRemote(PERF)
      const manager = managerOf(node)
      const before = manager.limits()
      const span = manager.viewService('speed', scope => {
        scope.setLimit({ outboundStreams: 2 })

        return scope.beginSpan()
      })
      span.reserveMemory(10)

      expect(before.services.speed.outboundStreams).to.equal(5)
      expect(manager.listServices()).to.deep.equal(['speed'])
      await node.start()

      expect(manager.listServices()).to.deep.equal(['libp2p.perf'])
      expect(manager.viewService('speed', scope => scope)).to.equal(manager.viewService('libp2p.perf', scope => scope))
      expect(manager.stat().services.get('speed')?.memory).to.equal(10)
      expect(manager.limits().services).to.not.have.property('speed')
      expect(manager.limits().services['libp2p.perf'].outboundStreams).to.equal(2)
      expect(manager.limits().servicePeers['libp2p.perf'].outboundStreams).to.equal(4)

      const [connection] = await connectBoth(node, remote)
      await connection.newStream(PERF)
      await connection.newStream(PERF)
      await expect(connection.newStream(PERF)).to.eventually.be.rejected.with.property('option', 'limits.services["libp2p.perf"].outboundStreams')

      span.done()
      expect(manager.stat().services.get('libp2p.perf')?.memory).to.equal(2 * BASE_MEMORY.stream)
    })

    for (const key of ['services', 'servicePeers'] as const) {
      it(`keep the limits that were set under its own name while it was not known: ${key}`, async () => {
        const node = await create({}, options(false))
        managerOf(node).setLimits({ [key]: { speed: { outboundStreams: 3 } } })
        managerOf(node).setLimits({ [key]: { speed: { memory: 7 } } })
        await node.start()

        expect(managerOf(node).limits()[key]['libp2p.perf']).to.include({ outboundStreams: 3, memory: 7 })
      })

      it(`are an error both at once, in what starts it: ${key}`, async () => {
        const node = await create({ limits: { [key]: { speed: { streams: 5 } } } }, options(false))
        managerOf(node).setLimits({ [key]: { 'libp2p.perf': { streams: 5 } } })
        const before = managerOf(node).limits()

        const err: any = await node.start().catch((err: any) => err)
        expect(err).to.have.property('name', 'InvalidLimitError')
        expect(err.message).to.include(`limits.${key}["speed"]`)
        expect(err.message).to.include(`limits.${key}["libp2p.perf"]`)
        expect(managerOf(node).limits()).to.deep.equal(before)
        expect(node.getProtocols()).to.not.include(PERF)
      })
    }

    it('are its own if it begins with a protocol of its own', async () => {
      const node = await create({}, { services: { mine: own('/mine/1.0.0', PERF) } })
      const [connection] = await connectBoth(node, await createRemote('/mine/1.0.0', PERF))
      const services: any[] = []

      for (const protocol of ['/mine/1.0.0', PERF]) {
        services.push(managerOf(node).streamScope(await connection.newStream(protocol))?.serviceScope?.service)
      }

      // a stock protocol is in its family whoever handles it
      expect(services).to.deep.equal(['mine', 'libp2p.perf'])
      expect(managerOf(node).viewService('mine', scope => scope.service)).to.equal('mine')
    })

    it('do not change if it begins with a protocol that is configured', async () => {
      const node = await create({ services: { other: [PERF] } }, { services: { speed: perf() } })
      const [connection] = await connectBoth(node, await createRemote(PERF))

      expect(managerOf(node).streamScope(await connection.newStream(PERF))?.serviceScope?.service).to.equal('other')
      expect(managerOf(node).viewService('speed', scope => scope.service)).to.equal('speed')
    })

    it('do not matter to a node without limits', async () => {
      const node = await createLibp2p({ ...nodeOptions({ options: options(true) }), resourceManager: nullResourceManager() })
      nodes.push(node)

      expect(node.getProtocols()).to.include(PERF)
    })
  })

  it('do not become others when a service is called as a family', async () => {
    const node = await create({ limits: { services: { 'libp2p.fetch': { outboundStreams: 1 } } } }, { services: { 'libp2p.fetch': ping(), ping: ping({ protocolPrefix: 'custom' }) } })
    const [connection] = await connectBoth(node, await createRemote('/libp2p/fetch/0.0.1'))

    await connection.newStream('/libp2p/fetch/0.0.1')
    await expect(connection.newStream('/libp2p/fetch/0.0.1')).to.eventually.be.rejected.with.property('scope', 'service:libp2p.fetch')
    expect(managerOf(node).streamScope(await connection.newStream(PING))?.serviceScope?.service).to.equal('libp2p.ping')
  })

  it('are those of go-libp2p alone with libp2p\'s own createLibp2p, which does not say what its services are called', async () => {
    const { createLibp2p: createPlain } = await import('libp2p')
    const node: any = await createPlain(nodeOptions({ options: { services: { resourceManager: resourceManager({ limits: { services: { ping: { streams: 5 }, 'libp2p.ping': { streams: 6 } } } }) } } }))
    nodes.push(node)

    expect(managerOf(node).limits().services).to.have.nested.property('ping.streams', 5)
    expect(managerOf(node).limits().services['libp2p.ping'].streams).to.equal(6)
  })
})
