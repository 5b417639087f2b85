/**
 * @file Limits in go-libp2p's JSON form, in and out, so that go nodes and this
 * one can share a configuration.
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/limit_defaults.go
 */

import { InvalidLimitError } from '../core/errors.ts'
import { GO_FIELDS, MAX_INT64 } from '../core/go-names.ts'
import { resolveLimit, RESOURCES } from '../core/limit.ts'
import { JSONDocument } from './json-document.ts'
import { BLOCK_ALL, BLOCK_ALL_MARK, DEFAULT, finder, GO_KEYS, UNLIMITED, UNLIMITED_MARK } from './json-names.ts'
import { NAMED_KEYS, namesOf, nullRecord } from './limits.ts'
import { normalisePeerId } from './peer-key.ts'
import type { Member, ValueNode } from './json-document.ts'
import type { JSONPosition } from './json-error.ts'
import type { ConcreteLimits, Limits, NamedKey, ScopeKey } from './limits.ts'
import type { ConcreteLimit, Limit, Resource } from '../core/types.ts'

const keyOf = finder(GO_KEYS)
const fieldOf = finder(GO_FIELDS)

const WORDS: ReadonlyMap<string, number | undefined> = new Map([[UNLIMITED, Infinity], [BLOCK_ALL, 0], [DEFAULT, undefined]])

/** Lays nothing under a limit: what is undefined stays undefined */
const NOTHING = {} as ConcreteLimit

const ALLOWED_VALUE = `a whole number from 0 to ${MAX_INT64}, "unlimited", "blockAll" or "default"`
const ALLOWED_MEMORY = `a whole number of bytes from 0 to ${MAX_INT64}, also as a string, "unlimited", "blockAll" or "default"`
const ALLOWED_LIMIT = `an object with the fields ${Object.values(GO_FIELDS).join(', ')}, or null`
const ALLOWED_ENTRIES = 'an object with limits by name, or null'
const ALLOWED_DOCUMENT = `an object with the scopes ${Object.values(GO_KEYS).join(', ')}, or null`
const ALLOWED_PEER = 'a peer ID in base58, or as a CID in any base'

export interface LimitsFromJSONOptions {
  /**
   * Called for every key of the document that is not a scope, or not the field
   * of a limit. Such keys are ignored, as go ignores them, also where a word is
   * misspelt; an application may want to tell its user.
   */
  onUnknownKey?(position: JSONPosition): void
}

/**
 * Reads limits in the JSON form of go-libp2p and Kubo. Pass the result as
 * `limits` to the resource manager, which lays it over the defaults.
 *
 * - `"default"`, null, and what is left out: undefined, inherits
 * - `"unlimited"`, -1 and 9223372036854775807: `Infinity`
 * - `"blockAll"`, -2 and 0: 0
 * - other numbers up to 2^53 are numbers, above that bigints
 *
 * Memory is in bytes, as a number or a string. Keys match in any case, names of
 * services, protocols and peers do not; peer IDs come out in base58. A scope
 * that is given twice is merged, an entry that is given twice is replaced.
 *
 * Unlike go, it refuses negative numbers other than those above, and text after
 * the document; and null for a field is the same as leaving it out.
 *
 * @throws {LimitsSyntaxError} naming the place in the document, what stands
 * there and what may stand there
 * @throws {InvalidLimitError} if text is not a string
 */
export function limitsFromJSON (text: string, options: LimitsFromJSONOptions = {}): Limits {
  if (typeof text !== 'string') {
    throw new InvalidLimitError('text', text, 'a string')
  }

  const document = new JSONDocument(text)
  const limits: Limits = {}

  for (const { name, offset, value } of document.members(document.root, '', ALLOWED_DOCUMENT) ?? []) {
    const key = keyOf(name)

    if (key === undefined) {
      options.onUnknownKey?.(document.position(offset, unknownPath('', name)))
    } else if (isNamed(key)) {
      limits[key] = entries(key, value)
    } else {
      limits[key] = limit(value, GO_KEYS[key], limits[key])
    }
  }

  return limits

  function entries (key: NamedKey, node: ValueNode): Record<string, Limit> {
    const members = document.members(node, GO_KEYS[key], ALLOWED_ENTRIES)

    if (members === undefined) {
      // null takes back what the document gave before
      return nullRecord()
    }

    const record = nullRecord(limits[key])

    for (const member of members) {
      const entry = limit(member.value, entryPath(key, member.name))
      record[key === 'peers' ? peerOf(member) : member.name] = entry
    }

    return record
  }

  function limit (node: ValueNode, path: string, into: Limit = {}): Limit {
    for (const { name, offset, value } of document.members(node, path, ALLOWED_LIMIT) ?? []) {
      const field = fieldOf(name)

      if (field === undefined) {
        options.onUnknownKey?.(document.position(offset, unknownPath(path, name)))
        continue
      }

      const read = fieldValue(field, value, `${path}.${GO_FIELDS[field]}`)

      if (read === undefined) {
        delete into[field]
      } else {
        into[field] = read
      }
    }

    return into
  }

  function fieldValue (field: Resource, node: ValueNode, path: string): number | bigint | undefined {
    const isMemory = field === 'memory'
    const allowed = isMemory ? ALLOWED_MEMORY : ALLOWED_VALUE

    if (node.type === 'Null') {
      return
    }

    if (node.type === 'String' && WORDS.has(node.value)) {
      return WORDS.get(node.value)
    }

    if (node.type !== 'Number' && !(isMemory && node.type === 'String')) {
      throw document.unexpected('type', node, path, allowed)
    }

    // not the value of a number, which is rounded above 2^53
    const value = integer(node.type === 'String' ? node.value : document.source(node))

    if (value === undefined) {
      throw document.unexpected('number', node, path, allowed)
    }

    return value
  }

  function peerOf (member: Member): string {
    const id = normalisePeerId(member.name)

    if (id === undefined) {
      throw document.error('peerId', entryPath('peers', member.name), member.offset, 'not the ID of a peer', ALLOWED_PEER)
    }

    return id
  }
}

/** Options of go-libp2p's own code */
const ONLY_OURS = ['subnets', 'rates']

/**
 * Writes limits in the JSON form of go-libp2p. Fields that are undefined and
 * scopes without a field are left out: they inherit. Peer IDs are written in
 * base58, memory as a string, `Infinity` as `"unlimited"`, 0 as `"blockAll"`.
 * `subnets` and `rates` are left out, go-libp2p has none in its JSON.
 *
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function limitsToJSON (limits: Limits | ConcreteLimits): string {
  if (limits === null || typeof limits !== 'object') {
    throw new InvalidLimitError('limits', limits, 'an object with limits by scope')
  }

  const unknown = Object.keys(limits).find(key => !Object.hasOwn(GO_KEYS, key) && !ONLY_OURS.includes(key))

  if (unknown !== undefined) {
    throw new InvalidLimitError(`limits.${unknown}`, (limits as any)[unknown], `one of the scopes ${Object.keys(GO_KEYS).join(', ')}`)
  }

  const members: Array<[string, string]> = []

  for (const key of Object.keys(GO_KEYS) as Array<ScopeKey | NamedKey>) {
    const given = Object.hasOwn(limits, key) ? limits[key] : undefined
    const written = isNamed(key)
      ? writeEntries(key, given as Record<string, Limit> | undefined)
      : writeFields(given as Limit | undefined, `limits.${key}`)

    if (written.length > 0) {
      members.push([GO_KEYS[key], writeObject(written, '  ')])
    }
  }

  return writeObject(members, '')
}

function writeEntries (key: NamedKey, entries?: Record<string, Limit>): Array<[string, string]> {
  const written = new Map<string, string>()

  for (const [name, limit] of namesOf(entries)) {
    const path = `limits.${key}[${JSON.stringify(name)}]`
    const goName = key === 'peers' ? normalisePeerId(name) : name

    if (goName === undefined) {
      throw new InvalidLimitError(path, limit, `under ${ALLOWED_PEER}`)
    }

    written.set(goName, writeObject(writeFields(limit, path), '    '))
  }

  return [...written]
}

function writeFields (limit: Limit | undefined, path: string): Array<[string, string]> {
  const valid: Limit = resolveLimit(limit, NOTHING, path)
  const written: Array<[string, string]> = []

  for (const field of RESOURCES) {
    const value = valid[field]

    if (value !== undefined) {
      written.push([GO_FIELDS[field], writeValue(field, value)])
    }
  }

  return written
}

function writeValue (field: Resource, value: number | bigint): string {
  if (value === 0) {
    return `"${BLOCK_ALL}"`
  }

  // go could not read more than its largest integer
  if (value > MAX_INT64) {
    return `"${UNLIMITED}"`
  }

  return field === 'memory' ? `"${value}"` : `${value}`
}

/**
 * `JSON.stringify` knows no bigints, so their text is put together here
 */
function writeObject (members: Array<[string, string]>, indent: string): string {
  if (members.length === 0) {
    return '{}'
  }

  const lines = members.map(([name, text]) => `${indent}  ${JSON.stringify(name)}: ${text}`)

  return `{\n${lines.join(',\n')}\n${indent}}`
}

/**
 * @param text - of a number in JSON, or of what go reads from a string
 * @returns nothing if it is not a whole number, or out of range
 */
function integer (text: string): number | bigint | undefined {
  if (!/^[+-]?\d+$/.test(text)) {
    return
  }

  const value = BigInt(text)

  if (value === UNLIMITED_MARK || value === MAX_INT64) {
    return Infinity
  }

  if (value === BLOCK_ALL_MARK) {
    return 0
  }

  if (value >= 0n && value < MAX_INT64) {
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  }
}

function isNamed (key: ScopeKey | NamedKey): key is NamedKey {
  return (NAMED_KEYS as readonly string[]).includes(key)
}

function entryPath (key: NamedKey, name: string): string {
  return `${GO_KEYS[key]}[${JSON.stringify(name)}]`
}

function unknownPath (path: string, name: string): string {
  const member = /^\w+$/.test(name) ? name : `[${JSON.stringify(name)}]`

  return path === '' || member !== name ? `${path}${member}` : `${path}.${member}`
}
