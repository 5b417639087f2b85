import { expect } from 'aegir/chai'
import { Store } from '../../../src/observe/inspector/page/store.ts'
import type { State } from '../../../src/observe/inspector/page/store.ts'

const REFUSAL = { key: 'inbound peer', message: 'no more', scope: 'peer:x', kind: 'peer', resource: 'inboundStreams', direction: 'inbound', enforced: true, limit: 1, current: 1, option: 'limits.peerDefault.inboundStreams' }

describe('what the page of the inspector knows', () => {
  let source: EventTarget
  let state: State

  beforeEach(() => {
    source = new EventTarget()
    new Store(to => { state = to }).follow(source as EventSource)
    tell('welcome', { pid: 1, allowChanges: false })
  })

  function tell (type: string, data: unknown): void {
    source.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data) }))
  }

  function refused (count: number, ago: number): void {
    tell('refusals', [{ ...REFUSAL, count, at: Date.now() - ago }])
    tell('snapshot', {})
  }

  it('is not that refusals are new which happened before it was opened', () => {
    refused(5_000, 60_000)

    expect(state.refusals).to.have.length(1).with.nested.property('0.count', 5_000)
    expect([...state.recent]).to.be.empty()
  })

  it('is that the last of them is new if it is', () => {
    refused(5_000, 100)

    expect([...state.recent]).to.deep.equal([[REFUSAL.key, 1]])
  })

  it('is how many came since', () => {
    refused(5_000, 60_000)
    refused(5_007, 0)

    expect([...state.recent]).to.deep.equal([[REFUSAL.key, 7]])

    // the first of its kind
    tell('refusals', [{ ...REFUSAL, key: 'another', count: 3, at: Date.now() }])
    tell('snapshot', {})
    expect(state.recent.get('another')).to.equal(3)
  })

  it('begins again with the connection', () => {
    refused(5_000, 60_000)
    tell('welcome', { pid: 1, allowChanges: false })
    refused(5_100, 60_000)

    expect([...state.recent]).to.be.empty()
  })
})
