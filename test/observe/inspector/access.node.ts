/**
 * @file Who gets what of the inspector: not other pages in the same browser, not
 * names that others have given its address, not who does not know the token.
 */

import { connect } from 'node:net'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../../src/index.ts'
import { servedFiles } from '../../../src/observe/inspector/files.ts'
import { serveInspector } from '../../../src/observe/inspector/inspector.ts'
import { ask, ownHeaders, post, secretOf } from '../../fixtures/inspector.ts'
import type { DefaultResourceManager } from '../../../src/index.ts'
import type { Inspector, InspectorOptions } from '../../../src/observe/inspector/inspector.ts'

const LIMITS = JSON.stringify({ system: { streams: 7 } })

describe('who may ask the inspector', () => {
  let manager: DefaultResourceManager
  let inspector: Inspector
  let secret: string
  let own: Record<string, string>

  async function start (options: InspectorOptions = { allowChanges: true }): Promise<void> {
    manager = createResourceManager()
    inspector = await serveInspector(manager, options)
    secret = await secretOf(inspector.url)
    own = ownHeaders(inspector.url, secret)
  }

  afterEach(async () => {
    await inspector.close()
    manager.close()
  })

  async function status (path: string, headers: Record<string, string>, method: string = 'GET', body?: string): Promise<number> {
    return (await ask(inspector.url, { path, headers, method, body })).status
  }

  it('is anybody on this machine for the page, and nobody else\'s page for anything else', async () => {
    await start()
    const { host, origin } = own

    expect(new URL(inspector.url)).to.include({ protocol: 'http:', hostname: '127.0.0.1', search: '' })
    expect(await status('/', { host })).to.equal(200)
    expect(await status('/', { host: `localhost:${new URL(inspector.url).port}` })).to.equal(200)
    expect(await status('/', { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' })).to.equal(200)
    // within another page
    expect(await status('/', { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'iframe' })).to.equal(403)
    // another page reads it, which its browser would not hand over either
    expect(await status('/', { host, origin: 'http://attacker.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'empty' })).to.equal(403)

    expect(await status('/limits', own)).to.equal(200)
    expect(await status('/limits', { ...own, origin: 'http://attacker.example' })).to.equal(403)
    expect(await status('/limits', { ...own, origin: 'null' })).to.equal(403)
    // another server on this machine
    expect(await status('/limits', { ...own, origin: 'http://127.0.0.1:1' })).to.equal(403)
    expect(await status('/limits', { ...own, origin: origin.replace('http:', 'https:') })).to.equal(403)
    expect(await status('/limits', { ...own, 'sec-fetch-site': 'cross-site' })).to.equal(403)
    expect(await status('/limits', { ...own, 'sec-fetch-site': 'same-site' })).to.equal(403)
    expect(await status('/style.css', { host, 'sec-fetch-site': 'cross-site' })).to.equal(403)
    expect(await status('/style.css', { host, origin: 'http://attacker.example' })).to.equal(403)
  })

  it('is nobody who has another name for its address', async () => {
    await start()

    for (const host of ['attacker.example', `attacker.example:${new URL(inspector.url).port}`, '127.0.0.1.attacker.example', '192.0.2.1', 'localhost.', '[::2]', '@localhost', 'localhost/', 'loc%61lhost']) {
      for (const path of ['/', '/style.css', '/limits', '/nothing']) {
        expect(await status(path, { ...own, host }), `${host}${path}`).to.equal(403)
      }
    }
  })

  it('is nobody without a host at all', async () => {
    await start()
    const { port } = new URL(inspector.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.end('GET / HTTP/1.0\r\n\r\n')
    let text = ''

    for await (const chunk of socket.setEncoding('utf8')) {
      text += chunk
    }

    expect(text).to.match(/^HTTP\/1.1 403 /)
  })

  it('is the page alone for data, which knows the secret', async () => {
    await start()
    const { 'x-inspector-secret': _, ...without } = own

    expect(secret).to.have.length(43)
    expect(await secretOf(inspector.url)).to.equal(secret)

    for (const path of ['/limits', '/events']) {
      expect(await status(path, without), path).to.equal(403)
      expect(await status(`${path}?secret=`, without), path).to.equal(403)
      expect(await status(`${path}?secret=${secret.slice(1)}`, without), path).to.equal(403)
      expect(await status(path, { ...own, 'x-inspector-secret': `${secret}x` }), path).to.equal(403)
    }

    expect(await status(`/limits?secret=${secret}`, without)).to.equal(200)
    // of another inspector
    const other = await serveInspector(manager)
    expect(await secretOf(other.url)).to.not.equal(secret)
    await other.close()
  })

  it('writes with all of it only', async () => {
    await start()
    const before = manager.limits()
    const { 'x-inspector-secret': _, ...without } = own
    const { origin: __, ...anonymous } = own

    for (const path of ['/preview', '/apply']) {
      expect(await status(path, without, 'POST', LIMITS), path).to.equal(403)
      // the secret of an address can come from anywhere
      expect(await status(`${path}?secret=${secret}`, without, 'POST', LIMITS), path).to.equal(403)
      expect(await status(path, anonymous, 'POST', LIMITS), path).to.equal(403)
      expect(await status(path, { ...own, origin: 'http://attacker.example' }, 'POST', LIMITS), path).to.equal(403)
      expect(await status(path, { ...own, 'sec-fetch-site': 'cross-site' }, 'POST', LIMITS), path).to.equal(403)
      expect(await status(path, { ...own, host: 'attacker.example' }, 'POST', LIMITS), path).to.equal(403)

      // what a form of another page could send
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/json5']) {
        expect(await status(path, { ...own, 'content-type': type }, 'POST', LIMITS), `${path} ${type}`).to.equal(415)
      }

      for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
        expect(await status(path, own, method), `${method} ${path}`).to.equal(405)
      }
    }

    expect(manager.limits()).to.deep.equal(before)
    expect(await status('/apply', own, 'POST', LIMITS)).to.equal(200)
    expect(manager.limits().system.streams).to.equal(7)
  })

  it('changes nothing unless the program allows it', async () => {
    await start({})
    const before = manager.limits()

    expect(await post(inspector.url, '/apply', LIMITS)).to.deep.include({ status: 403 }).with.property('body').that.includes('allowChanges: true')
    expect(await post(inspector.url, '/preview', LIMITS)).to.have.property('status', 200)
    expect(manager.limits()).to.deep.equal(before)
  })

  it('needs a token where others can reach it, one that is made if none is given', async () => {
    await start({ host: '0.0.0.0' })
    const { searchParams, port } = new URL(inspector.url)
    const token = searchParams.get('token') ?? ''
    const host = `127.0.0.1:${port}`

    expect(token).to.have.length(43)
    expect(secret).to.have.length(43)
    expect(secret).to.not.equal(token)

    for (const path of ['/', '/?token=', `/?token=${token.slice(1)}`, `/?token=${secret}`, '/?token[]=x']) {
      expect(await status(path, { host }), path).to.equal(403)
    }

    expect(await status(`/?token=${token}`, { host })).to.equal(200)
    // an address is nobody's name
    expect(await status(`/?token=${token}`, { host: `192.0.2.7:${port}` })).to.equal(200)
    expect(await status(`/?token=${token}`, { host: `attacker.example:${port}` })).to.equal(403)
    expect(await status('/limits', { host, 'x-inspector-secret': token })).to.equal(403)
  })

  it('needs a token on loopback if there is one', async () => {
    await start({ token: 'päß wörd & more' })

    expect(await status('/', { host: own.host })).to.equal(403)
    expect(new URL(inspector.url).searchParams.get('token')).to.equal('päß wörd & more')
    expect(secret).to.have.length(43)
  })

  it('gets nothing that is not in its table', async () => {
    await start()

    for (const path of ['/page/../inspector.ts', '/page/%2e%2e/inspector.ts', '/page/..%2finspector.ts', '/../../package.json', '//attacker.example/', '/page/', '/page/main.d.ts', '/lib/../../package.json', '/__proto__', '/constructor', '*', 'http://attacker.example/', '//[', 'http://', '/page/main.ts%00.js', '/\\..\\package.json']) {
      const { status, body } = await ask(inspector.url, { path, headers: own })

      expect([200, 404], path).to.include(status)
      expect(body, path).to.satisfy((body: string) => status === 404 ? body.length < 100 : body.startsWith('<!doctype html>'))
    }
  })

  it('is told what it may do with what it gets', async () => {
    await start()

    for (const [path, expected] of [['/', 200], ['/style.css', 200], ['/lib/preact.js', 200], ['/limits', 200], ['/nothing', 404]] as const) {
      const { headers, status } = await ask(inspector.url, { path, headers: own })
      const policy = headers['content-security-policy'] as string

      expect(status).to.equal(expected)
      expect(headers).to.include({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cross-origin-resource-policy': 'same-origin', 'cross-origin-opener-policy': 'same-origin', 'x-frame-options': 'DENY', 'cache-control': 'no-store' })
      expect(headers).to.not.have.any.keys('access-control-allow-origin', 'set-cookie')
      expect(policy.split('; ')).to.include.members(['default-src \'none\'', 'frame-ancestors \'none\'', 'base-uri \'none\'', 'form-action \'none\'', 'connect-src \'self\'', 'style-src \'self\''])
      expect(policy).to.match(/script-src 'self' 'sha256-[\w+/]+=*'/).and.not.include('unsafe')
    }
  })

  it('has one answer at a time, whatever it asks before it has read any', async () => {
    await start()
    const { port } = new URL(inspector.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`GET /lib/uplot.js HTTP/1.1\r\nhost: ${own.host}\r\n\r\n`.repeat(1_000))
    let text = ''

    for await (const chunk of socket.setEncoding('latin1')) {
      text += chunk
    }

    expect(text.split('HTTP/1.1 ').length - 1).to.be.at.most(1)

    // one after the other they are answered in the same connection
    const again = connect(Number(port), '127.0.0.1').setEncoding('latin1')
    const answers = again[Symbol.asyncIterator]()

    for (let i = 0; i < 3; i++) {
      again.write(`GET / HTTP/1.1\r\nhost: ${own.host}\r\n\r\n`)
      let answer = ''

      while (!answer.includes('</html>')) {
        answer += (await answers.next()).value as string
      }

      expect(answer).to.match(/^HTTP\/1.1 200 /)
    }

    again.destroy()
  })

  it('reads each of its files once', async () => {
    await start()

    for (const [path, file] of servedFiles()) {
      expect(await file.read(), path).to.equal(await file.read())
    }
  })

  it('sends so much and no more', async () => {
    await start()
    const { status, body } = await ask(inspector.url, { path: '/preview', method: 'POST', headers: own, body: `{"system": {${' '.repeat(256 * 1024)}}}` })

    expect(status).to.equal(413)
    expect(body).to.include('262144')
    expect((await post(inspector.url, '/preview', `{"system": {${' '.repeat(200 * 1024)}}}`)).status).to.equal(200)
  })
})

describe('the options of the inspector', () => {
  const manager = createResourceManager()

  after(() => { manager.close() })

  for (const options of [{ host: '' }, { host: 1 }, { interval: 0 }, { interval: NaN }, { interval: 3_000_000_000 }, { port: -1 }, { port: 65_536 }, { port: 1.5 }, { port: '80x' }, { host: 'a b' }, { host: 'a/b' }, { host: 'a@b' }, { host: 'localhost:80' }, { host: '[::1]' }, { host: '1.2.3.256' }, { token: '' }, { token: 1 }] as any[]) {
    it(`are an error if they make no sense: ${JSON.stringify(options)}`, async () => {
      await expect(serveInspector(manager, options)).to.eventually.be.rejected().with.property('name', 'InvalidParametersError')
    })
  }

  it('may be a port that is taken, which is an error', async () => {
    const first = await serveInspector(manager)

    try {
      await expect(serveInspector(manager, { port: Number(new URL(first.url).port) })).to.eventually.be.rejected().with.property('code', 'EADDRINUSE')
    } finally {
      await first.close()
    }
  })

  it('may be IPv6', async function () {
    const inspector = await serveInspector(manager, { host: '::1' }).catch(err => {
      // not all machines have it
      if (err.code !== 'EADDRNOTAVAIL' && err.code !== 'EAFNOSUPPORT') {
        throw err
      }
    })

    if (inspector === undefined) {
      return this.skip()
    }

    expect(inspector.url).to.match(/^http:\/\/\[::1\]:\d+\/$/)
    expect((await ask(inspector.url, {})).status).to.equal(200)
    await inspector.close()
  })

  it('may be an address in another form than browsers have it', async function () {
    for (const [host, name] of [['127.1', '127.0.0.1'], ['LOCALHOST', 'localhost'], ['::ffff:127.0.0.1', '[::ffff:7f00:1]']]) {
      const inspector = await serveInspector(manager, { host }).catch(err => {
        // not all machines have IPv6
        if (err.code !== 'EADDRNOTAVAIL' && err.code !== 'EAFNOSUPPORT' && err.code !== 'EINVAL') {
          throw err
        }
      })

      if (inspector !== undefined) {
        expect(new URL(inspector.url).hostname).to.equal(name)
        expect(inspector.url).to.include(`//${name}:`)
        expect((await ask(inspector.url, { path: `/${new URL(inspector.url).search}` })).status).to.equal(200)
        await inspector.close()
      }
    }
  })
})
