/**
 * @file JSON with integers of 64 bits, which `JSON.parse` would round and
 * `JSON.stringify` does not write. go's largest integer is Infinity here.
 */

/** The largest integer of a go node, which it takes for no limit at all */
const MAX_INT64 = 2n ** 63n - 1n

/** Begins a string that stands for an integer, in JSON it can be written in this one way only */
const MARK = '\u0000'
const WRITTEN_MARK = '\\u0000'

/** Integers with fewer digits are exact as they are */
const LONG = /\d{16}/
const LONG_INTEGER = /^-?\d{16,}$/

/** A key, a string, or a number: nothing else in JSON has a digit in it */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|-?\d[\d.eE+-]*/g

/**
 * @throws {SyntaxError} if it is not JSON
 */
export function parseExactly (text: string): unknown {
  if (!LONG.test(text)) {
    return JSON.parse(text)
  }

  const marked = text.replace(TOKENS, (token, colon: string | undefined) => {
    if (colon !== undefined) {
      return token
    }

    if (LONG_INTEGER.test(token)) {
      return `"${WRITTEN_MARK}${token}"`
    }

    // so that no string is taken for an integer
    return token.startsWith(`"${WRITTEN_MARK}`) ? `"${WRITTEN_MARK}${token.slice(1)}` : token
  })

  return JSON.parse(marked, (key, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith(MARK)) {
      return value
    }

    return value.startsWith(MARK, 1) ? value.slice(1) : fromBigInt(BigInt(value.slice(1)))
  })
}

export function stringifyExactly (value: unknown): string {
  if (typeof value === 'bigint') {
    return `${value}`
  }

  if (value === Infinity) {
    return `${MAX_INT64}`
  }

  if (Array.isArray(value)) {
    return `[${value.map(stringifyExactly).join(',')}]`
  }

  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).filter(([, v]) => v !== undefined)

    return `{${members.map(([key, v]) => `${JSON.stringify(key)}:${stringifyExactly(v)}`).join(',')}}`
  }

  return JSON.stringify(value) ?? 'null'
}

function fromBigInt (value: bigint): number | bigint {
  if (value === MAX_INT64) {
    return Infinity
  }

  const number = Number(value)

  return Number.isSafeInteger(number) ? number : value
}
