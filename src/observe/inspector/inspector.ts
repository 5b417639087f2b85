/**
 * @packageDocumentation
 *
 * A page of this node that shows what its resource manager counts: who uses what,
 * which limits there are and what they refuse, as it happens. Limits can be
 * previewed there and, if the program allows it, changed. It runs on Node.js.
 *
 * @example
 *
 * ```TypeScript
 * import { createLibp2p } from 'libp2p-resource-manager'
 * import { serveInspector } from 'libp2p-resource-manager/inspector'
 *
 * const node = await createLibp2p()
 * const inspector = await serveInspector(node.services.resourceManager)
 *
 * console.info(inspector.url)
 *
 * await inspector.close()
 * await node.stop()
 * ```
 */

import { createServer } from 'node:http'
import { InvalidParametersError } from '@libp2p/interface'
import { Access } from './access.ts'
import { Feed } from './feed.ts'
import { Routes } from './routes.ts'
import type { InspectedManager } from './inspected.ts'
import type { AddressInfo } from 'node:net'

export type { InspectedChange, InspectedLimits, InspectedManager, InspectedMemory } from './inspected.ts'

export interface InspectorOptions {
  /**
   * The name or address to listen at. Whoever can reach one that is not loopback
   * needs the token, and what is sent is not encrypted. At 0.0.0.0 and :: the page
   * is opened by an address of the machine, not by a name: a name could be made to
   * point here by anybody.
   *
   * @default '127.0.0.1'
   */
  host?: string

  /**
   * An integer up to 65535, 0 is any that is free
   *
   * @default 0
   */
  port?: number

  /**
   * Whether the page may change limits
   *
   * @default false
   */
  allowChanges?: boolean

  /**
   * What the address of the page must have as `?token=…`; not needed on loopback,
   * where all users of this machine can open the page without
   *
   * @default none on loopback, a random one elsewhere
   */
  token?: string

  /**
   * How often the page is told what there is, from 50 to 10,000 milliseconds
   *
   * @default 500
   */
  interval?: number

  /**
   * What the page calls the node, such as its peer ID
   */
  name?: string
}

export interface Inspector {
  /** Where the page is, with the token if there is one */
  readonly url: string
  /** Ends the server and all that looks at it */
  close(): Promise<void>
}

const DEFAULT_HOST = '127.0.0.1'
const DEFAULT_INTERVAL = 500
const LEAST_INTERVAL = 50
/** Less than `PATIENCE` */
const MOST_INTERVAL = 10_000
const MOST_PORT = 65_535

/** Of all kinds, those that wait for their request to come included */
const MOST_CONNECTIONS = 256

/** In milliseconds, of a connection in which nothing happens: an answer that nobody takes is in memory */
const PATIENCE = 60_000

/**
 * Serves the page. It does not keep the process alive.
 *
 * @throws {InvalidParametersError} if an option makes no sense
 * @throws {Error} if the address cannot be listened at
 */
export async function serveInspector (manager: InspectedManager, options: InspectorOptions = {}): Promise<Inspector> {
  const { host = DEFAULT_HOST, port = 0, allowChanges = false, interval = DEFAULT_INTERVAL, name } = options

  if (typeof host !== 'string' || host === '') {
    throw new InvalidParametersError('The host is to be a name or an address')
  }

  if (!Number.isSafeInteger(port) || port < 0 || port > MOST_PORT) {
    throw new InvalidParametersError(`The port is to be an integer from 0 to ${MOST_PORT}`)
  }

  if (!(interval >= LEAST_INTERVAL && interval <= MOST_INTERVAL)) {
    throw new InvalidParametersError(`The interval is to be a number from ${LEAST_INTERVAL} to ${MOST_INTERVAL} milliseconds`)
  }

  const access = new Access(host, options.token)
  const server = createServer()

  server.maxConnections = MOST_CONNECTIONS
  server.timeout = PATIENCE
  server.on('connection', socket => { socket.unref() })

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      // a connection that cannot be accepted, as when no descriptor is left, ends nothing else
      server.on('error', () => {})
      resolve()
    })
  })

  server.unref()

  const feed = new Feed(manager, interval)
  const routes = new Routes({ manager, access, feed, welcome: { name, pid: process.pid, allowChanges } })
  const address = server.address() as AddressInfo
  const query = access.token === undefined ? '' : `?token=${encodeURIComponent(access.token)}`
  let closing: Promise<void> | undefined

  server.on('request', (request, response) => { routes.handle(request, response) })

  return {
    url: `http://${access.name}:${address.port}/${query}`,
    close: async () => {
      closing ??= new Promise(resolve => {
        feed.close()
        server.close(() => { resolve() })
        server.closeAllConnections()
      })

      return closing
    }
  }
}
