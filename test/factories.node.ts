/* eslint-disable max-nested-callbacks */

/**
 * @file Both ways to give a node a resource manager, and what happens to those
 * that no node gets.
 */

import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { expect } from 'aegir/chai'
import { createLibp2p as createUnprotected } from 'libp2p'
import sinon from 'sinon'
import { createLibp2p, createResourceManager, isResourceLimitExceeded, nullResourceManager, resourceManager } from '../src/index.ts'
import { connect, createNode, eventually, expectNothingHeld, held, managerOf, nodeOptions, stopAll } from './fixtures/nodes.ts'
import type { ConnectionManagementScope, Direction, PeerScope, ProtocolScope, ResourceManager, ResourceScope, ServiceScope, StreamManagementScope } from '../src/index.ts'
import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const ECHO = '/echo/1.0.0'

/**
 * Somebody's own: refuses inbound connections, and is asked for everything
 */
class OwnManager implements ResourceManager {
  readonly asked: string[] = []
  refuse = false
  private readonly manager = createResourceManager()

  openConnection (direction: Direction, usesFileDescriptor: boolean, endpoint: Multiaddr): ConnectionManagementScope {
    this.asked.push(`${direction} connection`)

    if (this.refuse) {
      throw new Error('Not today')
    }

    return this.manager.openConnection(direction, usesFileDescriptor, endpoint)
  }

  openStream (peer: PeerId, direction: Direction): StreamManagementScope {
    this.asked.push(`${direction} stream`)

    return this.manager.openStream(peer, direction)
  }

  verifySourceAddress (): boolean {
    return true
  }

  viewSystem<T> (fn: (scope: ResourceScope) => T): T { return this.manager.viewSystem(fn) }
  viewTransient<T> (fn: (scope: ResourceScope) => T): T { return this.manager.viewTransient(fn) }
  viewService<T> (service: string, fn: (scope: ServiceScope) => T): T { return this.manager.viewService(service, fn) }
  viewProtocol<T> (protocol: string, fn: (scope: ProtocolScope) => T): T { return this.manager.viewProtocol(protocol, fn) }
  viewPeer<T> (peer: PeerId, fn: (scope: PeerScope) => T): T { return this.manager.viewPeer(peer, fn) }
  close (): void { this.manager.close() }
}

describe('factories', () => {
  let nodes: Array<Libp2p<any>>

  beforeEach(() => {
    nodes = []
  })

  afterEach(async () => {
    await stopAll(...nodes)
  })

  it('createLibp2p of this package knows the type of the manager', async () => {
    const node = await createLibp2p({ start: false, resourceManager: resourceManager({ limits: { system: { memory: 1_000 } } }) })
    const memory: number = node.services.resourceManager.stat().system.memory

    expect(memory).to.equal(0)
    expect(node.services.resourceManager.limits().system.memory).to.equal(1_000)
  })

  it('createLibp2p of this package protects by default', async () => {
    const node = await createLibp2p({ start: false })

    expect(node.services.resourceManager.limits().system.memory).to.be.above(0)
  })

  it('refuses a manager given twice', async () => {
    const service = resourceManager()
    await expect(createLibp2p({ start: false, resourceManager: resourceManager(), services: { resourceManager: service } }))
      .to.eventually.be.rejected.with.property('name', 'InvalidParametersError')
  })

  it('a manager is a service of libp2p\'s own createLibp2p', async () => {
    const options = nodeOptions({})
    const listener = await createUnprotected({ ...options, services: { ...options.services, resourceManager: resourceManager() } })
    const dialer = await createNode()
    nodes.push(listener, dialer)

    const connection = await connect(dialer, listener)
    await connection.newStream(ECHO)
    const manager: any = listener.services.resourceManager
    await eventually(() => manager.stat().protocols.get(ECHO)?.inboundStreams === 1)
    await connection.close()
    await expectNothingHeld(manager)
  })

  it('nullResourceManager accepts everything and counts nothing', async () => {
    const listener = await createLibp2p({ ...nodeOptions({}), resourceManager: nullResourceManager() })
    const dialer = await createNode()
    nodes.push(listener, dialer)

    const connection = await connect(dialer, listener)
    await connection.newStream(ECHO)

    const { resourceManager: manager } = listener.services as any
    manager.viewSystem((scope: ResourceScope) => {
      scope.reserveMemory(2 ** 50)
      expect(Object.values(scope.stat())).to.deep.equal([0, 0, 0, 0, 0, 0])
    })
  })

  it('somebody\'s own manager is asked, and its refusals take effect', async () => {
    const own = new OwnManager()
    const listener = await createLibp2p({ ...nodeOptions({}), resourceManager: resourceManager({ manager: own }) })
    const dialer = await createNode()
    nodes.push(listener, dialer)

    const connection = await connect(dialer, listener)
    const stream = await connection.newStream(ECHO)
    await eventually(() => own.asked.includes('inbound stream'))
    expect(own.asked).to.include.members(['inbound connection', 'inbound stream'])
    await eventually(() => own.viewProtocol(ECHO, scope => scope.stat().inboundStreams) === 1)

    const [inbound] = listener.getConnections()
    expect((listener.services as any).resourceManager.connectionScope(inbound).peerScope.peer.equals(dialer.peerId)).to.be.true()

    stream.abort(new Error('enough'))
    await connection.close()
    await eventually(() => own.viewSystem(scope => Object.values(scope.stat()).every(count => count === 0)))

    own.refuse = true
    await expect(connect(dialer, listener)).to.eventually.be.rejected()
    await expectNothingHeld(managerOf(dialer))
  })

  it('wrong options are found when the node is made', async () => {
    const wrong: any[] = [{ limit: {} }, { memory: -1 }, { memory: '1' }, { enforce: 'no' }, { services: { a: 'b' } }, { services: { a: ['/x'], b: ['/x'] } }, { limits: { system: { memory: NaN } } }, { allowlist: 'x' }, { collectionInterval: 0 }, null]

    for (const options of wrong) {
      await expect(createLibp2p({ start: false, resourceManager: resourceManager(options) }), JSON.stringify(options))
        .to.eventually.be.rejected.with.property('name', 'InvalidLimitError')
    }
  })

  it('refusals are recognised whichever way they come', async () => {
    const dialer = await createNode({ limits: { system: { outboundConnections: 0 } } })
    const listener = await createNode()
    nodes.push(listener, dialer)

    const err = await connect(dialer, listener).catch(err => err)
    expect(isResourceLimitExceeded(err)).to.be.true()
    expect(held(managerOf(dialer))).to.deep.equal({})
  })

  describe('that nobody calls', () => {
    let clock: sinon.SinonFakeTimers
    let emitWarning: sinon.SinonStub

    beforeEach(() => {
      clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      emitWarning = sinon.stub(process, 'emitWarning')
    })

    afterEach(() => {
      clock.restore()
      emitWarning.restore()
    })

    it('warn, and name the right import', async () => {
      await createUnprotected({ start: false, resourceManager: resourceManager() } as any)
      clock.tick(5_000)

      expect(emitWarning.callCount).to.equal(1)
      expect(emitWarning.firstCall.args[0]).to.include('libp2p-resource-manager')
    })

    it('do not warn once a node has one', async () => {
      await createLibp2p({ start: false, resourceManager: resourceManager() })
      clock.tick(5_000)

      expect(emitWarning.callCount).to.equal(0)
    })
  })

  it('warns at start of a limit that makes pruning impossible, naming both numbers', async () => {
    const emitWarning = sinon.stub(process, 'emitWarning')

    try {
      nodes.push(await createNode({ limits: { system: { inboundConnections: 7 } }, options: { connectionManager: { maxConnections: 50 } } }))
      expect(emitWarning.args.map(([message]) => String(message)).filter(message => message.includes(' is 7,') && message.includes('maxConnections of 50'))).to.have.lengthOf(1)
      emitWarning.resetHistory()
      nodes.push(await createNode({ options: { connectionManager: { maxConnections: 5_000 } } }))
      expect(emitWarning.callCount).to.equal(0)
    } finally {
      emitWarning.restore()
    }
  })

  it('the first example of the README runs as it is', async () => {
    const readme = readFileSync('README.md', 'utf8')
    const example = /```TypeScript\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
    const from = (path: string): string => new URL(path, pathToFileURL(`${process.cwd()}/`)).href

    expect(example).to.include('resourceManager: resourceManager({')

    const code = example
      .replace('\'libp2p-resource-manager\'', `'${from('src/index.ts')}'`)
      .replace(/'(@libp2p\/[a-z]+)'/g, (_, name: string) => `'${import.meta.resolve(name)}'`)
    const info = sinon.stub(console, 'info')

    try {
      await import(`data:text/javascript,${encodeURIComponent(code)}`)
      expect(info.firstCall.args[0]).to.have.property('inboundConnections', 0)
    } finally {
      info.restore()
    }
  })
})
