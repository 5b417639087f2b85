/**
 * @file Both ways to give a node a resource manager, and what happens to those
 * that no node gets.
 */

import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { expect } from 'aegir/chai'
import { createLibp2p as createUnprotected } from 'libp2p'
import sinon from 'sinon'
import { createLibp2p, isResourceLimitExceeded, nullResourceManager, resourceManager } from '../src/index.ts'
import { BASE_MEMORY } from '../src/limits/base-memory.ts'
import { connect, createNode, eventually, expectNothingHeld, held, managerOf, nodeOptions, stopAll } from './fixtures/nodes.ts'
import type { EnforcedLimits, NullResourceManager, ResourceScope } from '../src/index.ts'
import type { Libp2p } from '@libp2p/interface'
import type { ConnectionManagerInit } from 'libp2p'

const ECHO = '/echo/1.0.0'

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

  it('takes a manager that is given as a service, as libp2p does', async () => {
    const node = await createLibp2p({ start: false, services: { resourceManager: resourceManager({ limits: { system: { streams: 777 } } }) } })

    expect(node.services.resourceManager.limits().system.streams).to.equal(777)

    // with the type of what was given
    const { services: { resourceManager: none } } = await createLibp2p({ start: false, services: { resourceManager: nullResourceManager() } })
    expect(none satisfies NullResourceManager).to.not.have.property('limits')

    await expect(createLibp2p({ start: false, services: { resourceManager: () => ({ hello: 1 }) as any } })).to.eventually.be.rejected()
      .with.property('name', 'InvalidParametersError')
    await expect(createLibp2p({ start: false, resourceManager: resourceManager(), services: { resourceManager: resourceManager() } as any })).to.eventually.be.rejected()
      .with.property('name', 'InvalidParametersError')
  })

  it('lets as many connections be set up as the node is told to', async () => {
    const limitsOf = async (connectionManager: ConnectionManagerInit): Promise<EnforcedLimits> => {
      const node = await createLibp2p({ start: false, connectionManager })

      return node.services.resourceManager.limits()
    }

    expect((await limitsOf({})).transient).to.include({ inboundConnections: 100, outboundConnections: 100, connections: 200 })
    expect((await limitsOf({ maxParallelDials: 3, maxIncomingPendingConnections: 3 })).transient).to.include({ inboundConnections: 100, outboundConnections: 100 })

    const many = await limitsOf({ maxParallelDials: 300, maxIncomingPendingConnections: 500 })
    expect(many.transient).to.include({ inboundConnections: 500, outboundConnections: 300, connections: 800 })
    expect(many.system.outboundConnections).to.be.at.least(600)

    // all that libp2p takes
    for (const number of [1, 150.5, 2 ** 40, Number.MAX_SAFE_INTEGER, Infinity]) {
      for (const option of ['maxConnections', 'maxParallelDials', 'maxIncomingPendingConnections']) {
        const { transient, system } = await limitsOf({ [option]: number })

        expect(transient.inboundConnections, `${option}: ${number}`).to.be.at.least(100)
        expect(transient.outboundConnections, `${option}: ${number}`).to.be.at.least(100)
        expect(system.connections, `${option}: ${number}`).to.be.below(2 ** 53).and.at.least(100)
      }
    }
  })

  it('keeps limits of a node that never prunes, as many connections as there is memory for', async () => {
    const emitWarning = sinon.stub(process, 'emitWarning')

    try {
      const node = await createNode({ memory: 2 ** 30, options: { connectionManager: { maxConnections: Infinity } } })
      nodes.push(node)
      const { system, transient } = managerOf(node).limits()

      for (const value of [...Object.values(system), ...Object.values(transient)]) {
        expect(value).to.be.below(2 ** 53)
      }

      expect(system.connections).to.be.above(2 ** 30 / BASE_MEMORY.connection)
      expect(emitWarning.callCount).to.equal(0)
    } finally {
      emitWarning.restore()
    }
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
