/**
 * @file How often something may happen by key: shape, defaults and validation.
 */

import { assertFields, assertObject } from './checks.ts'
import { RATE_FIELDS, readRate, UNLIMITED } from './token-bucket.ts'
import type { Rate } from './token-bucket.ts'

export interface KeyedRates {
  /**
   * For every key without an entry in `overrides`, each by itself
   *
   * @default unlimited
   */
  default?: Rate

  /**
   * By key
   *
   * @default {}
   */
  overrides?: Record<string, Rate>
}

export interface ConcreteKeyedRates {
  default: Rate
  // a map, in which `__proto__` is a key like any other
  overrides: ReadonlyMap<string, Rate>
}

/**
 * Checks rates and puts the defaults in place of what is left out
 *
 * @param given - what is left out has its default
 * @param path - where `given` stands in the configuration, for errors
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function resolveKeyedRates (given: KeyedRates = {}, path: string): ConcreteKeyedRates {
  assertFields(given, path, ['default', 'overrides'])

  const { default: rate = UNLIMITED, overrides = {} } = given
  assertObject(overrides, `${path}.overrides`, 'an object with rates by key')

  return {
    default: read(rate, `${path}.default`),
    overrides: new Map(Object.entries(overrides).map(([key, override]) => {
      return [key, read(override, `${path}.overrides[${JSON.stringify(key)}]`)]
    }))
  }
}

function read (rate: unknown, path: string): Rate {
  assertFields(rate, path, RATE_FIELDS)

  return readRate(rate, path)
}
