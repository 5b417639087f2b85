/**
 * @file What scopes hold and may hold, in words, for a REPL.
 */

import { RESOURCES } from './limit.ts'
import { printable } from './printable.ts'
import type { Account } from './account.ts'
import type { Resource } from './types.ts'

/**
 * What Node.js and others ask an object for that they print
 */
export const inspect = Symbol.for('nodejs.util.inspect.custom')

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/**
 * A number of bytes in the largest unit that it has one of, such as `1.5 MiB`
 */
export function inBytes (bytes: number | bigint): string {
  let value = Number(bytes)

  if (value === Infinity) {
    return '∞'
  }

  let unit = 0

  while (value >= 1_024 && unit < UNITS.length - 1) {
    value /= 1_024
    unit++
  }

  return `${Number(value.toFixed(value < 100 ? 1 : 0))} ${UNITS[unit]}`
}

/**
 * Use against a limit, such as `3 of 256`
 */
export function useOfLimit (account: Account, resource: Resource): string {
  const use = account.current(resource)
  const limit = account.limit[resource]

  if (resource === 'memory') {
    return `${inBytes(use)} of ${inBytes(limit)}`
  }

  return `${use} of ${limit === Infinity ? '∞' : limit}`
}

/**
 * `inboundStreams` is `inbound streams`
 */
export function inWords (resource: Resource): string {
  return resource.replace(/[A-Z]/, letter => ` ${letter.toLowerCase()}`)
}

/**
 * Name and use of a scope, but for what it uses nothing of
 */
export function describe (account: Account): string {
  const name = printable(account.holder.name)

  if (account.closed) {
    return `${name} (closed)`
  }

  const uses = RESOURCES
    .filter(resource => resource === 'memory' || account.current(resource) > 0)
    .map(resource => `${inWords(resource)} ${useOfLimit(account, resource)}`)

  return `${name} (${uses.join(', ')})`
}
