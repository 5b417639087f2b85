/**
 * @file Helia nodes as `createHelia` sets them up, but for what reaches out to
 * the world, exchange a file on the default limits: nothing of it may be refused.
 */

import { unixfs } from '@helia/unixfs'
import { autoNAT } from '@libp2p/autonat'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { mplex } from '@libp2p/mplex'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { expect } from 'aegir/chai'
import { MemoryBlockstore } from 'blockstore-core'
import { createHelia } from 'helia'
import { pattern } from '../fixtures/transfer.ts'
import { MACHINES, WatchedManager } from '../fixtures/watched.ts'
import type { ResourceManagerInit } from '../../src/index.ts'

const MiB = 2 ** 20
const BITSWAP = '/ipfs/bitswap/1.2.0'
const KAD = '/ipfs/kad/1.0.0'

interface Stack {
  helia: any
  watched: WatchedManager
}

for (const [machine, init] of Object.entries(MACHINES)) {
  describe(`Helia on the default limits of ${machine}`, function () {
    this.timeout(60_000)

    let stacks: Stack[]

    async function start (init: ResourceManagerInit): Promise<Stack> {
      const watched = new WatchedManager(init)
      const helia = await createHelia({
        blockstore: new MemoryBlockstore(),
        http: { delegatedRouters: [], recursiveGateways: [] },
        libp2p: {
          addresses: { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'] },
          transports: [circuitRelayTransport(), tcp(), webSockets()],
          connectionEncrypters: [noise(), tls()],
          streamMuxers: [yamux(), mplex()],
          peerDiscovery: [],
          // a machine that is busy with other tests answers no ping in time
          connectionMonitor: { abortConnectionOnPingFailure: false },
          metrics: watched.metrics,
          services: {
            resourceManager: watched.factory,
            autoNAT: autoNAT(),
            dcutr: dcutr(),
            dht: kadDHT({ clientMode: false, peerInfoMapper: passthroughMapper }),
            identify: identify(),
            identifyPush: identifyPush(),
            ping: ping(),
            relay: circuitRelayServer()
          }
        }
      } as any).start()
      const stack = { helia, watched }
      stacks.push(stack)

      return stack
    }

    async function add ({ helia }: Stack, bytes: Uint8Array): Promise<any> {
      return unixfs(helia).addBytes(bytes)
    }

    async function expectReads ({ helia }: Stack, cid: any, bytes: Uint8Array): Promise<void> {
      const chunks: Uint8Array[] = []

      for await (const chunk of unixfs(helia).cat(cid, { signal: AbortSignal.timeout(20_000) })) {
        chunks.push(chunk)
      }

      expect(Buffer.compare(Buffer.concat(chunks), bytes)).to.equal(0)
    }

    beforeEach(() => {
      stacks = []
    })

    afterEach(async () => {
      await Promise.all(stacks.map(async ({ helia }) => helia.stop()))
    })

    it('fetches files over bitswap without one refusal and leaves nothing behind', async () => {
      const [author, reader, stranger] = [await start(init), await start(init), await start(init)]

      const file = pattern(12 * MiB)
      const cid = await add(author, file)
      await reader.helia.libp2p.dial(author.helia.libp2p.getMultiaddrs())
      await expectReads(reader, cid, file)

      // the stranger knows the reader only, who does not have this one but knows who has
      const found = pattern(5 * MiB, 1)
      const wanted = await add(author, found)
      await author.helia.routing.provide(wanted)
      await stranger.helia.libp2p.dial(reader.helia.libp2p.getMultiaddrs())
      await expectReads(stranger, wanted, found)
      expect(stranger.helia.libp2p.getConnections(author.helia.libp2p.peerId)).to.not.be.empty()

      // everybody sends and fetches at the same time
      await Promise.all(stacks.map(async (from, i) => {
        const own = pattern(3 * MiB, 100 + i)
        await expectReads(stacks[(i + 1) % stacks.length], await add(from, own), own)
      }))

      for (const { watched } of stacks) {
        expect(watched.get().listProtocols()).to.include.members([BITSWAP, KAD])
        await watched.expectNoRefusals()
      }

      await Promise.all(stacks.map(async ({ helia }) => helia.stop()))

      for (const { watched } of stacks) {
        await watched.expectNothingLeft()
      }
    })
  })
}
