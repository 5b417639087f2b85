/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { isResourceLimitExceeded } from '../../src/index.ts'
import { eventually, held, managerOf } from '../fixtures/nodes.ts'
import { createPair, ECHO, expectOnlyConnection, expectPairHoldsNothing, HELD, heldStreams, stopPair } from '../fixtures/pair.ts'
import type { ResourceManagerInit } from '../../src/index.ts'
import type { Pair } from '../fixtures/pair.ts'

const PING = '/ipfs/ping/1.0.0'

describe('the service of a stream', () => {
  let pair: Pair

  afterEach(async () => {
    await stopPair(pair)
  })

  it('is known for stock protocols, in both directions', async () => {
    pair = await createPair()
    const { dialer, listener } = pair

    const stream = await dialer.connection.newStream(PING)
    await eventually(() => managerOf(listener.node).stat().services.get('libp2p.ping')?.inboundStreams === 1)

    expect(held(managerOf(dialer.node))).to.deep.include({
      'service:libp2p.ping': { outboundStreams: 1 },
      [`service:libp2p.ping.peer:${listener.node.peerId}`]: { outboundStreams: 1 },
      [`protocol:${PING}`]: { outboundStreams: 1 },
      [`protocol:${PING}.peer:${listener.node.peerId}`]: { outboundStreams: 1 }
    })
    expect(held(managerOf(listener.node))).to.deep.include({
      'service:libp2p.ping': { inboundStreams: 1 },
      [`service:libp2p.ping.peer:${dialer.node.peerId}`]: { inboundStreams: 1 },
      [`protocol:${PING}`]: { inboundStreams: 1 },
      [`protocol:${PING}.peer:${dialer.node.peerId}`]: { inboundStreams: 1 }
    })
    expect(managerOf(dialer.node).streamScope(stream)?.serviceScope?.service).to.equal('libp2p.ping')

    stream.abort(new Error('Done'))
    await expectOnlyConnection(pair)
    await dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })

  it('can be configured by protocol', async () => {
    const init: ResourceManagerInit = { services: { mine: [HELD, ECHO] } }
    pair = await createPair(init)
    const { dialer, listener } = pair

    await dialer.connection.newStream(HELD)
    await dialer.connection.newStream(ECHO)
    await eventually(() => managerOf(listener.node).stat().services.get('mine')?.inboundStreams === 2)

    expect(managerOf(dialer.node).stat().services.get('mine')?.outboundStreams).to.equal(2)

    await dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })

  it('that is configured comes before the one that is built in', async () => {
    pair = await createPair({ services: { mine: [PING] } })
    const { dialer, listener } = pair

    await dialer.connection.newStream(PING)
    await eventually(() => managerOf(listener.node).stat().services.get('mine')?.inboundStreams === 1)

    expect(managerOf(dialer.node).listServices()).to.deep.equal(['mine'])
  })

  it('can be set by a handler', async () => {
    pair = await createPair()
    const { dialer, listener } = pair

    await dialer.connection.newStream(HELD)
    await eventually(() => heldStreams(listener.node).length === 1)
    const [stream] = heldStreams(listener.node)
    managerOf(listener.node).streamScope(stream)?.setService('mine')

    expect(managerOf(listener.node).stat().services.get('mine')?.inboundStreams).to.equal(1)

    await dialer.connection.close()
    await expectPairHoldsNothing(pair)
  })

  for (const [name, service, protocol, limit] of [
    ['a stock service', 'libp2p.ping', PING, 'services'],
    ['a stock service of one peer', 'libp2p.ping', PING, 'servicePeers'],
    ['a configured service', 'mine', HELD, 'services'],
    ['a configured service of one peer', 'mine', HELD, 'servicePeers']
  ] as const) {
    it(`refuses streams that this node opens over the limit of ${name}`, async () => {
      pair = await createPair({
        services: { mine: [HELD] },
        limits: { [limit]: { [service]: { outboundStreams: 0 } } }
      }, {})
      const { dialer, listener } = pair

      const err = await dialer.node.dialProtocol(listener.node.peerId, protocol).catch(err => err)

      expect(err).to.include({
        name: 'ResourceLimitExceededError',
        scope: limit === 'services' ? `service:${service}` : `service:${service}.peer:${listener.node.peerId}`,
        resource: 'outboundStreams',
        direction: 'outbound',
        option: `limits.${limit}["${service}"].outboundStreams`
      })
      await expectOnlyConnection(pair)
      expect((await dialer.connection.newStream(ECHO)).status).to.equal('open')
    })

    it(`resets streams that come in over the limit of ${name}`, async () => {
      pair = await createPair({}, {
        services: { mine: [HELD] },
        limits: { [limit]: { [service]: { inboundStreams: 0 } } }
      })
      const { dialer, listener } = pair
      const scopes: string[] = []
      managerOf(listener.node).addEventListener('blocked', ({ detail }) => { scopes.push(detail.scope) })

      const stream = await dialer.connection.newStream(protocol).catch(() => undefined)
      await eventually(() => stream?.status !== 'open')

      expect(scopes).to.deep.equal([limit === 'services' ? `service:${service}` : `service:${service}.peer:${dialer.node.peerId}`])
      expect(heldStreams(listener.node)).to.be.empty()
      await expectOnlyConnection(pair)
      expect((await dialer.connection.newStream(ECHO)).status).to.equal('open')
    })
  }

  it('makes a ping fail with our error', async () => {
    pair = await createPair({ limits: { services: { 'libp2p.ping': { outboundStreams: 0 } } } }, {})
    const { dialer, listener } = pair

    const err = await dialer.node.services.ping.ping(listener.node.peerId).catch(err => err)

    expect(isResourceLimitExceeded(err)).to.be.true()
  })

  it('and its limit can be overstepped by a handler only with an error', async () => {
    pair = await createPair({}, { limits: { services: { mine: { inboundStreams: 0 } } } })
    const { dialer, listener } = pair

    await dialer.connection.newStream(HELD)
    await eventually(() => heldStreams(listener.node).length === 1)
    const [stream] = heldStreams(listener.node)
    const scope = managerOf(listener.node).streamScope(stream)

    expect(() => scope?.setService('mine')).to.throw().with.property('name', 'ResourceLimitExceededError')
    // the stream stays where it was
    expect(stream.status).to.equal('open')
    expect(scope?.serviceScope).to.be.undefined()
    expect(managerOf(listener.node).stat().protocols.get(HELD)?.inboundStreams).to.equal(1)
  })
})
