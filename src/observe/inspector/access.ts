/**
 * @file Who may ask for what. The page shows who talks to the node, and may change
 * its limits; any page in the same browser can send requests to it, and so can a
 * name of somebody else that points to this address.
 */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { InvalidParametersError } from '@libp2p/interface'
import type { IncomingMessage } from 'node:http'

export const SECRET_HEADER = 'x-inspector-secret'

/**
 * Who asks for something: a browser that is to show the page, the page for what it
 * is made of, the page for what it shows
 */
export type Asked = 'page' | 'part' | 'data'

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]'])
const SECRET_BYTES = 32

export function isLoopback (host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

export class Access {
  /** Only in the page: what other pages cannot read they cannot say */
  readonly secret = randomBytes(SECRET_BYTES).toString('base64url')
  readonly token?: string

  /** What a browser calls the address: lower case, IPv6 as short as it gets and in brackets */
  readonly name: string

  private readonly isWildcard: boolean

  /**
   * @throws {InvalidParametersError} if the host cannot be that of a URL, or a token
   * is no string, or an empty one
   */
  constructor (host: string, token: string | undefined) {
    const name = nameOf(host)

    if (name === undefined) {
      throw new InvalidParametersError('The host is to be a name or an address')
    }

    if (token !== undefined && (typeof token !== 'string' || token === '')) {
      throw new InvalidParametersError('The token is to be a string that is not empty')
    }

    this.token = token ?? (isLoopback(host) ? undefined : randomBytes(SECRET_BYTES).toString('base64url'))
    this.name = name
    this.isWildcard = name === '0.0.0.0' || name === '[::]'
  }

  /**
   * Why a request is refused, undefined if it is not
   */
  refuse (request: IncomingMessage, url: URL, asked: Asked): string | undefined {
    const { host, origin } = request.headers

    if (host === undefined || !this.isOurs(host)) {
      return 'The inspector has no such name'
    }

    // a browser says where a request comes from, and leaves the origin out of some
    const site = request.headers['sec-fetch-site']
    const isOwn = site === undefined || site === 'same-origin' || site === 'none'

    if (asked === 'page') {
      const destination = request.headers['sec-fetch-dest']

      // anybody may link to it, nobody may embed it
      if (destination !== undefined && destination !== 'document') {
        return 'The inspector is a page of its own'
      }

      return this.token === undefined || isSame(url.searchParams.get('token'), this.token)
        ? undefined
        : 'The inspector is at the address that was printed, with its token'
    }

    if (!isOwn || (origin !== undefined && origin !== `http://${host}`) || (request.method === 'POST' && origin === undefined)) {
      return 'Only the page of the inspector may ask for this'
    }

    if (asked === 'data') {
      // an EventSource sends no headers of ours
      const secret = request.headers[SECRET_HEADER] ?? (request.method === 'GET' ? url.searchParams.get('secret') : undefined)

      if (!isSame(secret, this.secret)) {
        return 'Only the page of the inspector may ask for this, load it again'
      }
    }
  }

  /**
   * A name that somebody else has given this address is none of ours. Addresses are
   * nobody's: they cannot be made to point elsewhere.
   */
  private isOurs (host: string): boolean {
    const name = host.replace(/:\d+$/, '').toLowerCase()

    return name === this.name || LOOPBACK_NAMES.has(name) || (this.isWildcard && isIP(name.replace(/^\[(.+)\]$/, '$1')) !== 0)
  }
}

/**
 * As browsers have it, undefined if it is not the host of any URL
 */
function nameOf (host: string): string | undefined {
  const isIPv6 = isIP(host) === 6

  if (!isIPv6 && /[/\\@?#%:[\]\s]/.test(host)) {
    return
  }

  try {
    // a URL has no zone
    return new URL(`http://${isIPv6 ? `[${host.replace(/%.*$/, '')}]` : host}`).hostname
  } catch {
    // a number that is no address
  }
}

/**
 * Takes as long for any two strings
 */
function isSame (given: unknown, expected: string): boolean {
  return typeof given === 'string' && timingSafeEqual(digest(given), digest(expected))
}

function digest (text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
