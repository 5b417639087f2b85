/**
 * @file What somebody has changed in the form and not applied yet, and the limits
 * that makes.
 */

import { parseLimit } from './format.ts'
import { FIELDS } from './messages.ts'
import type { ErrorAnswer, Field, LimitTree } from './messages.ts'

/** The limits that are by name, and what a name has that has none of its own */
export const NAMED: Record<string, string> = {
  services: 'serviceDefault',
  servicePeers: 'servicePeerDefault',
  protocols: 'protocolDefault',
  protocolPeers: 'protocolPeerDefault',
  peers: 'peerDefault'
}

/** What is replaced as a whole */
export const WHOLE = ['subnets', 'rates']

/**
 * Where a limit stands
 */
export interface Place {
  key: string
  /** Of a limit that is by name */
  name?: string
  field?: Field
}

export interface Edit extends Place {
  text: string
}

/** By the path of what was changed */
export type Edits = ReadonlyMap<string, Edit>

export function pathOf ({ key, name, field }: Place): string {
  return `limits.${key}${name === undefined ? '' : `[${JSON.stringify(name)}]`}${field === undefined ? '' : `.${field}`}`
}

/**
 * The opposite, undefined if it is no place in the form
 */
export function placeOf (option: string): Place | undefined {
  const [, key, name, field] = /^limits\.(\w+)(?:\[("(?:[^"\\]|\\.)*")\])?(?:\.(\w+))?/.exec(option) ?? []

  if (key === undefined) {
    return
  }

  return {
    key,
    name: name === undefined ? undefined : JSON.parse(name),
    // what is replaced as a whole has no fields of its own
    field: WHOLE.includes(key) ? undefined : FIELDS.find(known => known === field)
  }
}

/**
 * @throws {EditError} if the text of one is no JSON
 */
export function limitsOf (edits: Edits): LimitTree {
  const limits: LimitTree = {}

  for (const [path, { key, name, field, text }] of edits) {
    if (field === undefined) {
      limits[key] = parse(path, text)
    } else if (name === undefined) {
      limits[key] ??= {}
      limits[key][field] = parseLimit(field, text)
    } else {
      // any name is an ordinary one
      limits[key] ??= Object.create(null)
      limits[key][name] ??= {}
      limits[key][name][field] = parseLimit(field, text)
    }
  }

  return limits
}

export class EditError extends Error {
  readonly answer: ErrorAnswer

  constructor (path: string, message: string) {
    super(message)
    this.name = 'EditError'
    this.answer = { path, message }
  }
}

function parse (path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (err: any) {
    throw new EditError(path, err.message)
  }
}
