import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const chromium = process.env.PATH?.split(delimiter).map(folder => join(folder, 'chromium')).find(path => existsSync(path))

/** @type {import('aegir').PartialOptions} */
export default {
  test: {
    browser: {
      config: {
        browserContextOptions: {
          executablePath: chromium,
          // Chromium shows loopback to those who may use the camera
          args: ['--allow-loopback-in-peer-connection'],
          permissions: ['camera', 'microphone']
        }
      }
    },
    target: chromium === undefined ? ['node'] : ['node', 'browser', 'webworker'],
    before: async ({ runner }) => {
      if (runner !== 'node') {
        const { startBrowserHost } = await import('./test/fixtures/browser-host.ts')

        return startBrowserHost(chromium === undefined)
      }
    },
    after: async ({ target }, host) => {
      await host?.stop()

      if (chromium === undefined && !target.includes('browser')) {
        // eslint-disable-next-line no-console
        console.warn('\n!!! NOT TESTED IN BROWSERS: there is no chromium on the PATH. Install it, or let test:chrome and test:chrome-webworker download one.\n')
      }
    }
  },
  build: {
    bundlesizeMax: '200KB'
  }
}
