/**
 * @file Buffers are lists of slices of what came from the network. A slice costs
 * far more than its bytes if it has few of them: it is an object of its own, and
 * it keeps all of the memory that it is a part of.
 *
 * js-libp2p does not show its lists (`readBuffer` and `writeBuffer` are protected,
 * the decoders of yamux, mplex and noise are private), and its public interface
 * has no way to make them smaller without handing the data over. So this reaches
 * for them, changes how the same bytes are stored, and does nothing where it
 * finds none.
 */

import type { Uint8ArrayList } from 'uint8arraylist'

/**
 * The least number of slices that are worth joining
 */
const SLICES = 64

/**
 * Slices of at least this many bytes stay as they are
 */
const SMALL = 1024

/**
 * What data may keep that stays, as a multiple of its bytes. Data that fills its
 * buffers, but for headers, is not copied.
 */
const MOST_KEPT = 9 / 8

type List = Pick<Uint8ArrayList, 'byteLength' | 'consume' | 'append'> & Iterable<Uint8Array>

export type ListName = 'readBuffer' | 'writeBuffer' | 'buffer' | '_buffer'

/**
 * Joins the slices of a list when many small ones have been added
 */
export class Joiner {
  private added = 0
  private readonly list?: List

  constructor (holder: object | undefined, name: ListName) {
    const list = (holder as Partial<Record<ListName, List>> | undefined)?.[name]

    this.list = typeof list?.append === 'function' && typeof list.consume === 'function' ? list : undefined
  }

  get byteLength (): number {
    return this.list?.byteLength ?? 0
  }

  /**
   * Called whenever the list may have grown. The work is proportional to what has
   * been added: a list of large slices is never joined.
   */
  grown (): void {
    const length = this.byteLength

    if (length === 0) {
      this.added = 0
    } else if (++this.added >= Math.max(SLICES, length / SMALL)) {
      this.join()
    }
  }

  /**
   * Called when a list was read up to a small rest, which may keep a large piece
   * of memory
   */
  shrunk (): void {
    if (this.byteLength > 0 && this.byteLength < SMALL) {
      this.join()
    }
  }

  /**
   * Throws the list away
   */
  discard (): void {
    this.list?.consume(this.list.byteLength)
  }

  private join (): void {
    const { list } = this
    this.added = 0

    if (list != null) {
      const joined = join(list, list.byteLength)
      list.consume(joined.byteLength)
      list.append(joined)
    }
  }
}

/**
 * The same bytes, copied if they keep more memory than they are, but for a little.
 * Frames of several streams share the buffers that they come in: when some streams
 * are over, the others would keep twice of what they are reserved for.
 */
export function ownBytes (data: Uint8Array | Uint8ArrayList): Uint8Array | Uint8ArrayList {
  let kept = 0

  for (const slice of data instanceof Uint8Array ? [data] : data) {
    kept += slice.buffer.byteLength
  }

  return kept > MOST_KEPT * data.byteLength ? join(data instanceof Uint8Array ? [data] : data, data.byteLength) : data
}

/**
 * `slice` of a list would take the memory from the pool of Node.js, of which one
 * byte keeps all: that is 64 KiB
 */
function join (slices: Iterable<Uint8Array>, byteLength: number): Uint8Array {
  const joined = new Uint8Array(byteLength)
  let offset = 0

  for (const slice of slices) {
    joined.set(slice, offset)
    offset += slice.byteLength
  }

  return joined
}
