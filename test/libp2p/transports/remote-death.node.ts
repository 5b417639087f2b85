/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import pWaitFor from 'p-wait-for'
import { createNode, eventually, expectNothingHeld, managerOf } from '../../fixtures/nodes.ts'
import { handleHeld, heldStreams } from '../../fixtures/pair.ts'
import { counts } from '../../fixtures/relay.ts'
import { startRemote } from '../../fixtures/remote-process.ts'
import { createWebSocketsNode } from '../../fixtures/websockets.ts'
import { cleanUpWebRTC, createDirectNode, describeWebRTC } from '../../fixtures/webrtc.ts'
import type { TestNode } from '../../fixtures/nodes.ts'
import type { RemoteProcess, RemoteTransport } from '../../fixtures/remote-process.ts'

const NODES: Record<RemoteTransport, () => Promise<TestNode>> = {
  tcp: async () => createNode(),
  webSockets: async () => createWebSocketsNode(),
  webRTCDirect: async () => createDirectNode({}, ['/ip4/127.0.0.1/udp/0/webrtc-direct'])
}

for (const [transport, create] of Object.entries(NODES) as Array<[RemoteTransport, () => Promise<TestNode>]>) {
  (transport === 'webRTCDirect' ? describeWebRTC : describe)(`a remote that dies, over ${transport}`, () => {
    let node: TestNode
    const remotes: RemoteProcess[] = []

    async function start (...args: Parameters<typeof startRemote>): Promise<RemoteProcess> {
      const remote = await startRemote(...args)
      remotes.push(remote)

      return remote
    }

    afterEach(async () => {
      await Promise.all(remotes.splice(0).map(async remote => remote.kill()))
      await node.stop()

      if (transport === 'webRTCDirect') {
        cleanUpWebRTC()
      }
    })

    it('leaves nothing, whoever had dialled', async function () {
      // nobody tells WebRTC, it finds out after a quarter of a minute
      this.timeout(60_000)

      node = await create()
      await handleHeld(node)
      const [dials, listens] = await Promise.all([start(transport, node.getMultiaddrs()[0]), start(transport)])
      await (await node.dial(listens.address)).newStream('/remote/1.0.0')
      await eventually(() => heldStreams(node).length === 1)
      expect(counts(managerOf(node).stat().system)).to.include({ inboundConnections: 1, outboundConnections: 1, inboundStreams: 1, outboundStreams: 1 })

      await Promise.all([dials.kill(), listens.kill()])

      await pWaitFor(() => node.getConnections().length === 0, { timeout: 50_000 })
      await expectNothingHeld(managerOf(node))
    })
  })
}
