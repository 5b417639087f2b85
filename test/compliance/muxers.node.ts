/**
 * @file js-libp2p's compliance suite for stream muxers, on the factories that the
 * hooks put in place: their streams are managed, in both directions.
 */

import suite from '@libp2p/interface-compliance-tests/stream-muxer'
import { expect } from 'aegir/chai'
import { describeBothWays } from '../fixtures/both-ways.ts'
import { createManagedParts } from '../fixtures/managed-parts.ts'
import { expectNothingHeld, MUXERS } from '../fixtures/nodes.ts'
import type { ManagedParts } from '../fixtures/managed-parts.ts'

/** The suite's stress test alone opens that many in each direction */
const STREAMS = 3 * (1 + 10 + 100 + 1000)

for (const muxer of Object.keys(MUXERS) as Array<keyof typeof MUXERS>) {
  describeBothWays(`compliance of the ${muxer} muxer`, {
    stock: () => {
      suite({
        setup: async () => MUXERS[muxer]()(),
        teardown: async () => {}
      })
    },

    managed: () => {
      let parts: ManagedParts

      before(async () => {
        parts = await createManagedParts({ muxer })
      })

      afterEach(async () => {
        parts.abortConnections()
        await expectNothingHeld(parts.manager)
        expect(parts.refusals).to.deep.equal([])
      })

      after(async () => {
        await parts.stop()
        expect(parts.asked.outbound).to.be.at.least(STREAMS)
        expect(parts.asked.inbound).to.be.at.least(STREAMS)
        expect(parts.reserved).to.be.greaterThan(0)
      })

      suite({
        setup: async () => parts.muxerFactory,
        teardown: async () => {}
      })
    }
  })
}
