import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { Admission } from '../../src/admission/admission.ts'
import { ProcessMemory } from '../../src/admission/process-memory.ts'
import { createResourceManager } from '../../src/index.ts'

const ADDRESS = multiaddr('/ip4/1.2.3.4/tcp/4001')
const LIMIT = 1000

describe('the memory of the process', () => {
  let current: number
  let changes: number
  let memory: ProcessMemory

  function look (bytes: number): boolean {
    current = bytes
    memory.look()

    return memory.exceeded
  }

  beforeEach(() => {
    current = 0
    changes = 0
    memory = new ProcessMemory({ limit: LIMIT, read: () => current, onChange: () => { changes++ } })
  })

  it('lets work in up to the limit, and again when a part of it is left', () => {
    expect(look(LIMIT)).to.be.false()
    expect(memory.refuseInbound()).to.be.undefined()
    expect(look(LIMIT + 1)).to.be.true()
    expect(look(LIMIT)).to.be.true()
    expect(look(951)).to.be.true()
    expect(look(950)).to.be.false()
    expect(look(LIMIT)).to.be.false()
    expect(changes).to.equal(2)
  })

  it('is what it was before while nobody can tell', () => {
    let known: number | undefined = LIMIT + 1
    memory = new ProcessMemory({ limit: LIMIT, read: () => known, onChange: () => { changes++ } })

    memory.look()
    known = undefined
    memory.look()
    expect(memory.refuseInbound()).to.have.property('current', LIMIT + 1)
    known = 0
    memory.look()
    known = undefined
    memory.look()
    expect(memory.refuseInbound()).to.be.undefined()
    expect(changes).to.equal(2)
  })

  it('says what is the matter', () => {
    look(1234)

    const err = memory.refuseInbound()
    expect(err).to.include({ name: 'ResourceLimitExceededError', kind: 'process', scope: 'process', resource: 'memory', current: 1234, limit: LIMIT, option: 'maxProcessMemory' })
    expect(err?.message).to.include('1000').and.to.include('1234').and.to.include('maxProcessMemory')
  })

  it('is looked at from the start on, and not without a limit', () => {
    current = LIMIT + 1
    memory.start()
    expect(memory.exceeded).to.be.true()
    memory.stop()

    let read = 0
    const off = new ProcessMemory({ limit: Infinity, read: () => ++read, onChange: () => {} })
    off.start()
    off.stop()
    expect(read).to.equal(0)
  })

  it('is a gate for inbound connections and streams only, and not for those that are there', () => {
    const admission = new Admission({}, { processMemory: { limit: LIMIT, read: () => current } })
    expect(admission.inboundStream).to.be.undefined()

    current = LIMIT + 1
    admission.start()
    expect(admission.connection('inbound', ADDRESS).enter(false)).to.have.property('kind', 'process')
    expect(admission.connection('outbound', ADDRESS).enter(false)).to.be.undefined()
    expect(admission.connection('inbound', ADDRESS).enter(true)).to.be.undefined()
    expect(admission.inboundStream?.('peer')).to.have.property('kind', 'process')

    admission.processMemory.look()
    expect(admission.inboundStream).to.not.be.undefined()
    current = 0
    admission.processMemory.look()
    expect(admission.inboundStream).to.be.undefined()
    expect(admission.connection('inbound', ADDRESS).enter(false)).to.be.undefined()
    admission.stop()
  })

  it('leaves the rates as they are', () => {
    const admission = new Admission({ rates: { inboundStreamsOfPeer: { default: { perSecond: 1, burst: 1 } } } }, { now: () => 0, processMemory: { limit: LIMIT, read: () => current } })
    current = LIMIT + 1
    admission.start()
    expect(admission.inboundStream?.('peer')).to.have.property('kind', 'process')

    current = 0
    admission.processMemory.look()
    // what was refused before has not used up the rate
    expect(admission.inboundStream?.('peer')).to.be.undefined()
    expect(admission.inboundStream?.('peer')).to.have.property('kind', 'rate')
    admission.stop()
  })

  for (const value of [-1, NaN, 1.5, '1', null, 2n]) {
    it(`cannot be limited to ${typeof value === 'bigint' ? 'a bigint' : JSON.stringify(value)}`, () => {
      expect(() => createResourceManager({ maxProcessMemory: value as any })).to.throw().with.property('path', 'maxProcessMemory')
    })
  }
})
