/**
 * @file All that is served beside the page: its code, its styles and the libraries
 * it draws with. The table is made once, nothing that is asked for becomes a path.
 */

import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import * as module from 'node:module'
import { fileURLToPath } from 'node:url'
import { STYLE } from './style.ts'

export interface ServedFile {
  type: string
  read(): Promise<Buffer>
}

const SCRIPT = 'text/javascript; charset=utf-8'
const STYLES = 'text/css; charset=utf-8'

/** In the sources it is TypeScript, in the package JavaScript */
const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

const PAGE = new URL('./page/', import.meta.url)

/**
 * What the page imports by name, and where it is
 */
const LIBRARIES: Record<string, [path: string, location: () => URL]> = {
  preact: ['/lib/preact.js', () => resolve('preact')],
  'preact/hooks': ['/lib/preact-hooks.js', () => resolve('preact/hooks')],
  '@dagrejs/dagre': ['/lib/dagre.js', () => resolve('@dagrejs/dagre')],
  // for Node.js it has a file of another format
  uplot: ['/lib/uplot.js', () => new URL('./uPlot.esm.js', resolve('uplot'))]
}

export const MAIN_SCRIPT = `/page/main${EXTENSION}`
export const STYLESHEETS = ['/lib/uplot.css', '/style.css']

/**
 * For the page: where the libraries are
 */
export const IMPORT_MAP = JSON.stringify({ imports: Object.fromEntries(Object.entries(LIBRARIES).map(([name, [path]]) => [name, path])) })

export function servedFiles (): Map<string, ServedFile> {
  const files = new Map<string, ServedFile>([
    ['/style.css', served(STYLES, async () => STYLE)],
    ['/lib/uplot.css', served(STYLES, async () => readFile(new URL('./uPlot.min.css', resolve('uplot')), 'utf8'))]
  ])

  for (const [path, location] of Object.values(LIBRARIES)) {
    files.set(path, served(SCRIPT, async () => readFile(location(), 'utf8')))
  }

  for (const name of readdirSync(fileURLToPath(PAGE))) {
    if (name.endsWith(EXTENSION) && !name.endsWith('.d.ts')) {
      files.set(`/page/${name}`, served(SCRIPT, async () => toScript(await readFile(new URL(name, PAGE), 'utf8'))))
    }
  }

  return files
}

/**
 * Read once: whoever asks again and again, and takes none of it, is answered with
 * the same bytes
 */
function served (type: string, read: () => Promise<string>): ServedFile {
  let bytes: Promise<Buffer> | undefined

  return {
    type,
    read: async () => {
      bytes ??= read().then(text => Buffer.from(text))
      bytes.catch(() => { bytes = undefined })

      return bytes
    }
  }
}

function toScript (source: string): string {
  return EXTENSION === '.ts' ? module.stripTypeScriptTypes(source) : source
}

function resolve (name: string): URL {
  return new URL(import.meta.resolve(name))
}
