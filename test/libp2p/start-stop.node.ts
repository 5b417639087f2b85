import { expect } from 'aegir/chai'
import { connect, createNode, eventually, expectNothingHeld, held, managerOf, stopAll } from '../fixtures/nodes.ts'
import { connectPair, ECHO, expectPairHoldsNothing } from '../fixtures/pair.ts'
import { stalledClient, untilClosed } from '../fixtures/sockets.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'
import type { ConnectionProtector } from '@libp2p/interface'

/**
 * Everything of a node that the resource manager has replaced, by name
 */
function hooksOf (node: TestNode): Record<string, unknown> {
  const { transportManager, upgrader, registrar, connectionGater, connectionProtector } = (node as any).components

  return {
    dial: transportManager.dial,
    upgradeInbound: upgrader.upgradeInbound,
    upgradeOutbound: upgrader.upgradeOutbound,
    getMiddleware: registrar.getMiddleware,
    connectionGater,
    protect: connectionProtector.protect,
    ...Object.fromEntries([...upgrader.getConnectionEncrypters(), ...upgrader.getStreamMuxers()])
  }
}

/** A protector that has the remote's bytes as they are, in an object of its own */
class NullProtector implements ConnectionProtector {
  async protect (connection: any): Promise<any> {
    return new Proxy(connection, {
      get: (target, property) => {
        const value = Reflect.get(target, property, target)

        // a log is a function with methods
        return typeof value === 'function' && property !== 'log' ? value.bind(target) : value
      },
      set: (target, property, value) => Reflect.set(target, property, value, target)
    })
  }
}

describe('a node that stops and starts', () => {
  const nodes: TestNode[] = []

  async function start (init?: NodeInit): Promise<TestNode> {
    const node = await createNode(init)
    nodes.push(node)

    return node
  }

  afterEach(async () => {
    await stopAll(...nodes.splice(0))
  })

  it('is as it was before when it has stopped, and hooked again when it starts', async () => {
    const connectionGater = {}
    const options = { connectionGater, connectionProtector: () => new NullProtector(), start: false }
    const node = await start({ options })
    const installed = hooksOf(node)

    await node.start()
    const { upgrader } = (node as any).components
    const running = hooksOf(node)
    // starting for the first time installs nothing twice
    expect(running).to.deep.equal(installed)
    expect(Object.entries(running).filter(([name, value]) => value !== installed[name])).to.be.empty()

    await node.stop()
    const stopped = hooksOf(node)
    expect(Object.keys(stopped).filter(name => stopped[name] === running[name])).to.be.empty()
    expect(stopped.connectionGater).to.equal(connectionGater)
    expect(stopped.protect).to.equal(NullProtector.prototype.protect)
    expect(stopped.upgradeInbound).to.equal(Object.getPrototypeOf(upgrader).upgradeInbound)
    expect(stopped.upgradeOutbound).to.equal(Object.getPrototypeOf(upgrader).upgradeOutbound)
    expect(Object.hasOwn(upgrader, 'upgradeInbound')).to.be.false()
    const { transportManager, registrar } = (node as any).components
    expect(stopped.dial).to.equal(Object.getPrototypeOf(transportManager).dial)
    expect(stopped.getMiddleware).to.equal(Object.getPrototypeOf(registrar).getMiddleware)
    expect(registrar.getMiddleware(ECHO)).to.deep.equal([])

    await node.start()
    const again = hooksOf(node)
    expect(Object.keys(again).filter(name => again[name] === stopped[name])).to.be.empty()

    await node.stop()
    const stoppedAgain = hooksOf(node)
    expect(Object.keys(stoppedAgain).filter(name => stoppedAgain[name] !== stopped[name])).to.be.empty()
  })

  it('is protected again', async () => {
    const dialer = await start({ limits: { system: { outboundConnections: 1 } } })
    const listener = await start({ limits: { system: { inboundConnections: 1, inboundStreams: 2 } } })
    const other = await start()

    for (let round = 0; round < 3; round++) {
      const pair = await connectPair(dialer, listener)

      expect(held(managerOf(dialer)).system).to.deep.equal({ outboundConnections: 1, fileDescriptors: 1 })
      expect(held(managerOf(listener)).system).to.deep.equal({ inboundConnections: 1, fileDescriptors: 1 })

      // outbound, inbound and streams
      await expect(connect(dialer, other)).to.eventually.be.rejected()
        .with.property('name', 'ResourceLimitExceededError')
      await expect(connect(other, listener)).to.eventually.be.rejected()
      await pair.dialer.connection.newStream(ECHO)
      await pair.dialer.connection.newStream(ECHO)
      await expect(pair.dialer.connection.newStream(ECHO)).to.eventually.be.rejected()

      expect(managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams).to.equal(2)

      // in either order
      for (const node of round % 2 === 0 ? [dialer, listener] : [listener, dialer]) {
        await node.stop()
        await expectNothingHeld(managerOf(node))
      }

      await dialer.start()
      await listener.start()
    }
  })

  it('is protected before it starts', async () => {
    const node = await start({ options: { start: false }, limits: { system: { outboundConnections: 0 } } })
    const other = await start()
    const { transportManager } = (node as any).components

    await expect(transportManager.dial(other.getMultiaddrs()[0], { signal: AbortSignal.timeout(5_000) })).to.eventually.be.rejected()
      .with.property('name', 'ResourceLimitExceededError')
  })

  it('ends what was open when it stopped', async () => {
    const dialer = await start()
    const listener = await start()
    const pair = await connectPair(dialer, listener)
    await pair.dialer.connection.newStream(ECHO)
    await pair.listener.connection.newStream(ECHO)
    const socket = await stalledClient(listener)
    expect(managerOf(listener).stat().transient.inboundConnections).to.equal(1)

    await listener.stop()
    await untilClosed(socket)

    await expectPairHoldsNothing(pair)
  })

  it('can be stopped and started repeatedly without doing anything', async () => {
    const node = await start()

    for (let i = 0; i < 3; i++) {
      await node.stop()
      await node.stop()
      await node.start()
      await node.start()
    }

    const { registrar } = (node as any).components
    expect(registrar.getMiddleware(ECHO)).to.have.lengthOf(1)
  })

  it('leaves alone what somebody else has hooked in after it', async () => {
    const node = await start()
    const { registrar } = (node as any).components
    const ours = registrar.getMiddleware
    let calls = 0
    registrar.getMiddleware = (protocol: string) => {
      calls++

      return ours(protocol)
    }
    const theirs = registrar.getMiddleware

    await node.stop()
    expect(registrar.getMiddleware).to.equal(theirs)
    // ours has become transparent
    expect(registrar.getMiddleware(ECHO)).to.deep.equal([])

    await node.start()
    expect(registrar.getMiddleware(ECHO)).to.have.lengthOf(1)
    expect(calls).to.equal(2)
  })

  it('carries the scope through a connection protector', async () => {
    const options = { connectionProtector: () => new NullProtector() }
    const dialer = await start({ options })
    const listener = await start({ options })
    const pair = await connectPair(dialer, listener)
    const stream = await pair.dialer.connection.newStream(ECHO)
    await eventually(() => managerOf(listener).stat().system.inboundStreams === 1)

    expect(managerOf(dialer).streamScope(stream)?.protocolScope?.protocol).to.equal(ECHO)

    await pair.dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })
})
