/**
 * @file Checks that all configuration of admission needs.
 */

import { InvalidLimitError } from '../core/errors.ts'

/**
 * @throws {InvalidLimitError} if a value is no object
 */
export function assertObject (value: unknown, path: string, allowed: string): asserts value is object {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new InvalidLimitError(path, value, allowed)
  }
}

/**
 * @throws {InvalidLimitError} if a value is no object or has other fields
 */
export function assertFields (value: unknown, path: string, fields: readonly string[]): asserts value is object {
  const names = fields.join(', ')
  assertObject(value, path, `an object with the fields ${names}`)

  for (const [key, entry] of Object.entries(value)) {
    if (!fields.includes(key)) {
      throw new InvalidLimitError(`${path}.${key}`, entry, `one of the fields ${names}`)
    }
  }
}

/**
 * @throws {InvalidLimitError} if a value is no array
 */
export function assertArray (value: unknown, path: string): asserts value is unknown[] {
  if (!Array.isArray(value)) {
    throw new InvalidLimitError(path, value, 'an array')
  }
}

/**
 * @throws {InvalidLimitError} if a value is neither a non-negative integer nor Infinity
 */
export function readCount (value: unknown, path: string): number {
  if (typeof value === 'number' && value >= 0 && (value === Infinity || Number.isSafeInteger(value))) {
    // -0 is 0
    return value + 0
  }

  throw new InvalidLimitError(path, value, 'a non-negative integer, 0 to let nothing through, or Infinity to let everything through')
}
