/**
 * @file JSON with integers of 64 bits, which a number would round. go's largest
 * integer is Infinity here.
 *
 * @see https://github.com/tc39/proposal-json-parse-with-source
 */

import { MAX_INT64 } from '../../core/go-names.ts'

const INTEGER = /^-?\d+$/

/** Of an integer of 64 bits, with its sign */
const MOST_CHARACTERS = 20

/** Web standards that TypeScript does not know yet */
const { parse, rawJSON, stringify } = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { source: string }) => unknown): unknown
  rawJSON(text: string): object
  stringify(value: unknown, replacer: (key: string, value: unknown) => unknown): string | undefined
}

/**
 * @throws {SyntaxError} if it is not JSON
 */
export function parseExactly (text: string): unknown {
  return parse(text, (key, value, { source }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value) || !INTEGER.test(source)) {
      return value
    }

    // no number that anybody counts to, and a long one takes long to read
    if (source.length > MOST_CHARACTERS) {
      return source
    }

    const integer = BigInt(source)

    return integer === MAX_INT64 ? Infinity : integer
  })
}

export function stringifyExactly (value: unknown): string {
  return stringify(value, (key, value) => {
    if (value === Infinity) {
      return rawJSON(`${MAX_INT64}`)
    }

    return typeof value === 'bigint' ? rawJSON(`${value}`) : value
  }) ?? 'null'
}
