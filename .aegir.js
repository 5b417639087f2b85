import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const chromium = process.env.PATH?.split(delimiter).map(folder => join(folder, 'chromium')).find(path => existsSync(path))

/** @type {import('aegir').PartialOptions} */
export default {
  test: {
    target: chromium === undefined ? ['node'] : ['node', 'browser', 'webworker'],
    before: async ({ runner }) => {
      if (runner !== 'node') {
        const { startBrowserHost } = await import('./test/fixtures/browser-host.ts')

        return startBrowserHost(chromium)
      }
    },
    after: async (_, host) => {
      await host?.stop()
    }
  },
  build: {
    bundlesizeMax: '200KB'
  }
}
