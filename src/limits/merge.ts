/**
 * @file Filling limits from other limits, before they are laid over defaults.
 */

import { namesOf, NAMED_KEYS, nullRecord, SCOPE_KEYS } from './limits.ts'
import { normalisePeerId } from './peer-key.ts'
import type { Limits, NamedKey } from './limits.ts'
import type { Limit } from '../core/types.ts'

/**
 * Fills what is undefined in limits from other limits: what is given in both
 * stays as it is in the first. Entries are filled from the entry of the same
 * name only, so that limits filled from nothing resolve to the same as before.
 *
 * go-libp2p's `Apply` also pins what an entry leaves out to the default of its
 * kind. Here that is left to laying the result over defaults, which may have an
 * entry of that name.
 *
 * @param limits - What counts, it is not changed
 * @param other - What fills the gaps
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/limit_defaults.go#L428
 */
export function applyLimits (limits: Limits, other: Limits): Limits {
  const applied = fill(limits, other)

  for (const key of SCOPE_KEYS) {
    if (limits[key] !== undefined && other[key] !== undefined) {
      applied[key] = fill(limits[key], other[key])
    }
  }

  for (const key of NAMED_KEYS) {
    if (limits[key] !== undefined && other[key] !== undefined) {
      applied[key] = fillEntries(key, limits[key], other[key])
    }
  }

  return applied
}

function fillEntries (key: NamedKey, entries: Record<string, Limit>, other: Record<string, Limit>): Record<string, Limit> {
  const filled = nullRecord<Limit>()

  for (const [name, limit] of namesOf(other)) {
    filled[spell(key, name)] = limit
  }

  for (const [name, limit] of namesOf(entries)) {
    const spelt = spell(key, name)
    filled[spelt] = filled[spelt] === undefined || limit === undefined ? limit ?? filled[spelt] : fill(limit, filled[spelt])
  }

  return filled
}

/**
 * One peer may be spelt in two ways. What is no peer is left to validation.
 */
function spell (key: NamedKey, name: string): string {
  return key === 'peers' ? normalisePeerId(name) ?? name : name
}

function fill<T extends object> (into: T, from: T): T {
  const given = Object.entries(into).filter(([, value]) => value !== undefined)

  return { ...from, ...Object.fromEntries(given) }
}
