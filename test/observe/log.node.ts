/**
 * @file What a node writes to its log of refusals.
 */

/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { createLibp2p, resourceManager } from '../../src/index.ts'
import { keepLog } from '../fixtures/log.ts'
import { eventually, stopAll } from '../fixtures/nodes.ts'
import { PEER } from '../fixtures/peers.ts'
import type { DefaultResourceManager } from '../../src/index.ts'
import type { Libp2p } from '@libp2p/interface'

describe('the log of a node', () => {
  let node: Libp2p<{ resourceManager: DefaultResourceManager }>

  afterEach(async () => {
    await stopAll(node)
  })

  function refuse (times: number): void {
    for (let i = 0; i < times; i++) {
      expect(() => node.services.resourceManager.openStream(PEER, 'inbound')).to.throw()
    }
  }

  it('has the first refusal at once, the sum of others after the interval, what is left at its stop', async () => {
    const { logger, lines } = keepLog()
    node = await createLibp2p({ logger, resourceManager: resourceManager({ logInterval: 50, limits: { peerDefault: { inboundStreams: 0 } } }) })

    refuse(10)
    expect(lines).to.have.lengthOf(1)
    await eventually(() => lines.length === 2)
    expect(lines[1]).to.match(/^9 more inbound streams of .* were refused in 0.05 s/)

    await eventually(() => {
      refuse(2)

      return lines.length > 3
    })

    refuse(1)
    const before = lines.length
    await node.stop()
    expect(lines.slice(before).join()).to.match(/^\d+ more inbound stream/)
  })

  it('is empty while it is not enabled', async () => {
    const { logger, lines } = keepLog(false)
    node = await createLibp2p({ logger, resourceManager: resourceManager({ logInterval: 10, limits: { peerDefault: { inboundStreams: 0 } } }) })

    refuse(10)
    await node.stop()
    expect(lines).to.be.empty()
    expect(node.services.resourceManager.refusals()).to.containSubset([{ count: 10 }])
  })
})
