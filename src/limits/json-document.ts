/**
 * @file A JSON document whose values keep their place and their very text, so
 * that errors can point at them, 64-bit integers are exact, and keys given
 * twice are seen twice. `JSON.parse` tells none of that.
 */

import { parse, tokenize } from '@humanwhocodes/momoa'
import { LimitsSyntaxError } from './json-error.ts'
import type { JSONPosition, LimitsSyntaxErrorKind } from './json-error.ts'
import type { MemberNode, ValueNode } from '@humanwhocodes/momoa'

export type { ValueNode }

/**
 * A member of an object
 */
export interface Member {
  name: string
  /** Where the name begins, UTF-16 code units */
  offset: number
  value: ValueNode
}

/**
 * Limits nest three deep, what nests in keys that are ignored may be deeper. The
 * parser recurses, without a limit it would overflow the stack.
 */
const MAX_DEPTH = 100

/** Of what is found, characters that an error shows */
const MAX_SHOWN = 40

const JSON_ONLY = 'one JSON value and nothing else, without comments or trailing commas'

export class JSONDocument {
  readonly root: ValueNode
  private readonly text: string

  /**
   * @throws {LimitsSyntaxError} if the text is not JSON
   */
  constructor (text: string) {
    this.text = text

    if (/^[ \t\r\n]*$/.test(text)) {
      throw this.error('emptyInput', '', text.length, 'empty', 'a JSON object with limits by scope')
    }

    this.root = this.parse()
  }

  /**
   * The members of an object in the order of the document, nothing for null
   *
   * @throws {LimitsSyntaxError} if it is neither
   */
  members (node: ValueNode, path: string, allowed: string): Member[] | undefined {
    if (node.type === 'Null') {
      return
    }

    if (node.type !== 'Object') {
      throw this.unexpected('type', node, path, allowed)
    }

    return node.members.map(member => ({
      name: nameOf(member),
      offset: member.name.loc.start.offset,
      value: member.value
    }))
  }

  /**
   * The text of a value as it stands in the document
   */
  source (node: ValueNode): string {
    return this.text.slice(node.loc.start.offset, node.loc.end.offset)
  }

  position (offset: number, path: string): JSONPosition {
    const before = this.text.slice(0, offset)

    return {
      offset,
      line: before.split('\n').length,
      column: offset - before.lastIndexOf('\n'),
      path
    }
  }

  /**
   * The error for a value that may not stand where it does
   */
  unexpected (kind: LimitsSyntaxErrorKind, node: ValueNode, path: string, allowed: string): LimitsSyntaxError {
    return this.error(kind, path, node.loc.start.offset, this.show(node), allowed)
  }

  error (kind: LimitsSyntaxErrorKind, path: string, offset: number, found: string, allowed: string, cause?: unknown): LimitsSyntaxError {
    return new LimitsSyntaxError({ kind, ...this.position(offset, path), found, allowed }, cause === undefined ? undefined : { cause })
  }

  private parse (): ValueNode {
    try {
      this.check()

      return parse(this.text, { mode: 'json' }).body
    } catch (err: any) {
      if (err.name === 'LimitsSyntaxError') {
        throw err
      }

      const offset = this.whereNotJSON(err)
      const codePoint = this.text.codePointAt(offset)
      const found = codePoint === undefined ? 'not JSON, it ends too early' : `not JSON because of ${visible(codePoint)}`

      throw this.error('syntax', '', offset, found, JSON_ONLY, err)
    }
  }

  /**
   * Where a text ends too early, the parser blames the last token, or something
   * before. It gets to the end if a character follows that JSON never has.
   */
  private whereNotJSON (err: any): number {
    try {
      parse(`${this.text} !`, { mode: 'json' })
    } catch (later: any) {
      if (later.offset >= this.text.length || /^Unexpected end/.test(later.message)) {
        return this.text.length
      }
    }

    return err.offset ?? 0
  }

  /**
   * What the parser lets pass
   */
  private check (): void {
    let depth = 0

    for (const { type, loc } of tokenize(this.text, { mode: 'json' })) {
      const { offset } = loc.start

      if (type === 'LBrace' || type === 'LBracket') {
        depth++
      } else if (type === 'RBrace' || type === 'RBracket') {
        depth--
      } else if (type === 'String') {
        // eslint-disable-next-line no-control-regex
        const at = this.text.slice(offset, loc.end.offset).search(/[\u0000-\u001f]/)

        if (at !== -1) {
          throw this.error('syntax', '', offset + at, 'not JSON because of a control character in a string', 'control characters as escapes only')
        }
      }

      if (depth > MAX_DEPTH) {
        throw this.error('syntax', '', offset, 'nested too deep', `nesting up to ${MAX_DEPTH} deep`)
      }
    }
  }

  private show (node: ValueNode): string {
    if (node.type === 'Object') {
      return 'an object'
    }

    if (node.type === 'Array') {
      return 'an array'
    }

    return abbreviate(this.source(node))
  }
}

/**
 * A long text does not make a long error
 */
function abbreviate (text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

/**
 * A byte order mark, for one, would not be seen
 */
function visible (codePoint: number): string {
  const character = String.fromCodePoint(codePoint)

  return /^[\p{L}\p{N}\p{P}\p{S} ]$/u.test(character) ? JSON.stringify(character) : `U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`
}

function nameOf ({ name }: MemberNode): string {
  // only JSON5 has identifiers for names
  return name.type === 'String' ? name.value : name.name
}
