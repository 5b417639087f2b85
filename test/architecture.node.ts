/**
 * @file The directory is the architecture: who may import whom.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect } from 'aegir/chai'

/**
 * What each folder may import from, besides itself. Types count like values, but
 * for those with a reason.
 */
const MAY_IMPORT: Record<string, string[]> = {
  core: [],
  admission: ['core'],
  // the one object of limits has those of the gates in it
  limits: ['core', 'admission'],
  libp2p: ['core', 'libp2p/memory'],
  'libp2p/memory': ['core', 'libp2p'],
  observe: ['core'],
  'observe/trace': ['core'],
  'observe/inspector': ['core', 'observe', 'observe/inspector/page'],
  // runs in a browser
  'observe/inspector/page': []
}

/**
 * Packages whose values the core may use: it runs anywhere, without libp2p
 */
const CORE_PACKAGES = ['uint8arrays/compare']

interface Import {
  from: string
  to: string
  typeOnly: boolean
}

function importsOf (folder: string): Import[] {
  return readdirSync(join('src', folder))
    .filter(name => name.endsWith('.ts'))
    .flatMap(name => {
      const from = join('src', folder, name)

      return [...readFileSync(from, 'utf8').matchAll(/^(?:import|export) (type )?[^'"]*?from '([^']+)'/gm)]
        .map(([, type, to]) => ({ from, to: to.startsWith('.') ? relative('src', join(dirname(from), to)) : to, typeOnly: type != null }))
    })
}

describe('the architecture', () => {
  for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
    it(`${folder}/ imports from ${['itself', ...allowed].join(', ')}, and nothing else of src`, () => {
      const imports = importsOf(folder)

      expect(imports).to.not.be.empty()

      for (const { from, to } of imports.filter(({ to }) => to.endsWith('.ts'))) {
        expect([folder, ...allowed], `${from} imports ${to}`).to.include(dirname(to))
      }
    })
  }

  it('core/ needs nothing of libp2p to run', () => {
    for (const { from, to } of importsOf('core').filter(({ to, typeOnly }) => !to.endsWith('.ts') && !typeOnly)) {
      expect(CORE_PACKAGES, `${from} imports ${to}`).to.include(to)
    }
  })

  it('only install.ts knows all the parts of libp2p/', () => {
    const known = importsOf('libp2p').filter(({ from, to }) => from.endsWith('install.ts') && to.startsWith('libp2p/')).map(({ to }) => to)

    expect(known).to.include.members(['libp2p/connection-gater.ts', 'libp2p/encrypters.ts', 'libp2p/muxers.ts', 'libp2p/registrar.ts', 'libp2p/transport-manager.ts', 'libp2p/upgrader.ts'])
  })

  it('nothing imports index.ts', () => {
    for (const folder of ['.', ...Object.keys(MAY_IMPORT)]) {
      expect(importsOf(folder).filter(({ to }) => to === 'index.ts'), folder).to.be.empty()
    }
  })
})

describe('the tests', () => {
  it('for Node.js only are all in test/node.ts', () => {
    const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.node.ts'))
    const list = [...readFileSync('test/node.ts', 'utf8').matchAll(/^import '\.\/(.+)'$/gm)].map(([, name]) => name)

    expect(list).to.have.members(files)
  })
})
