/* eslint-disable no-loop-func */

/**
 * @file The page of the inspector in a real browser: somebody clicks through all of
 * it, and others try to get at it.
 */

import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { expect } from 'aegir/chai'
import { chromium } from 'playwright-core'
import { createResourceManager } from '../../../src/index.ts'
import { serveInspector } from '../../../src/observe/inspector/inspector.ts'
import { CHROMIUM, makePeers, secretOf } from '../../fixtures/inspector.ts'
import { eventually } from '../../fixtures/nodes.ts'
import { OTHER_PEER, PEER } from '../../fixtures/peers.ts'
import type { DefaultResourceManager, Limits } from '../../../src/index.ts'
import type { Inspector } from '../../../src/observe/inspector/inspector.ts'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'

const MIB = 1024 * 1024

const HOSTILE = [
  '/"><img src=x onerror=alert(1)>/1.0.0',
  '/<script>alert(2)</script>',
  // eslint-disable-next-line no-template-curly-in-string
  '/\'"`\n\r\u2028\t\\/${alert(3)}',
  '/javascript:alert(4)',
  '/</style></textarea></script><svg onload=alert(5)>',
  '__proto__'
]

describe('the page of the inspector', function () {
  this.timeout(120_000)

  let browser: Browser
  let context: BrowserContext
  let page: Page
  let manager: DefaultResourceManager
  let inspector: Inspector
  /** What must not happen: messages in the console, dialogs, requests to elsewhere */
  let incidents: string[]

  before(async function () {
    if (CHROMIUM === undefined) {
      // eslint-disable-next-line no-console
      console.warn('\n!!! INSPECTOR NOT TESTED IN A BROWSER: there is no chromium on the PATH. Install it, such as with apt-get install chromium.\n')
      this.skip()
    }

    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] })
  })

  after(async () => {
    await browser?.close()
  })

  async function start (limits: Limits = {}, { allowChanges = true } = {}): Promise<void> {
    manager = createResourceManager({ limits })
    inspector = await serveInspector(manager, { allowChanges, interval: 50, name: `${PEER}` })
    incidents = []
    context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    page = await context.newPage()
    watch(page)
    await page.goto(inspector.url)
    await page.getByText('● live').waitFor()
  }

  function watch (page: Page): void {
    page.on('console', message => { incidents.push(message.text()) })
    page.on('pageerror', err => { incidents.push(`${err.stack}`) })
    page.on('dialog', dialog => {
      incidents.push(`dialog ${dialog.message()}`)
      void dialog.dismiss()
    })
    page.on('request', request => {
      const { origin, protocol } = new URL(request.url())

      if (protocol !== 'data:' && origin !== new URL(inspector.url).origin) {
        incidents.push(`request to ${request.url()}`)
      }
    })
  }

  afterEach(async () => {
    await context?.close()
    await inspector?.close()
    manager?.close()
  })

  /** The texts of a column of the table */
  async function column (name: string): Promise<string[]> {
    const headers = await page.locator('.tables thead th').allInnerTexts()
    const i = headers.findIndex(header => header.replace(/ [↑↓]$/, '') === name)

    return page.locator(`.tables tbody tr td:nth-child(${i + 1})`).allInnerTexts()
  }

  it('shows what is used, refused and limited without a click, at 1280 × 800', async () => {
    await start({ system: { memory: 64 * MIB }, protocols: { '/full/1.0.0': { inboundStreams: 1 } } })
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
    expect(incidents).to.deep.equal([])
  })

  it('sorts tables, by mouse and by keyboard', async () => {
    await start()
    const peers = makePeers(3)

    for (const [i, peer] of peers.entries()) {
      manager.viewPeer(peer, scope => { scope.reserveMemory((i + 1) * MIB) })
      Array.from({ length: 3 - i }, () => manager.openStream(peer, 'inbound'))
    }

    await eventually(async () => (await column('Memory')).length === 3)
    expect(await column('Memory')).to.deep.equal(['3 MiB', '2 MiB', '1 MiB'])

    await page.locator('.tables').getByRole('button', { name: 'Streams', exact: true }).click()
    expect(await column('Streams')).to.deep.equal(['3', '2', '1'])
    expect(await column('Memory')).to.deep.equal(['1 MiB', '2 MiB', '3 MiB'])
    expect(await page.getByRole('columnheader', { name: 'Streams', exact: true }).getAttribute('aria-sort')).to.equal('descending')

    await page.locator('.tables').getByRole('button', { name: 'Streams', exact: true }).press('Enter')
    expect(await column('Streams')).to.deep.equal(['1', '2', '3'])
    expect(await page.getByRole('columnheader', { name: 'Streams', exact: true }).getAttribute('aria-sort')).to.equal('ascending')

    await page.getByRole('tab', { name: /Peers/ }).press('ArrowRight')
    expect(await page.getByRole('tab', { selected: true }).innerText()).to.include('Protocols')
    await page.getByRole('tab', { name: /Oldest streams/ }).click()
    await eventually(async () => (await column('Protocol')).join() === Array(6).fill('not negotiated yet').join())
    await page.getByRole('tab', { name: /Oldest connections/ }).click()
    await page.getByText('There are none.').waitFor()
    expect(incidents).to.deep.equal([])
  })

  it('previews a change, warns of what is in use, and applies it', async () => {
    await start({ system: { memory: 64 * MIB } })
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
    expect(incidents).to.deep.equal([])
  })

  it('leads from a refusal to its limit, also of a name that has none of its own', async () => {
    await start({ protocolDefault: { inboundStreams: 0 } })
    expect(() => { manager.openStream(PEER, 'inbound').setProtocol(HOSTILE[0]) }).to.throw()

    await page.getByRole('button', { name: 'Change this limit' }).click()
    const input = page.getByLabel('streams in', { exact: true })
    await eventually(async () => input.evaluate(element => element === document.activeElement))
    expect(await input.inputValue()).to.equal('0')
    await input.fill('unlimited')
    await input.press('Enter')
    await page.getByText('0 → unlimited').waitFor()
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText('Applied 1 change.').waitFor()
    expect(manager.limits().protocols[HOSTILE[0]].inboundStreams).to.equal(Infinity)
    expect(manager.limits().protocolDefault.inboundStreams).to.equal(0)
    expect(incidents).to.deep.equal([])
  })

  it('says beside it what is wrong with a value', async () => {
    await start()
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
    expect(incidents.filter(incident => !incident.includes('422'))).to.deep.equal([])
  })

  it('offers no change that the program does not allow', async () => {
    await start({}, { allowChanges: false })
    await page.getByText('serveInspector(manager, { allowChanges: true })').waitFor()
    expect(await page.getByRole('button', { name: 'Apply' }).count()).to.equal(0)

    await page.getByText('everything together').click()
    await page.getByLabel('descriptors', { exact: true }).fill('7')
    await page.getByRole('button', { name: 'Preview' }).click()
    await page.locator('.changes tbody tr', { hasText: '→ 7' }).waitFor()
    expect(manager.limits().system.fileDescriptors).to.not.equal(7)
    expect(incidents).to.deep.equal([])
  })

  it('shows names of remotes as text, whatever is in them', async () => {
    await start({ peerDefault: { outboundStreams: 0 }, protocols: Object.fromEntries(HOSTILE.map(name => [name, { inboundStreams: 1 }])) })

    for (const name of HOSTILE) {
      const stream = manager.openStream(PEER, 'inbound')
      stream.setProtocol(name)
      stream.setService(name)
      expect(() => { manager.openStream(OTHER_PEER, 'inbound').setProtocol(name) }).to.throw()
    }

    await eventually(async () => await page.locator('.refusals li').count() === HOSTILE.length)

    for (const [tab, header] of [['Protocols', 'Protocol'], ['Services', 'Service'], ['Oldest streams', 'Protocol']]) {
      await page.getByRole('tab', { name: tab }).click()
      const texts = await page.locator('.tables tbody').evaluate(body => body.textContent)
      expect(await column(header), tab).to.have.length.at.least(HOSTILE.length)

      for (const name of HOSTILE) {
        expect(texts, tab).to.include(name)
      }
    }

    // in the form too, by their own inputs
    await page.getByText('by protocol', { exact: true }).click()

    for (const name of HOSTILE) {
      const branch = page.locator('.tree details details').filter({ has: page.locator('code', { hasText: name.replace(/\s+/g, ' ') }) })
      await branch.locator('summary').first().click()
      expect(await branch.getByLabel('streams in', { exact: true }).inputValue(), name).to.equal('1')
      await branch.getByLabel('streams in', { exact: true }).fill('2')
    }

    await page.getByRole('button', { name: 'Preview' }).click()
    await eventually(async () => await page.locator('.changes tbody tr').count() === HOSTILE.length)
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText(`Applied ${HOSTILE.length} changes`).waitFor()
    expect(HOSTILE.map(name => manager.limits().protocols[name].inboundStreams)).to.deep.equal(HOSTILE.map(() => 2))

    expect(await page.evaluate(() => document.querySelectorAll('#inspector script, #inspector img, #inspector style, #inspector iframe, #inspector svg [onload]').length)).to.equal(0)
    expect(incidents).to.deep.equal([])
  })

  it('is not to be read, written or framed by another page in the same browser', async () => {
    await start()
    const before = manager.limits()
    const secret = await secretOf(inspector.url)
    const attacker = createServer((request, response) => {
      response.setHeader('content-type', 'text/html')
      response.end('<!doctype html><title>free prizes</title>')
    })
    await new Promise<void>(resolve => { attacker.listen(0, '127.0.0.1', resolve) })

    try {
      const other = await context.newPage()

      // the same site, which a cookie would be sent for, and another one
      for (const host of ['127.0.0.1', 'localhost']) {
        await other.goto(`http://${host}:${(attacker.address() as AddressInfo).port}/`)

        // even if it knew the secret
        const got = await other.evaluate(async ({ url, secret }) => {
          const results: string[] = []
          const attempt = async (name: string, act: () => Promise<string>): Promise<void> => {
            results.push(`${name}: ${await act().catch(() => 'nothing')}`)
          }
          const body = JSON.stringify({ system: { streams: 1 } })

          for (const path of ['', 'limits', 'style.css', `limits?secret=${secret}`]) {
            await attempt(`read /${path}`, async () => (await fetch(`${url}${path}`)).text())
          }

          await attempt('write', async () => (await fetch(`${url}apply`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-inspector-secret': secret }, body })).text())
          await attempt('write as text', async () => (await fetch(`${url}apply?secret=${secret}`, { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body })).type)

          await attempt('events', async () => new Promise((resolve, reject) => {
            const source = new EventSource(`${url}events?secret=${secret}`)
            source.addEventListener('snapshot', event => { resolve(event.data) })
            source.addEventListener('error', () => { source.close(); reject(new Error('refused')) })
          }))

          await attempt('script', async () => new Promise((resolve, reject) => {
            const script = document.createElement('script')
            script.src = `${url}lib/preact.js`
            script.onload = () => { resolve('loaded') }
            script.onerror = () => { reject(new Error('refused')) }
            document.head.append(script)
          }))

          await attempt('frame', async () => new Promise(resolve => {
            const frame = document.createElement('iframe')
            frame.src = url
            frame.onload = () => {
              // whatever it is, only the frames of the browser show it
              resolve('nothing')
            }
            document.body.append(frame)
          }))

          // a form, in a window of its own
          const form = Object.assign(document.createElement('form'), { action: `${url}apply`, method: 'post', enctype: 'text/plain', target: 'form' })
          form.append(Object.assign(document.createElement('input'), { name: body.slice(0, -1), value: '}' }))
          document.body.append(Object.assign(document.createElement('iframe'), { name: 'form' }), form)
          form.submit()

          return results
        }, { url: inspector.url, secret })

        expect(got.filter(result => !result.endsWith(': nothing')), host).to.deep.equal([])
        expect(got, host).to.have.length(9)
        // a second one is that of the form
        const frames = await Promise.all(other.frames().slice(1).map(async frame => frame.evaluate(() => document.body?.innerText ?? '').catch(() => '')))
        expect(frames.join(), host).to.not.include('Resource manager')
      }

      expect(manager.limits()).to.deep.equal(before)
      expect(incidents).to.deep.equal([])
    } finally {
      attacker.closeAllConnections()
      attacker.close()
    }
  })

  it('stays small with a thousand peers that come and go, and keeps up', async () => {
    await start({ system: { connections: Infinity, inboundConnections: Infinity, fileDescriptors: Infinity, streams: Infinity, inboundStreams: Infinity }, transient: { connections: Infinity, inboundConnections: Infinity, fileDescriptors: Infinity }, rates: undefined, peerDefault: { inboundStreams: 1 } })
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
      const snapshots = async (): Promise<number> => Number(await page.locator('.page').getAttribute('data-snapshots'))
      const [first, roundFirst] = [await snapshots(), round]

      await eventually(async () => await snapshots() >= first + 20)
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
    await eventually(async () => (await column('Peer'))[0] === fullest[0])
    // others are drawn only if others are the fullest
    const layouts = await page.locator('.dag').getAttribute('data-layouts')
    const now = Number(await page.locator('.page').getAttribute('data-snapshots'))
    await eventually(async () => Number(await page.locator('.page').getAttribute('data-snapshots')) > now + 3)
    expect(await page.locator('.dag').getAttribute('data-layouts')).to.equal(layouts)
    expect(incidents).to.deep.equal([])
  })

  it('can be paused, and says when the node has gone', async () => {
    await start()
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('‖ paused').waitFor()
    const paused = await page.locator('.page').getAttribute('data-snapshots')
    manager.viewSystem(scope => { scope.reserveMemory(5 * MIB) })
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(await page.locator('.page').getAttribute('data-snapshots')).to.equal(paused)

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

    await start()
    await inspector.close()
    incidents = []
    inspector = await (await import(built.href)).serveInspector(manager, { interval: 50 })
    await page.goto(inspector.url)
    await page.getByText('● live').waitFor()
    await page.locator('.node.system').click()
    await page.getByLabel('memory', { exact: true }).waitFor()
    expect(incidents).to.deep.equal([])
  })

  it('is there with its token where one is needed', async () => {
    await start()
    await inspector.close()
    inspector = await serveInspector(manager, { host: '0.0.0.0', interval: 50 })
    incidents = []
    const url = inspector.url.replace('0.0.0.0', '127.0.0.1')
    inspector = { ...inspector, url }

    await page.goto(url)
    await page.getByText('● live').waitFor()
    expect(incidents).to.deep.equal([])
    await page.goto(new URL('/', url).href)
    expect(await page.locator('body').innerText()).to.include('token')
    expect(await page.getByText('Resource manager').count()).to.equal(0)
  })
})
