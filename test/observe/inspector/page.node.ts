/**
 * @file The page of the inspector in a real browser: somebody clicks through all of
 * it.
 */

import { existsSync } from 'node:fs'
import { expect } from 'aegir/chai'
import { useInspectorPage } from '../../fixtures/inspector-page.ts'
import { makePeers } from '../../fixtures/inspector.ts'
import { eventually } from '../../fixtures/nodes.ts'
import { OTHER_PEER, PEER } from '../../fixtures/peers.ts'

const MIB = 1024 * 1024
const UNUSUAL = '/a"]/["b/1.0.0'

describe('the page of the inspector', function () {
  this.timeout(120_000)

  const tab = useInspectorPage()

  it('shows what is used, refused and limited without a click, at 1280 × 800', async () => {
    const { manager, page } = await tab.open({ system: { memory: 64 * MIB }, protocols: { '/full/1.0.0': { inboundStreams: 1 } } })
    const connection = manager.openConnection('inbound', true)
    connection.setPeer(OTHER_PEER)
    connection.reserveMemory(16 * MIB)
    manager.openStream(OTHER_PEER, 'inbound').setProtocol('/full/1.0.0')
    expect(() => { manager.openStream(OTHER_PEER, 'inbound').setProtocol('/full/1.0.0') }).to.throw()

    const memory = page.locator('.tile', { hasText: 'Memory accounted for' })
    await memory.getByText('16 MiB').waitFor()
    expect(await memory.innerText()).to.include('of 64 MiB').and.include('25 %').and.include('Process holds')
    await page.locator('.tile', { hasText: 'Refusals' }).getByText('1 in all').waitFor()
    await page.locator('.verdict.refusing').waitFor()
    expect(await page.locator('.verdict').innerText()).to.include('streams in of protocol:/full/1.0.0, limit 1')

    const refusal = page.locator('.refusals li')
    expect(await refusal.count()).to.equal(1)
    expect(await refusal.innerText()).to.include('1×').and.include('protocol:/full/1.0.0 may hold 1 inbound streams, 1 in use, 1 more asked for').and.include('limits.protocols["/full/1.0.0"].inboundStreams')

    expect(await page.locator('.node.protocol').getAttribute('aria-label')).to.equal('protocol /full/1.0.0: memory 0 B of ' + (await page.locator('.node.protocol .bar').first().locator('.of').innerText()).replace(/^ *\/ /, '') + ', streams in 1 of 1. Change its limits')
    await page.locator('.node.system', { hasText: '16 MiB / 64 MiB' }).waitFor()
    await page.locator('.near-list li', { hasText: '1 of 1' }).first().waitFor()
    expect(await page.locator('header').innerText()).to.include('12D3Ko…HyfEWG').and.include(`process ${process.pid}`)

    // all of that is on the screen
    for (const part of ['.tiles', '.dag', '.refusals', '.near-list']) {
      const { y, height } = await page.locator(part).boundingBox() as { y: number, height: number }
      expect(y + height, part).to.be.at.most(800)
    }

    // canvases in which something is drawn
    expect(await page.locator('.spark canvas').count()).to.equal(4)
    expect(tab.incidents).to.deep.equal([])
  })

  it('has room for the numbers of a node that has no peers yet, and of one that has some', async () => {
    const { manager, page } = await tab.open()
    const overlapping = async (): Promise<string[]> => page.locator('.node.system .bar').evaluateAll(bars => bars.filter(bar => bar.scrollWidth > bar.clientWidth).map(bar => bar.textContent))

    await page.locator('.node.system .bar').first().waitFor()
    expect(await overlapping()).to.deep.equal([])

    manager.openConnection('inbound', true).setPeer(OTHER_PEER)
    await page.locator('.node.peer').waitFor()
    expect(await overlapping()).to.deep.equal([])

    manager.openStream(OTHER_PEER, 'inbound').setProtocol('/one/1.0.0')
    await page.locator('.node.protocol').waitFor()
    expect(await overlapping()).to.deep.equal([])
  })

  it('sorts tables, by mouse and by keyboard', async () => {
    const { manager, page } = await tab.open()
    const peers = makePeers(3)

    for (const [i, peer] of peers.entries()) {
      manager.viewPeer(peer, scope => { scope.reserveMemory((i + 1) * MIB) })
      Array.from({ length: 3 - i }, () => manager.openStream(peer, 'inbound'))
    }

    await eventually(async () => (await tab.column('Memory')).length === 3)
    expect(await tab.column('Memory')).to.deep.equal(['3 MiB', '2 MiB', '1 MiB'])

    await page.locator('.tables').getByRole('button', { name: 'Streams', exact: true }).click()
    expect(await tab.column('Streams')).to.deep.equal(['3', '2', '1'])
    expect(await tab.column('Memory')).to.deep.equal(['1 MiB', '2 MiB', '3 MiB'])
    expect(await page.getByRole('columnheader', { name: 'Streams', exact: true }).getAttribute('aria-sort')).to.equal('descending')

    await page.locator('.tables').getByRole('button', { name: 'Streams', exact: true }).press('Enter')
    expect(await tab.column('Streams')).to.deep.equal(['1', '2', '3'])
    expect(await page.getByRole('columnheader', { name: 'Streams', exact: true }).getAttribute('aria-sort')).to.equal('ascending')

    await page.getByRole('tab', { name: /Peers/ }).press('ArrowRight')
    expect(await page.getByRole('tab', { selected: true }).innerText()).to.include('Protocols')
    await page.getByRole('tab', { name: /Oldest streams/ }).click()
    await eventually(async () => (await tab.column('Protocol')).join() === Array(6).fill('not negotiated yet').join())
    await page.getByRole('tab', { name: /Oldest connections/ }).click()
    await page.getByText('There are none.').waitFor()
    expect(tab.incidents).to.deep.equal([])
  })

  it('previews a change, warns of what is in use, and applies it', async () => {
    const { manager, page } = await tab.open({ system: { memory: 64 * MIB } })
    manager.viewSystem(scope => { scope.reserveMemory(16 * MIB) })

    // from the node of the graph to its limits
    await page.locator('.node.system').click()
    const input = page.getByLabel('memory', { exact: true })
    await input.waitFor()
    expect(await input.inputValue()).to.equal('64 MiB')
    expect(await page.getByRole('button', { name: 'Apply' }).isDisabled()).to.be.true()
    expect(await page.getByRole('button', { name: 'Preview' }).isDisabled()).to.be.true()

    await input.fill('8 MiB')
    expect(await page.locator('.was').innerText()).to.equal('now 64 MiB')
    await page.getByRole('button', { name: 'Preview' }).click()
    await page.getByText('64 MiB → 8 MiB').waitFor()
    const change = page.locator('.changes tbody tr')
    expect(await change.count()).to.equal(1)
    expect(await change.innerText()).to.include('limits.system.memory').and.include('16 MiB').and.include('More than that is in use')
    expect(manager.limits().system.memory).to.equal(64 * MIB)

    // another value is to be previewed again
    await input.fill('128 MiB')
    expect(await page.getByRole('button', { name: 'Apply' }).isDisabled()).to.be.true()
    await input.press('Enter')
    await page.getByText('64 MiB → 128 MiB').waitFor()
    expect(await page.locator('.changes .warning').count()).to.equal(0)

    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText('Applied 1 change.').waitFor()
    expect(manager.limits().system.memory).to.equal(128 * MIB)
    await eventually(async () => await input.inputValue() === '128 MiB')
    await page.locator('.tile').getByText('of 128 MiB').waitFor()
    expect(await page.locator('.field.changed').count()).to.equal(0)
    expect(tab.incidents).to.deep.equal([])
  })

  it('leads from a refusal to its limit, also of a name that has none of its own', async () => {
    const { manager, page } = await tab.open({ protocolDefault: { inboundStreams: 0 } })
    expect(() => { manager.openStream(PEER, 'inbound').setProtocol(UNUSUAL) }).to.throw()

    await page.getByRole('button', { name: 'Change this limit' }).click()
    const input = page.getByLabel('streams in', { exact: true })
    await eventually(async () => input.evaluate(element => element === document.activeElement))
    expect(await input.inputValue()).to.equal('0')
    await input.fill('unlimited')
    await input.press('Enter')
    await page.getByText('0 → unlimited').waitFor()
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText('Applied 1 change.').waitFor()
    expect(manager.limits().protocols[UNUSUAL].inboundStreams).to.equal(Infinity)
    expect(manager.limits().protocolDefault.inboundStreams).to.equal(0)
    expect(tab.incidents).to.deep.equal([])
  })

  it('says beside it what is wrong with a value', async () => {
    const { manager, page } = await tab.open()
    const before = manager.limits()
    await page.getByText('everything together').click()
    const input = page.getByLabel('streams in', { exact: true })
    await input.fill('-5')
    await page.getByRole('button', { name: 'Preview' }).click()

    await page.locator('.field.wrong').waitFor()
    expect(await page.locator('.field.wrong').innerText()).to.include('streams in').and.include('Allowed is a non-negative integer')
    expect(await input.getAttribute('aria-invalid')).to.equal('true')
    expect(await page.locator('.changes .error').innerText()).to.include('limits.system.inboundStreams is -5')

    await input.fill('many')
    await input.press('Enter')
    await page.getByText('limits.system.inboundStreams is "many"').waitFor()

    await page.getByRole('button', { name: 'Discard' }).click()
    expect(await page.locator('.error').count()).to.equal(0)

    // what is replaced as a whole is JSON
    await page.getByText('connections by address').click()
    const text = page.getByLabel('All of subnets as JSON')
    await text.fill('{"ipv4": {"prefixes": [{"prefixLength": 33, "connections": 1}]}}')
    await page.getByRole('button', { name: 'Preview' }).click()
    await page.locator('.whole .error', { hasText: 'limits.subnets.ipv4.prefixes[0].prefixLength' }).waitFor()
    await text.fill('{"ipv4"')
    await page.getByRole('button', { name: 'Preview' }).click()
    await page.locator('.whole .error', { hasText: 'JSON' }).waitFor()
    expect(manager.limits()).to.deep.equal(before)
    // the browser itself says that the node has not taken it
    expect(tab.incidents.filter(incident => !incident.includes('422'))).to.deep.equal([])
  })

  it('offers no change that the program does not allow', async () => {
    const { manager, page } = await tab.open({}, { allowChanges: false })
    await page.getByText('serveInspector(manager, { allowChanges: true })').waitFor()
    expect(await page.getByRole('button', { name: 'Apply' }).count()).to.equal(0)

    await page.getByText('everything together').click()
    await page.getByLabel('descriptors', { exact: true }).fill('7')
    await page.getByRole('button', { name: 'Preview' }).click()
    await page.locator('.changes tbody tr', { hasText: '→ 7' }).waitFor()
    expect(manager.limits().system.fileDescriptors).to.not.equal(7)
    expect(tab.incidents).to.deep.equal([])
  })

  it('stays small with a thousand peers that come and go, and keeps up', async () => {
    const { manager, page } = await tab.open({ system: { connections: Infinity, inboundConnections: Infinity, fileDescriptors: Infinity, streams: Infinity, inboundStreams: Infinity }, transient: { connections: Infinity, inboundConnections: Infinity, fileDescriptors: Infinity }, rates: undefined, peerDefault: { inboundStreams: 1 } })
    const peers = makePeers(1000)
    const connections = peers.map(peer => {
      const connection = manager.openConnection('inbound', true)
      connection.setPeer(peer)

      return connection
    })
    let round = 0
    const work = setInterval(() => {
      round++

      for (const [i, connection] of connections.entries()) {
        connection.reserveMemory(1 + (i * 7919 * round) % 1000)
        const stream = manager.openStream(peers[i], 'inbound')
        expect(() => manager.openStream(peers[i], 'inbound')).to.throw()
        stream.done()
      }
    }, 100)

    try {
      await page.getByText('and 995 more peers').waitFor()
      const [first, roundFirst] = [await tab.snapshots(), round]

      await eventually(async () => await tab.snapshots() >= first + 20)
      expect(round).to.be.above(roundFirst)
      expect(await page.locator('.tables tbody tr').count()).to.equal(50)
      expect(await page.locator('.refusals li').count()).to.equal(60)
      expect(await page.evaluate(() => document.querySelectorAll('*').length)).to.be.below(3000)
      expect(await page.evaluate(() => document.querySelectorAll('.node').length)).to.be.below(25)
    } finally {
      clearInterval(work)
    }

    // what is on the screen in the end is what there is
    const fullest = [...manager.stat().peers].reduce((most, peer) => peer[1].memory > most[1].memory ? peer : most)
    await eventually(async () => (await tab.column('Peer'))[0] === fullest[0])
    // others are drawn only if others are the fullest
    const layouts = await page.locator('.dag').getAttribute('data-layouts')
    const now = await tab.snapshots()
    await eventually(async () => await tab.snapshots() > now + 3)
    expect(await page.locator('.dag').getAttribute('data-layouts')).to.equal(layouts)
    expect(tab.incidents).to.deep.equal([])
  })

  it('can be paused, and says when the node has gone', async () => {
    const { manager, inspector, page } = await tab.open()
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('‖ paused').waitFor()
    const paused = await tab.snapshots()
    manager.viewSystem(scope => { scope.reserveMemory(5 * MIB) })
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(await tab.snapshots()).to.equal(paused)

    await page.getByRole('button', { name: 'Resume' }).click()
    await page.locator('.tile').getByText('5 MiB').waitFor()
    await inspector.close()
    await page.getByText('The node does not answer.').waitFor()
  })

  it('is the same when it is compiled', async function () {
    const built = new URL('../../../dist/src/observe/inspector/inspector.js', import.meta.url)

    if (!existsSync(built)) {
      // eslint-disable-next-line no-console
      console.warn('\n!!! INSPECTOR NOT TESTED AS IT IS PUBLISHED: there is no dist. Make it with npm run build.\n')
      return this.skip()
    }

    const { page } = await tab.open({}, { serve: (await import(built.href)).serveInspector })
    await page.locator('.node.system').click()
    await page.getByLabel('memory', { exact: true }).waitFor()
    expect(tab.incidents).to.deep.equal([])
  })
})
