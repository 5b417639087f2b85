/**
 * @file What this process may use, against what the system itself says.
 */

import { execSync } from 'node:child_process'
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { expect } from 'aegir/chai'
import sinon from 'sinon'
import { createResourceManager } from '../../src/index.ts'
import { automaticLimits } from '../../src/limits/automatic.ts'
import { systemResources as inBrowser, processUsage as usageInBrowser } from '../../src/limits/system-resources.browser.ts'
import { systemResources } from '../../src/limits/system-resources.ts'

const GiB = 2 ** 30

describe('system resources', () => {
  afterEach(() => {
    sinon.restore()
  })

  it('are the least of machine, control group and heap', () => {
    const constrained = sinon.stub(process, 'constrainedMemory')

    // no control group: 0, or more than any machine has
    for (const none of [0, 2 ** 63]) {
      constrained.returns(none)
      expect(systemResources().memory).to.equal(Math.min(totalmem(), getHeapStatistics().heap_size_limit))
    }

    constrained.returns(256 * 2 ** 20)
    expect(systemResources().memory).to.equal(256 * 2 ** 20)
    expect(automaticLimits().system.memory).to.equal(128 * 2 ** 20)
  })

  it('have the soft limit of open files', () => {
    const soft = execSync('ulimit -Sn', { shell: '/bin/sh' }).toString().trim()

    expect(systemResources().fileDescriptors).to.equal(soft === 'unlimited' ? 0 : Number(soft))
  })

  it('in a browser are what it tells, or a small device', () => {
    const navigator = sinon.stub(globalThis, 'navigator')

    navigator.value({ deviceMemory: 8 })
    expect(inBrowser()).to.deep.equal({ memory: 8 * GiB, fileDescriptors: 0 })
    navigator.value({})
    expect(inBrowser()).to.deep.equal({ memory: 2 * GiB, fileDescriptors: 0 })
  })

  it('tell what the process holds, as memoryUsage shows it', () => {
    const manager = createResourceManager()
    manager.close()
    const held = Buffer.alloc(64 * 2 ** 20, 1)
    const usage = manager.memoryUsage()

    expect(usage.arrayBuffers).to.be.at.least(held.byteLength).and.at.most(usage.external ?? 0)
    expect(usage.resident).to.be.at.least(held.byteLength).and.at.most(totalmem())
    expect(usage.heapUsed).to.be.greaterThan(2 ** 20).and.at.most(getHeapStatistics().heap_size_limit)
  })

  it('tell as much as they can when no descriptor is left to read it with, and the node goes on', () => {
    const clock = sinon.useFakeTimers()
    const manager = createResourceManager({ maxProcessMemory: totalmem() })
    const exhausted = new Error('EMFILE: too many open files, uv_resident_set_memory')

    sinon.stub(process.memoryUsage, 'rss').throws(exhausted)
    clock.tick(5_000)
    sinon.stub(process, 'memoryUsage').throws(exhausted)
    const usage = manager.memoryUsage()
    manager.close()
    clock.restore()

    expect(usage.resident).to.be.undefined()
    expect(usage.heapUsed).to.be.greaterThan(2 ** 20).and.at.most(getHeapStatistics().heap_size_limit)
  })

  it('in a browser tell what the process holds as far as it is known', () => {
    const performance = sinon.stub(globalThis, 'performance')

    performance.value({ memory: { usedJSHeapSize: 5, jsHeapSizeLimit: 10 } })
    expect(usageInBrowser()).to.deep.equal({ heapUsed: 5 })
    performance.value({})
    expect(usageInBrowser()).to.deep.equal({})
  })

  it('are not asked for what the user names', () => {
    const limits = automaticLimits({ memory: 4 * GiB, fileDescriptors: 10_000 })

    expect(limits.system.memory).to.equal(4 * GiB + 128 * 2 ** 20)
    expect(limits.system.fileDescriptors).to.equal(10_000)
  })
})
