/**
 * @file gzip in members, each a whole gzip stream: a file is as many of them as
 * were written, one after the other.
 *
 * `CompressionStream` cannot flush, so that all that was written since a member
 * began is lost if the process dies: a member for every batch loses a batch. gunzip
 * and go read such files. `DecompressionStream` refuses what follows a member, and
 * does not say how long it was, so every member says so in its header, in a field
 * that others skip.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1952
 */

const HEADER = 10
const FLAGS = 3
const HAS_EXTRA = 4

/** The ID of our field, "RM", and its four bytes */
const FIELD = [0x52, 0x4d, 4, 0]
const EXTRA = FIELD.length + 4

/** Text in one piece */
export async function gzipMember (text: string): Promise<Uint8Array<ArrayBuffer>> {
  const compressed = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))
  const plain = new Uint8Array(await new Response(compressed).arrayBuffer())
  const sized = new Uint8Array(plain.byteLength + 2 + EXTRA)

  sized.set(plain.subarray(0, HEADER))
  sized[FLAGS] |= HAS_EXTRA
  sized.set([EXTRA, 0, ...FIELD], HEADER)
  new DataView(sized.buffer).setUint32(HEADER + 2 + FIELD.length, sized.byteLength, true)
  sized.set(plain.subarray(HEADER), HEADER + 2 + EXTRA)

  return sized
}

/**
 * Text does not begin with a control character
 */
export function isGzip (bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f
}

/**
 * The length of a member of ours, undefined if it is one of somebody else
 *
 * @param head - as much as there is of its beginning
 */
export function memberLength (head: Uint8Array): number | undefined {
  const extra = HEADER + 2

  if (head.byteLength < extra + EXTRA || head[FLAGS] !== HAS_EXTRA || FIELD.some((byte, i) => head[extra + i] !== byte)) {
    return
  }

  const length = new DataView(head.buffer, head.byteOffset).getUint32(extra + FIELD.length, true)

  return length > extra + EXTRA ? length : undefined
}
