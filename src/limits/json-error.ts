/**
 * @file What reading limits from JSON throws.
 */

/**
 * What is wrong with a document:
 *
 * - `emptyInput`: there is nothing but white space
 * - `syntax`: it is not JSON, or something follows the document
 * - `type`: something stands where it cannot stand, such as an array for a scope
 * - `number`: a value is no whole number, or out of range
 * - `peerId`: a key of `Peer` is not a peer ID
 */
export type LimitsSyntaxErrorKind = 'emptyInput' | 'syntax' | 'type' | 'number' | 'peerId'

/**
 * A place in a JSON document
 */
export interface JSONPosition {
  /** UTF-16 code units before it, as for `text.slice` */
  offset: number
  /** From 1 */
  line: number
  /** From 1, in UTF-16 code units */
  column: number
  /** In the words of the document, such as `System.Memory` or `Service["a"].Conns`; empty for the document itself */
  path: string
}

export interface LimitsSyntaxErrorDetail extends JSONPosition {
  kind: LimitsSyntaxErrorKind
  /** What stands there */
  found: string
  /** What may stand there */
  allowed: string
}

/**
 * A JSON document does not hold limits
 */
export class LimitsSyntaxError extends Error implements LimitsSyntaxErrorDetail {
  static name = 'LimitsSyntaxError'

  readonly kind: LimitsSyntaxErrorKind
  readonly offset: number
  readonly line: number
  readonly column: number
  readonly path: string
  readonly found: string
  readonly allowed: string

  constructor (detail: LimitsSyntaxErrorDetail, options?: ErrorOptions) {
    const what = detail.path === '' ? 'The document' : detail.path
    super(`${what} (line ${detail.line}, column ${detail.column}) is ${detail.found}, allowed is ${detail.allowed}`, options)
    this.name = 'LimitsSyntaxError'
    this.kind = detail.kind
    this.offset = detail.offset
    this.line = detail.line
    this.column = detail.column
    this.path = detail.path
    this.found = detail.found
    this.allowed = detail.allowed
  }
}
