/**
 * @file Where a gzip file is cut into its members. Those of `gzipMember` say how
 * long they are; others end where something stands that looks like the beginning
 * of the next one.
 */

import { memberLength } from './gzip-member.ts'

/** Of a member that says how long it is, up to there */
const HEAD = 20

/** Of any member, as far as it can be told from other data */
const SIGNATURE = 10

/** No member is shorter */
const SHORTEST = 20

export class GzipInput {
  /** What the source has thrown */
  failure?: { error: unknown }

  private readonly source: AsyncIterator<Uint8Array>
  private buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  private ended = false

  /** Of this member */
  private length?: number
  private taken = 0
  private isLast = false
  private pulled: Promise<void> = Promise.resolve()
  private isAbandoned = false

  constructor (source: AsyncIterator<Uint8Array>) {
    this.source = source
  }

  /**
   * @returns false if nothing is left
   */
  async begin (): Promise<boolean> {
    await this.fill(HEAD)

    this.length = memberLength(this.buffer)
    this.taken = 0
    this.isLast = false
    this.isAbandoned = false

    return this.buffer.byteLength > 0
  }

  /**
   * The bytes of this member
   */
  member (): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      pull: async (controller) => {
        if (!this.isAbandoned) {
          this.pulled = this.pull(controller)
          await this.pulled
        }
      }
    }, { highWaterMark: 0 })
  }

  /**
   * Whether this member is the last one and is not known to be whole
   */
  async isCut (): Promise<boolean> {
    // a stream that has failed may still be in the midst of reading
    this.isAbandoned = true
    await this.pulled

    while (await this.next() !== undefined) {
      // as far as it goes
    }

    return this.isLast
  }

  private async pull (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    try {
      const chunk = await this.next()

      if (chunk === undefined) {
        controller.close()
      } else {
        controller.enqueue(chunk)
      }
    } catch (error) {
      if (!this.isAbandoned) {
        this.failure = { error }
        controller.error(error)
      }
    }
  }

  private async next (): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.length !== undefined) {
      await this.fill(1)
      this.isLast = this.buffer.byteLength === 0 && this.taken < this.length

      return this.take(this.length - this.taken)
    }

    // a signature may be in two chunks
    await this.fill(Math.max(2 * SIGNATURE, SHORTEST - this.taken + SIGNATURE))

    const from = Math.max(0, SHORTEST - this.taken)

    if (this.taken > 0 && from === 0 && looksLikeMember(this.buffer, 0)) {
      return
    }

    for (let i = Math.max(from, 1); i + SIGNATURE <= this.buffer.byteLength; i++) {
      if (looksLikeMember(this.buffer, i)) {
        return this.take(i)
      }
    }

    this.isLast = this.ended

    return this.take(this.ended ? this.buffer.byteLength : this.buffer.byteLength - SIGNATURE + 1)
  }

  private take (size: number): Uint8Array<ArrayBuffer> | undefined {
    const chunk = this.buffer.subarray(0, size)

    this.buffer = this.buffer.subarray(size)
    this.taken += chunk.byteLength

    return chunk.byteLength === 0 ? undefined : chunk
  }

  private async fill (size: number): Promise<void> {
    while (this.buffer.byteLength < size && !this.ended) {
      const { done, value } = await this.source.next()

      if (done === true) {
        this.ended = true
      } else if (this.buffer.byteLength === 0) {
        this.buffer = new Uint8Array(value)
      } else {
        const joined = new Uint8Array(this.buffer.byteLength + value.byteLength)
        joined.set(this.buffer)
        joined.set(value, this.buffer.byteLength)
        this.buffer = joined
      }
    }
  }
}

/**
 * Magic, method, flags, how it was compressed and on which system: by chance it
 * looks so once in 10^11 places
 */
function looksLikeMember (bytes: Uint8Array, at: number): boolean {
  return bytes.byteLength >= at + SIGNATURE &&
    bytes[at] === 0x1f && bytes[at + 1] === 0x8b && bytes[at + 2] === 8 && bytes[at + 3] < 0x20 &&
    [0, 2, 4].includes(bytes[at + 8]) && (bytes[at + 9] < 14 || bytes[at + 9] === 255)
}
