/**
 * @file Limits as the inspector tells and takes them.
 */

import { expect } from 'aegir/chai'
import { createResourceManager } from '../../../src/index.ts'
import { serveInspector } from '../../../src/observe/inspector/inspector.ts'
import { ask, limitsOf, ownHeaders, post, secretOf } from '../../fixtures/inspector.ts'
import { eventually } from '../../fixtures/nodes.ts'
import { PEER } from '../../fixtures/peers.ts'
import type { DefaultResourceManager, Limits } from '../../../src/index.ts'
import type { Inspector } from '../../../src/observe/inspector/inspector.ts'

describe('what the inspector takes', () => {
  let manager: DefaultResourceManager
  let inspector: Inspector

  async function start (limits?: Limits): Promise<void> {
    manager = createResourceManager({ limits })
    inspector = await serveInspector(manager, { allowChanges: true })
  }

  afterEach(async () => {
    await inspector.close()
    manager.close()
  })

  it('is the limits, a preview of others, and that they are applied', async () => {
    await start({ system: { memory: 2n ** 60n, streams: Infinity } })
    const connection = manager.openConnection('inbound', true)
    connection.setPeer(PEER)

    const { limits, allowChanges } = await limitsOf(inspector.url)
    expect(allowChanges).to.be.true()
    expect(limits.system).to.include({ memory: `${2n ** 60n}`, streams: 'unlimited' })
    expect(limits).to.have.nested.property('subnets.ipv4.prefixes[0].connections', 8)

    // all of them as they are told are all as they are
    const { json: { changes: none } } = await post(inspector.url, '/apply', JSON.stringify(limits))
    expect(none).to.deep.equal([])

    const other = JSON.stringify({ system: { connections: 0, streams: `${2n ** 61n}` }, protocols: { ['__proto__']: { memory: 'unlimited' } } })
    const { json: { changes } } = await post(inspector.url, '/preview', other)
    expect(changes).to.deep.include({ option: 'limits.system.connections', from: limits.system.connections, to: 0, inUse: 1, exceeded: true })
    expect(changes).to.deep.include({ option: 'limits.system.streams', from: 'unlimited', to: `${2n ** 61n}`, inUse: 0, exceeded: false })
    expect(changes?.map(({ option }) => option)).to.include('limits.protocols["__proto__"].memory')
    expect(manager.limits().system.connections).to.equal(limits.system.connections)

    const { json: applied } = await post(inspector.url, '/apply', other)
    expect(applied.changes).to.deep.equal(changes)
    expect(manager.limits().system).to.include({ connections: 0, streams: 2n ** 61n })
    expect(manager.limits().protocols).to.have.property('__proto__').that.has.property('memory', Infinity)
  })

  it('is what is wrong with limits, and changes nothing then', async () => {
    await start()
    const before = manager.limits()

    for (const path of ['/preview', '/apply']) {
      for (const [body, status, wrong] of [
        ['{"system": {"memory": -1}}', 422, 'limits.system.memory'],
        ['{"system": {"memory": "12 parsecs"}}', 422, 'limits.system.memory'],
        ['{"protocols": {"/a": {"streams": 1.5}}}', 422, 'limits.protocols["/a"].streams'],
        ['{"system": {"streams": 1}, "sytem": {}}', 422, 'limits.sytem'],
        ['{"subnets": {"ipv4": {"prefixes": [{"prefixLength": 33, "connections": 1}]}}}', 422, 'limits.subnets.ipv4.prefixes[0].prefixLength'],
        ['null', 422, 'limits'],
        ['[]', 422, 'limits'],
        ['{"system": {"memory": 1}', 400, undefined],
        ['', 400, undefined]
      ] as const) {
        const answer = await post(inspector.url, path, body)

        expect(answer.status, body).to.equal(status)
        expect(answer.json.path, body).to.equal(wrong)
        expect(answer.json.message, body).to.be.a('string').that.is.not.empty()
      }
    }

    expect(manager.limits()).to.deep.equal(before)
  })

  it('is little of the node\'s time, however many ask', async () => {
    await start()
    const headers = ownHeaders(inspector.url, await secretOf(inspector.url))
    const previewLimits = manager.previewLimits.bind(manager)
    let previews = 0

    // the next one waits for twenty times as long
    manager.previewLimits = limits => {
      previews++

      for (const start = performance.now(); performance.now() < start + 100;) {
        // as with very many peers
      }

      return previewLimits(limits)
    }

    const asked = Array.from({ length: 40 }, async () => {
      const { status } = await ask(inspector.url, { path: '/preview', method: 'POST', headers, body: '{}' })

      return status
    })
    const statuses: number[] = []
    asked.forEach(answer => { answer.then(status => { statuses.push(status) }, () => {}) })

    // who is one too many is told so at once
    await eventually(() => statuses.filter(status => status === 503).length > 20)
    await eventually(() => statuses.includes(200))
    expect(previews).to.be.below(20)
    await inspector.close()
    await Promise.allSettled(asked)
  })
})
