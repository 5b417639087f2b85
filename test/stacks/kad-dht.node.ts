/**
 * @file Nodes of a DHT with its own defaults, on the default limits: records,
 * peers and providers are found, and nothing of it may be refused.
 */

import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { expect } from 'aegir/chai'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { eventually } from '../fixtures/nodes.ts'
import { Swarm } from '../fixtures/swarm.ts'
import { pattern } from '../fixtures/transfer.ts'
import { MACHINES } from '../fixtures/watched.ts'

const SIZE = 8
const KAD = '/ipfs/kad/1.0.0'

for (const [machine, init] of Object.entries(MACHINES)) {
  describe(`kad-dht on the default limits of ${machine}`, function () {
    this.timeout(60_000)

    let swarm: Swarm

    beforeEach(async () => {
      swarm = new Swarm()
      await swarm.start(SIZE, init, () => ({
        dht: kadDHT({
          clientMode: false,
          peerInfoMapper: passthroughMapper,
          validators: { stack: async () => {} },
          selectors: { stack: () => 0 }
        })
      }))
    })

    afterEach(async () => {
      await swarm.stop()
    })

    it('finds records, peers and providers without one refusal and leaves nothing behind', async () => {
      const { nodes } = swarm
      await swarm.connectRing(1)
      await eventually(() => nodes.every(node => node.services.dht.routingTable.size >= 2))
      const signal = AbortSignal.timeout(30_000)

      await Promise.all(nodes.map(async (node, i) => {
        const farthest = nodes[(i + SIZE / 2) % SIZE]
        const key = new TextEncoder().encode(`/stack/${i}`)
        const value = pattern(4_000, i)
        const cid = CID.createV1(raw.code, await sha256.digest(value))

        await node.contentRouting.put(key, value, { signal })
        await node.contentRouting.provide(cid, { signal })

        expect(await farthest.contentRouting.get(key, { signal })).to.equalBytes(value)
        expect((await farthest.peerRouting.findPeer(node.peerId, { signal })).id.equals(node.peerId)).to.be.true()

        let found = false

        for await (const { id } of farthest.contentRouting.findProviders(cid, { signal })) {
          found = id.equals(node.peerId)

          if (found) {
            break
          }
        }

        expect(found).to.be.true()
      }))

      await swarm.expectUntouched(KAD)
    })
  })
}
