/**
 * @file The page of the inspector in a real browser, and those who try to get at it:
 * remotes with the names that they choose, and other pages.
 */

import { createServer } from 'node:http'
import { expect } from 'aegir/chai'
import { useInspectorPage } from '../../fixtures/inspector-page.ts'
import { secretOf } from '../../fixtures/inspector.ts'
import { eventually } from '../../fixtures/nodes.ts'
import { OTHER_PEER, PEER } from '../../fixtures/peers.ts'
import type { AddressInfo } from 'node:net'

const HOSTILE = [
  '/"><img src=x onerror=alert(1)>/1.0.0',
  '/<script>alert(2)</script>',
  // eslint-disable-next-line no-template-curly-in-string
  '/\'"`\n\r\u2028\t\\/${alert(3)}',
  '/javascript:alert(4)',
  '/</style></textarea></script><svg onload=alert(5)>',
  '__proto__'
]

describe('the page of the inspector, attacked', function () {
  this.timeout(120_000)

  const tab = useInspectorPage()

  it('shows names of remotes as text, whatever is in them', async () => {
    const { manager, page } = await tab.open({ peerDefault: { outboundStreams: 0 }, protocols: Object.fromEntries(HOSTILE.map(name => [name, { inboundStreams: 1 }])) })

    for (const name of HOSTILE) {
      const stream = manager.openStream(PEER, 'inbound')
      stream.setProtocol(name)
      stream.setService(name)
      expect(() => { manager.openStream(OTHER_PEER, 'inbound').setProtocol(name) }).to.throw()
    }

    await eventually(async () => await page.locator('.refusals li').count() === HOSTILE.length)

    for (const [name, header] of [['Protocols', 'Protocol'], ['Services', 'Service'], ['Oldest streams', 'Protocol']]) {
      await page.getByRole('tab', { name }).click()
      const texts = await page.locator('.tables tbody').evaluate(body => body.textContent)
      expect(await tab.column(header), name).to.have.length.at.least(HOSTILE.length)

      for (const hostile of HOSTILE) {
        expect(texts, name).to.include(hostile)
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
    expect(tab.incidents).to.deep.equal([])
  })

  it('is not to be read, written or framed by another page in the same browser', async () => {
    const { manager, inspector, context } = await tab.open()
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
      expect(tab.incidents).to.deep.equal([])
    } finally {
      attacker.closeAllConnections()
      attacker.close()
    }
  })

  it('is there with its token where one is needed', async () => {
    const { inspector, page } = await tab.open({}, { host: '0.0.0.0' })

    expect(tab.incidents).to.deep.equal([])
    expect(page.url()).to.include('?token=')
    await page.goto(`http://127.0.0.1:${new URL(inspector.url).port}/`)
    expect(await page.locator('body').innerText()).to.include('token')
    expect(await page.getByText('Resource manager').count()).to.equal(0)
  })
})
