import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const chromium = process.env.PATH?.split(delimiter).map(folder => join(folder, 'chromium')).find(path => existsSync(path))

/**
 * All of src/core in a bundle of its own, which is measured and not published
 */
const core = {
  name: 'core',
  setup (build) {
    build.onResolve({ filter: /^core$/ }, () => ({ path: 'core', namespace: 'core' }))
    build.onLoad({ filter: /^core$/, namespace: 'core' }, () => ({
      contents: readdirSync('src/core').map(file => `export * from './${file.replace(/\.ts$/, '.js')}'`).join('\n'),
      resolveDir: 'dist/src/core'
    }))
  }
}

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
    bundlesize: true,
    // minified and gzipped, in bytes if there is no unit
    bundlesizeMax: {
      'dist/index.min.js': '200KB',
      'dist/test/core.min.js': '15000'
    },
    config: {
      entryPoints: { 'index.min': 'dist/src/index.js', 'test/core.min': 'core' },
      plugins: [core]
    }
  }
}
