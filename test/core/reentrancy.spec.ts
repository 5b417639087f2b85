import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../src/index.ts'
import { PEER } from '../fixtures/peers.ts'
import { nonZero, scopesOf } from '../fixtures/vectors-scenarios.ts'
import type { DefaultResourceManager, Limits } from '../../src/index.ts'

const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')

/**
 * Who is told of a refusal is told in the middle of it, and may use the manager
 */
describe('a listener for refusals', () => {
  for (const enforce of [true, false]) {
    const mode = enforce ? 'enforced' : 'observed'

    // what is refused, and the scope that is open by then
    const OPERATIONS: Record<string, [Limits, (manager: DefaultResourceManager, opened: (scope: any) => any) => void]> = {
      'a memory reservation': [{ stream: { memory: 0 } }, (manager, opened) => { opened(manager.openStream(PEER, 'inbound')).reserveMemory(10) }],
      'a memory reservation of a span': [{ stream: { memory: 0 } }, (manager, opened) => { opened(manager.openStream(PEER, 'inbound')).beginSpan().reserveMemory(10) }],
      'a peer': [{ peerDefault: { connections: 0 } }, (manager, opened) => { opened(manager.openConnection('inbound', true, ENDPOINT)).setPeer(PEER) }],
      'a protocol': [{ protocolDefault: { streams: 0 } }, (manager, opened) => { opened(manager.openStream(PEER, 'inbound')).setProtocol('/p/1') }],
      'a protocol of one peer': [{ protocolPeerDefault: { streams: 0 } }, (manager, opened) => { opened(manager.openStream(PEER, 'inbound')).setProtocol('/p/1') }],
      'a service': [{ serviceDefault: { streams: 0 } }, (manager, opened) => {
        const scope = opened(manager.openStream(PEER, 'inbound'))
        scope.setProtocol('/p/1')
        scope.setService('svc')
      }],
      'a stream': [{ peerDefault: { streams: 0 } }, (manager, opened) => { opened(manager.openStream(PEER, 'inbound')) }],
      'a connection': [{ system: { connections: 0 } }, (manager, opened) => { opened(manager.openConnection('inbound', true, ENDPOINT)) }]
    }

    for (const [what, [limits, operate]] of Object.entries(OPERATIONS)) {
      it(`may end the scope while ${what} is refused (${mode}), nothing is left behind`, () => {
        play(limits, operate, enforce, scope => { scope?.done() })
      })

      it(`may collect unused scopes while ${what} is refused (${mode}), nothing is left behind`, () => {
        play(limits, operate, enforce, (_, manager) => { manager.removeUnusedScopes() })
      })
    }
  }

  function play (limits: Limits, operate: (manager: DefaultResourceManager, opened: (scope: any) => any) => void, enforce: boolean, listener: (scope: any, manager: DefaultResourceManager) => void): void {
    const manager = createResourceManager({ limits, enforce })
    let scope: any
    let heard = 0
    manager.close()
    manager.addEventListener('blocked', () => {
      heard++
      listener(scope, manager)
    })

    try {
      operate(manager, opened => {
        scope = opened

        return opened
      })
    } catch (err) {
      expect(err).to.have.property('name').that.is.oneOf(['ResourceLimitExceededError', 'ScopeClosedError'])
    }

    expect(heard).to.be.at.least(1)

    // what is in a scope is also in the scopes that are listed
    const { system } = nonZero(scopesOf(manager))
    expect(scope?.peerScope == null || manager.listPeers().length === 1 || system == null).to.be.true()

    if (scope?.protocolScope != null && system != null) {
      expect(manager.stat().protocols.get('/p/1')).to.have.property('inboundStreams', 1)
    }

    scope?.done()
    expect(nonZero(scopesOf(manager))).to.deep.equal({})

    if (scope != null) {
      expect(Object.values(scope.stat())).to.deep.equal([0, 0, 0, 0, 0, 0])
    }
  }
})
