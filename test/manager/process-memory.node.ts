import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { createNode, eventually, expectNothingHeld, managerOf, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import { ECHO } from '../fixtures/pair.ts'
import type { TestNode } from '../fixtures/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

describe('a process that holds too much memory', () => {
  let node: TestNode
  let remote: Libp2p<any>

  afterEach(async () => {
    await stopAll(node, remote)
  })

  it('lets nothing new in, and can still dial', async () => {
    // any process holds more
    node = await createNode({ maxProcessMemory: 1 })
    remote = await createLibp2p(nodeOptions({}))

    const refused: string[] = []
    managerOf(node).addEventListener('blocked', ({ detail }) => { refused.push(`${detail.kind} ${detail.direction}`) })

    await remote.dial(node.getMultiaddrs()).catch(() => {})
    await eventually(() => refused.length > 0)
    expect(refused[0]).to.equal('process inbound')

    const connection = await node.dial(remote.getMultiaddrs())
    await eventually(() => remote.getConnections(node.peerId).length === 1)
    expect(await node.services.echo.echo(connection.remotePeer, Uint8Array.of(1)).then(() => true, () => true)).to.be.true()
    expect((await connection.newStream(ECHO)).status).to.equal('open')

    // a stream that the remote opens is not let in
    const stream = await remote.getConnections(node.peerId)[0].newStream(ECHO).catch(() => undefined)
    await eventually(() => stream?.status !== 'open')

    await connection.close()
    await expectNothingHeld(managerOf(node))
  })

  it('lets everything in if nobody limits it', async () => {
    node = await createNode({ maxProcessMemory: Infinity })
    remote = await createLibp2p(nodeOptions({}))
    const connection = await remote.dial(node.getMultiaddrs())
    expect((await connection.newStream(ECHO)).status).to.equal('open')
  })
})
