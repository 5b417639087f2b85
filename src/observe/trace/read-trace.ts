/**
 * @file The events of a trace, whatever it comes as: bytes, compressed or not,
 * text, or events.
 */

import { gunzip, UnreadableError } from './gunzip.ts'
import { isGzip } from './gzip-member.ts'
import { parseEvent, TraceSyntaxError } from './parse.ts'
import type { TraceEvent } from './event.ts'

/**
 * In UTF-16 code units. The longest is the one with all limits: those of twenty
 * thousand peers, if each has its own. JSON can take a hundred times its length.
 */
const LONGEST_LINE = 4 * 1024 * 1024

/**
 * Bytes that are there already, at a time: text takes more room
 */
const PIECE = 64 * 1024

/**
 * A trace as gzip or as plain JSON lines, of this package or of go-libp2p, or its
 * events
 */
export type Trace = string | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Iterable<TraceEvent>

/**
 * @returns whether the trace was cut: what comes after the last whole line could
 * not be read
 * @throws {TraceSyntaxError} if a line is not an event
 */
export async function * readTrace (trace: Trace): AsyncGenerator<TraceEvent, boolean> {
  if (typeof trace !== 'string' && !(trace instanceof Uint8Array) && Symbol.iterator in trace) {
    yield * trace

    return false
  }

  /** Of the line that has not come whole */
  let pieces: string[] = []
  let length = 0
  let line = 0
  let isCut = false

  const text = typeof trace === 'string' ? ofString(trace) : ofBytes(bytesOf(trace))

  try {
    for (;;) {
      const { done, value } = await next(text, line)

      if (done === true) {
        isCut = value
        break
      }

      const lines = value.split('\n')
      const rest = lines.pop() ?? ''

      if (lines.length > 0) {
        lines[0] = pieces.join('') + lines[0]
        pieces = []
        length = 0
      }

      for (const text of lines) {
        line++
        assertLength(text.length, line)

        if (text !== '') {
          yield parseEvent(text, line)
        }
      }

      if (rest !== '') {
        pieces.push(rest)
        length += rest.length
        assertLength(length, line + 1)
      }
    }
  } finally {
    await text.return(false)
  }

  const buffered = pieces.join('')

  if (buffered === '') {
    return isCut
  }

  try {
    yield parseEvent(buffered, line + 1)
  } catch (err: any) {
    // the end of this line was not written
    if (buffered.startsWith('{') && err.cause instanceof SyntaxError) {
      return true
    }

    throw err
  }

  return isCut
}

/**
 * A few bytes of gzip may be a line without end
 */
function assertLength (length: number, line: number): void {
  if (length > LONGEST_LINE) {
    throw new TraceSyntaxError(line, `it is longer than ${LONGEST_LINE} characters`)
  }
}

async function next (text: AsyncGenerator<string, boolean>, line: number): Promise<IteratorResult<string, boolean>> {
  try {
    return await text.next()
  } catch (err: any) {
    if (err instanceof UnreadableError) {
      throw new TraceSyntaxError(line + 1, err.message, { cause: err })
    }

    throw err
  }
}

async function * ofString (text: string): AsyncGenerator<string, boolean> {
  yield text

  return false
}

async function * ofBytes (source: AsyncIterator<Uint8Array>): AsyncGenerator<string, boolean> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let isCut = false

  try {
    const first = await beginning(source)
    const bytes = again(first, source)
    const plain = isGzip(first) ? gunzip(bytes) : bytes

    for (;;) {
      const { done, value } = await plain.next()

      if (done === true) {
        isCut = value === true
        break
      }

      yield decode(decoder, value)
    }
  } finally {
    await source.return?.()
  }

  try {
    decoder.decode()
  } catch {
    // in the midst of a character
    return true
  }

  return isCut
}

function decode (decoder: TextDecoder, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: true })
  } catch (err) {
    throw new UnreadableError('it is neither gzip nor UTF-8', { cause: err })
  }
}

/**
 * The first chunk with something in it, which tells gzip from text
 */
async function beginning (source: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  for (;;) {
    const { done, value } = await source.next()

    if (done === true) {
      return new Uint8Array(0)
    }

    if (value.byteLength > 0) {
      return value
    }
  }
}

async function * again (first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield first

  for (;;) {
    const { done, value } = await rest.next()

    if (done === true) {
      return
    }

    yield value
  }
}

function bytesOf (trace: Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>): AsyncIterator<Uint8Array> {
  if (trace instanceof Uint8Array) {
    return once(trace)
  }

  // not all browsers can iterate over a stream
  return Symbol.asyncIterator in trace ? trace[Symbol.asyncIterator]() : ofStream(trace)
}

async function * once (bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let i = 0; i < bytes.byteLength; i += PIECE) {
    yield bytes.subarray(i, i + PIECE)
  }
}

async function * ofStream (stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = stream.getReader()

  try {
    for (;;) {
      const { done, value } = await reader.read()

      if (done) {
        return
      }

      yield value
    }
  } finally {
    await reader.cancel()
  }
}
