/**
 * @file js-libp2p's compliance suite for connection encrypters, on those that the
 * hooks put in place: each connection they secure is a managed one.
 */

import suite from '@libp2p/interface-compliance-tests/connection-encryption'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { expect } from 'aegir/chai'
import { createLibp2p } from 'libp2p'
import { describeBothWays } from '../fixtures/both-ways.ts'
import { createManagedParts } from '../fixtures/managed-parts.ts'
import { ENCRYPTERS, eventually, expectNothingHeld, nodeOptions, stopAll } from '../fixtures/nodes.ts'
import type { ManagedParts } from '../fixtures/managed-parts.ts'
import type { Libp2p } from '@libp2p/interface'

for (const encrypter of Object.keys(ENCRYPTERS) as Array<keyof typeof ENCRYPTERS>) {
  describeBothWays(`compliance of the ${encrypter} encrypter`, {
    stock: () => {
      const nodes: Libp2p[] = []

      after(async () => {
        await stopAll(...nodes)
      })

      suite({
        setup: async args => {
          const node = await createLibp2p(nodeOptions({ encrypter, options: { privateKey: args?.privateKey, addresses: { listen: [] } } }))
          nodes.push(node)

          return (node as any).components.upgrader.getConnectionEncrypters().values().next().value
        },
        teardown: async () => {}
      })
    },

    managed: () => {
      const all: ManagedParts[] = []

      afterEach(async () => {
        for (const parts of all) {
          parts.abortConnections()
          await expectNothingHeld(parts.manager)
        }
      })

      after(async () => {
        for (const parts of all) {
          await parts.stop()
          expect(parts.adopted).to.be.greaterThan(0)
          expect(parts.refusals).to.deep.equal([])
        }
      })

      suite({
        setup: async args => {
          const parts = await createManagedParts({ encrypter, privateKey: args?.privateKey })
          all.push(parts)

          return parts.encrypter
        },
        teardown: async () => {}
      })
    }
  })

  describe(`the ${encrypter} encrypter, managed`, () => {
    it('hands the scope of a connection on to the muxer', async () => {
      const dialer = await createManagedParts({ encrypter })
      const listener = await createManagedParts({ encrypter })
      const [outbound, inbound] = multiaddrConnectionPair()
      const [secured, accepted] = await Promise.all([
        dialer.encrypter.secureOutbound(outbound),
        listener.encrypter.secureInbound(inbound)
      ])

      // an encrypter that has negotiated the muxer has taken the managed one
      const local = (secured.streamMuxer ?? dialer.installedMuxerFactory).createStreamMuxer(secured.connection)
      const remote = (accepted.streamMuxer ?? listener.installedMuxerFactory).createStreamMuxer(accepted.connection)
      remote.addEventListener('stream', () => {})
      await local.createStream()
      await eventually(() => listener.asked.inbound === 1)

      expect(dialer.asked).to.deep.equal({ inbound: 0, outbound: 1 })
      expect(dialer.manager.stat().system).to.include({ outboundConnections: 1, outboundStreams: 1 })
      expect(listener.manager.stat().system).to.include({ inboundConnections: 1, inboundStreams: 1 })

      for (const parts of [dialer, listener]) {
        parts.abortConnections()
        await expectNothingHeld(parts.manager)
        await parts.stop()
      }
    })
  })
}
