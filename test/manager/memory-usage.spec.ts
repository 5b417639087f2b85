import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../src/index.ts'

const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')
const MiB = 2 ** 20

describe('memory usage', () => {
  it('is what is accounted for, beside what may be', () => {
    const manager = createResourceManager({
      limits: { system: { memory: 64 * MiB, connections: 1 } },
      allowlist: ['/ip4/192.0.2.1'],
      // more than the process of the tests holds
      maxProcessMemory: 2 ** 40
    })
    manager.close()

    manager.openConnection('inbound', true, ENDPOINT).reserveMemory(3 * MiB)
    manager.openConnection('inbound', true, ENDPOINT).reserveMemory(2 * MiB)

    expect(manager.memoryUsage()).to.include({ accounted: 3 * MiB, allowlisted: 2 * MiB, limit: 64 * MiB, maxProcessMemory: 2 ** 40 })
    manager.setLimits({ system: { memory: Infinity } })
    expect(manager.memoryUsage()).to.have.property('limit', Infinity)
  })

  it('has no mark of the process where there is none', () => {
    const manager = createResourceManager()
    manager.close()

    expect(manager.memoryUsage()).to.have.property('maxProcessMemory', Infinity)
  })
})
