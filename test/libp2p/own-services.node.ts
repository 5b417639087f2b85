/**
 * @file What the entries of `services` and `transports` register belongs to them,
 * for as long as it is registered, under the createLibp2p of this package.
 */

import { serviceCapabilities, serviceDependencies } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { expect } from 'aegir/chai'
import { createLibp2p, createResourceManager, nullResourceManager, resourceManager } from '../../src/index.ts'
import { createNode, eventually, expectNothingHeld, managerOf, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import { own, OwnService } from '../fixtures/own-services.ts'
import { connectBoth, watchStreams } from '../fixtures/services.ts'
import type { ResourceManagerInit } from '../../src/index.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { OwnComponents } from '../fixtures/own-services.ts'
import type { Connection, Stream } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'

const A = '/a/1.0.0'
const B = '/b/1.0.0'

describe('what services and transports register', () => {
  let nodes: TestNode[]

  beforeEach(() => {
    nodes = []
  })

  afterEach(async () => {
    await stopAll(...nodes)
  })

  async function create (options: Libp2pOptions<any>, init: ResourceManagerInit = {}): Promise<any> {
    const node = await createNode({ ...init, options })
    nodes.push(node)

    return node
  }

  /** A node that handles the protocols without any service */
  async function createRemote (...protocols: string[]): Promise<TestNode> {
    const node = await create({})
    await node.handle(protocols, () => {})

    return node
  }

  /** The service of a stream of the first node */
  async function serviceOf (node: TestNode, connection: Connection, protocol: string): Promise<string | undefined> {
    const stream = await connection.newStream(protocol)
    const service = managerOf(node).streamScope(stream)?.serviceScope?.service
    stream.abort(new Error('Done'))

    return service
  }

  it('belongs to the service by its own name, all of it, in both directions, and gives everything back', async () => {
    const options: Libp2pOptions<any> = { services: { mine: own(A, B) } }
    const [a, b] = [await create(options), await create(options)]
    const seen = [a, b].map(node => watchStreams(node, [A, B]))
    const connections = await connectBoth(a, b)
    const streams: Stream[] = []

    for (const connection of connections) {
      streams.push(await connection.newStream(A), await connection.newStream(B))
    }

    await eventually(() => seen.every(({ size }) => size === 4))

    for (const [i, node] of [a, b].entries()) {
      expect([...seen[i]].sort()).to.deep.equal([`inbound ${A} in mine`, `inbound ${B} in mine`, `outbound ${A} in mine`, `outbound ${B} in mine`])
      expect(managerOf(node).stat().services.get('mine')).to.include({ inboundStreams: 2, outboundStreams: 2 })
    }

    await connections[0].close()
    await expectNothingHeld(managerOf(a))
    await expectNothingHeld(managerOf(b))
  })

  it('belongs to it again after the node has stopped and started', async () => {
    const a = await create({ services: { mine: own(A) } })
    const remote = await createRemote(A)
    await a.stop()
    await a.start()
    const [connection] = await connectBoth(a, remote)

    expect(await serviceOf(a, connection, A)).to.equal('mine')
  })

  it('belongs to whoever handles it now', async () => {
    const a = await create({ services: { first: own(A), second: own() } })
    const { first, second } = a.services
    const remote = await createRemote(A)
    const [connection] = await connectBoth(a, remote)

    expect(await serviceOf(a, connection, A)).to.equal('first')

    await first.components.registrar.unhandle(A)
    expect(await serviceOf(a, connection, A)).to.be.undefined()

    await second.components.registrar.handle(A, second.handler)
    expect(await serviceOf(a, connection, A)).to.equal('second')

    // by force
    await first.components.registrar.handle(A, first.handler, { force: true })
    expect(await serviceOf(a, connection, A)).to.equal('first')

    // in vain, even with the same handler
    await expect(second.components.registrar.handle(A, first.handler)).to.eventually.be.rejected.with.property('name', 'DuplicateProtocolHandlerError')
    expect(await serviceOf(a, connection, A)).to.equal('first')

    // by the application
    await a.handle(A, () => {}, { force: true })
    expect(await serviceOf(a, connection, A)).to.be.undefined()

    await a.unhandle(A)
    await second.components.registrar.handle(A, second.handler)
    expect(await serviceOf(a, connection, A)).to.equal('second')
  })

  it('may come and go while the node runs', async () => {
    const a = await create({ services: { mine: own() } })
    const remote = await createRemote(A, B)
    const [connection, back] = await connectBoth(a, remote)
    const seen = watchStreams(a, [A])

    expect(await serviceOf(a, connection, A)).to.be.undefined()

    await a.services.mine.components.registrar.handle(A, a.services.mine.handler)
    await back.newStream(A)
    await eventually(() => seen.has(`inbound ${A} in mine`))
    expect(await serviceOf(a, connection, A)).to.equal('mine')
    expect(await serviceOf(a, connection, B)).to.be.undefined()
  })

  it('may be two protocols of two services with one handler between them', async () => {
    const handler = (): void => {}
    const withHandler = (protocol: string) => ({ registrar }: OwnComponents) => ({
      start: async () => registrar.handle(protocol, handler),
      stop: async () => registrar.unhandle(protocol)
    })
    const a = await create({ services: { first: withHandler(A), second: withHandler(B) } })
    const remote = await createRemote(A, B)
    const [connection] = await connectBoth(a, remote)

    expect(await serviceOf(a, connection, A)).to.equal('first')
    expect(await serviceOf(a, connection, B)).to.equal('second')
  })

  it('belongs to who asks for peers that support it, if nobody handles it, until it is unregistered', async () => {
    const a = await create({ services: { first: own(), second: own(), handles: own() } })
    const { first, second, handles } = a.services
    const remote = await createRemote(A)
    const [connection] = await connectBoth(a, remote)

    const ids = [
      await a.register(A, {}),
      await first.components.registrar.register(A, {}),
      await second.components.registrar.register(A, {})
    ]
    expect(await serviceOf(a, connection, A)).to.equal('first')

    await handles.components.registrar.handle(A, handles.handler)
    expect(await serviceOf(a, connection, A)).to.equal('handles')

    await handles.components.registrar.unhandle(A)
    first.components.registrar.unregister(ids[1])
    expect(await serviceOf(a, connection, A)).to.equal('second')

    a.unregister(ids[2])
    expect(await serviceOf(a, connection, A)).to.be.undefined()
    await expect(first.components.registrar.register(A, null)).to.eventually.be.rejected.with.property('name', 'InvalidParametersError')
  })

  it('is followed from the constructor on, with references that were kept, and when others override the registrar', async () => {
    const calls: string[] = []

    class Early extends OwnService {
      constructor (components: OwnComponents) {
        super(components, [])
        void components.registrar.handle(A, () => {})
      }
    }

    const a = await create({ services: { early: (components: OwnComponents) => new Early(components), late: own(B) }, start: false })
    const { registrar } = a.components
    const original = registrar.handle
    registrar.handle = async (...args: any[]) => {
      calls.push(args[0])

      return original.apply(registrar, args)
    }
    await a.start()
    const remote = await createRemote(A, B)
    const [connection] = await connectBoth(a, remote)

    expect(calls).to.include(B)
    expect(await serviceOf(a, connection, A)).to.equal('early')
    expect(await serviceOf(a, connection, B)).to.equal('late')
  })

  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'protocol:/a', 'Ünïcøde 🙂']) {
    it(`may have the name ${name}`, async () => {
      const a = await create({ services: { [name]: own(A) } }, { limits: { services: { [name]: { outboundStreams: 1 } } } })
      const remote = await createRemote(A)
      const [connection] = await connectBoth(a, remote)

      await connection.newStream(A)
      await expect(connection.newStream(A)).to.eventually.be.rejected.with.property('scope', `service:${name}`)
      expect(managerOf(a).stat().services.get(name)?.outboundStreams).to.equal(1)
    })
  }

  it('yields to what is configured, whatever the service is called', async () => {
    const services = { other: [A], ping: [B], ['__proto__']: ['/c/1.0.0'] }
    const a = await create({ services: { mine: own(A, B, '/c/1.0.0') } }, { services, limits: { services: { ping: { streams: 9 }, 'libp2p.ping': { streams: 8 } } } })
    const remote = await createRemote(A, B, '/c/1.0.0')
    const [connection] = await connectBoth(a, remote)

    expect(await serviceOf(a, connection, A)).to.equal('other')
    // the node has a stock service of this name, which is libp2p.ping
    expect(await serviceOf(a, connection, B)).to.equal('ping')
    expect(await serviceOf(a, connection, '/ipfs/ping/1.0.0')).to.equal('libp2p.ping')
    expect(await serviceOf(a, connection, '/c/1.0.0')).to.equal('__proto__')
    expect(managerOf(a).limits().services.ping.streams).to.equal(9)
    expect(managerOf(a).limits().services['libp2p.ping'].streams).to.equal(8)
  })

  it('by a transport belongs to what the transport calls itself', async () => {
    const transport = (components: any): any => Object.assign(tcp()(components), {
      [Symbol.toStringTag]: '@mine/transport',
      start: async () => components.registrar.handle(A, () => {}),
      stop: async () => components.registrar.unhandle(A)
    })
    const a = await create({ transports: [tcp(), transport] })
    const remote = await createRemote(A)
    const [connection] = await connectBoth(a, remote)

    expect(await serviceOf(a, connection, A)).to.equal('@mine/transport')
  })

  it('is that of each node by itself, if two have the same options', async () => {
    const options = { ...nodeOptions({ options: { services: { mine: own(A) } } }), resourceManager: resourceManager() }
    const [a, b]: any[] = [await createLibp2p(options), await createLibp2p(options)]
    nodes.push(a, b)
    await b.services.mine.stop()
    await b.handle(A, () => {})
    const [connection, back] = await connectBoth(a, b)

    expect(await serviceOf(a, connection, A)).to.equal('mine')
    expect(await serviceOf(b, back, A)).to.be.undefined()
  })

  it('does not depend on how the manager is made', async () => {
    const manager = createResourceManager()
    const options = nodeOptions({ options: { services: { mine: own(A) } } })
    const wrapped: any = await createLibp2p({ ...options, resourceManager: (components: any) => resourceManager()(components) })
    const custom: any = await createLibp2p({ ...options, resourceManager: resourceManager({ manager }) })
    const without: any = await createLibp2p({ ...options, resourceManager: nullResourceManager() })
    nodes.push(wrapped, custom, without)
    const remote = await createRemote(A)

    const [connection] = await connectBoth(wrapped, remote)
    expect(await serviceOf(wrapped, connection, A)).to.equal('mine')

    const [customConnection] = await connectBoth(custom, remote)
    expect(await serviceOf(custom, customConnection, A)).to.equal('mine')
    await customConnection.newStream('/ipfs/ping/1.0.0')
    expect(custom.services.resourceManager.viewService('ping', (scope: any) => scope.service)).to.equal('libp2p.ping')
    expect(manager.stat().services.get('libp2p.ping')?.outboundStreams).to.equal(1)

    const [uncounted] = await connectBoth(without, remote)
    expect((await uncounted.newStream(A)).status).to.equal('open')

    await stopAll(custom)
    await expectNothingHeld(manager)
    manager.close()
  })
})

describe('the components that services are handed', () => {
  const marker = Symbol('marker')

  class Registers {
    #calls = 0

    get calls (): number {
      return this.#calls
    }

    set calls (calls: number) {
      this.#calls = calls
    }

    count (): number {
      return ++this.#calls
    }
  }

  let node: any
  let components: any

  beforeEach(async () => {
    node = await createNode({
      options: {
        start: false,
        services: {
          probe: (given: any) => {
            components = given

            return { [marker]: true }
          },
          callable: () => Object.assign(() => 'called', { property: 1 }),
          late: () => ({ late: true })
        }
      }
    })
  })

  it('are those of the node, whenever they were made', () => {
    expect(components.late).to.equal(node.services.late)
    expect(components.probe[marker]).to.be.true()
    expect(components.peerStore).to.equal(node.components.peerStore)
    // functions are not wrapped
    expect(components.callable).to.equal(node.services.callable)
    expect(components.callable.property).to.equal(1)
    expect(components).to.be.an.instanceOf(Object.getPrototypeOf(node.components).constructor)
    expect(Object.keys(components)).to.deep.equal(Object.keys(node.components))
  })

  it('say what is missing as those of the node do', () => {
    expect(() => components.missing).to.throw().with.property('name', 'MissingServiceError')
    expect(components.metrics).to.be.undefined()
    expect(components.then).to.be.undefined()
  })

  it('can be set', async () => {
    const added = {}
    components.added = added
    expect(node.components.added).to.equal(added)

    node.components.added = undefined
    expect(() => components.added).to.throw().with.property('name', 'MissingServiceError')
  })

  it('start and stop the node as its own do', async () => {
    await components.beforeStart()
    await components.start()
    expect(components.isStarted()).to.be.true()
    expect(node.getProtocols()).to.not.be.empty()
    await components.stop()
    expect(node.components.isStarted()).to.be.false()
    await components.afterStop()
  })

  it('have a registrar that is the same every time, and as good as that of the node', async () => {
    const { registrar } = node.components
    const view = components.registrar

    // comparing them with chai would print a whole node
    expect(components.registrar === view).to.be.true()
    expect(components.registrar).to.be.an.instanceOf(registrar.constructor)
    expect(components.registrar[Symbol.toStringTag]).to.equal('@libp2p/registrar')
    expect(Object.keys(components.registrar)).to.deep.equal(Object.keys(registrar))
    expect('getHandler' in components.registrar).to.be.true()

    await components.registrar.handle(A, () => {})
    expect(registrar.getProtocols()).to.include(A)
    expect(components.registrar.getHandler(A)).to.equal(registrar.getHandler(A))

    // overridden in place, in either way
    components.registrar.getTopologies = () => ['mine']
    expect(registrar.getTopologies(A)).to.deep.equal(['mine'])
    Object.defineProperty(components.registrar, 'getTopologies', { configurable: true, value: () => ['yours'] })
    expect(components.registrar.getTopologies(A)).to.deep.equal(['yours'])
    delete components.registrar.getTopologies
    expect(registrar.getTopologies(A)).to.deep.equal([])
  })

  it('may have a registrar with private members, put in place later', () => {
    const registrar = new Registers()
    components.registrar = registrar
    expect(node.components.registrar).to.equal(registrar)

    expect(components.registrar.count()).to.equal(1)
    components.registrar.calls = 5
    expect(registrar.calls).to.equal(5)
    expect(components.registrar.calls).to.equal(5)
  })

  it('leave what services need of each other to js-libp2p', async () => {
    const needs = (dependency: string) => () => ({ [serviceDependencies]: [dependency] })

    await expect(createNode({ options: { start: false, services: { needy: needs('@mine/missing') } } }))
      .to.eventually.be.rejected.with.property('name', 'UnmetServiceDependenciesError')
    await createNode({ options: { start: false, services: { needy: needs('@mine/there'), helper: () => ({ [serviceCapabilities]: ['@mine/there'] }) } } })
  })
})
