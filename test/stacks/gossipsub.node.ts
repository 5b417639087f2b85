/**
 * @file Gossipsub nodes with its own defaults, on the default limits: a mesh
 * carries messages to all of them, and nothing of it may be refused.
 */

import { gossipsub } from '@libp2p/gossipsub'
import { expect } from 'aegir/chai'
import { eventually } from '../fixtures/nodes.ts'
import { Swarm } from '../fixtures/swarm.ts'
import { pattern } from '../fixtures/transfer.ts'
import { MACHINES } from '../fixtures/watched.ts'

const SIZE = 8
const TOPIC = 'stack'

/** What each node publishes */
const MESSAGES = 10

for (const [machine, init] of Object.entries(MACHINES)) {
  describe(`gossipsub on the default limits of ${machine}`, function () {
    this.timeout(60_000)

    let swarm: Swarm

    beforeEach(async () => {
      swarm = new Swarm()
      await swarm.start(SIZE, init, () => ({ pubsub: gossipsub() }))
    })

    afterEach(async () => {
      await swarm.stop()
    })

    it('brings all messages to everybody without one refusal and leaves nothing behind', async () => {
      const { nodes } = swarm
      const received = nodes.map(() => new Set<string>())
      let largest = 0

      nodes.forEach(({ services: { pubsub } }, i) => {
        pubsub.subscribe(TOPIC)
        pubsub.addEventListener('message', ({ detail }: any) => {
          largest = Math.max(largest, detail.data.byteLength)
          received[i].add(`${detail.from} ${detail.sequenceNumber}`)
        })
      })

      await swarm.connectRing(2)
      await eventually(() => nodes.every(({ services: { pubsub } }) => pubsub.getMeshPeers(TOPIC).length >= 4))

      await Promise.all(nodes.map(async ({ services: { pubsub } }, i) => {
        for (let message = 0; message < MESSAGES; message++) {
          await pubsub.publish(TOPIC, pattern(1_000, i * MESSAGES + message))
        }
      }))
      await nodes[0].services.pubsub.publish(TOPIC, pattern(500_000))

      // each has the messages of the others, most of which it has no connection to
      for (const [i, messages] of received.entries()) {
        await eventually(() => messages.size === MESSAGES * (SIZE - 1) + (i === 0 ? 0 : 1))
      }

      expect(largest).to.equal(500_000)
      expect(nodes.every(node => node.getPeers().length < SIZE - 1)).to.be.true()

      await swarm.expectUntouched('/meshsub/1.2.0')
    })
  })
}
