import { expect } from 'aegir/chai'
import fc from 'fast-check'
import { formatEvents } from '../../../src/observe/trace/format.ts'
import { gunzip } from '../../../src/observe/trace/gunzip.ts'
import { gzipMember } from '../../../src/observe/trace/gzip-member.ts'
import { gzipSink } from '../../../src/observe/trace/gzip-sink.ts'
import { replay } from '../../../src/observe/trace/replay.ts'
import { randomTrace } from '../../fixtures/random-trace.ts'
import { TRACE_CASES } from '../../fixtures/trace-vectors.ts'
import type { TraceEvent } from '../../../src/observe/trace/event.ts'

const { events: EVENTS } = randomTrace(1, 300)

const BATCHES = Array.from({ length: 10 }, (_, i) => EVENTS.slice(i * EVENTS.length / 10, (i + 1) * EVENTS.length / 10))

/** 1f 8b 08 and so on, as far as members are told from other data */
const SIGNATURE = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3)

interface Collected {
  writable: WritableStream<Uint8Array>
  chunks: Uint8Array[]
  closed: boolean
}

function collect (): Collected {
  const collected: Collected = {
    chunks: [],
    closed: false,
    writable: new WritableStream({
      write: chunk => { collected.chunks.push(chunk) },
      close: () => { collected.closed = true }
    })
  }

  return collected
}

async function compressed (batches: TraceEvent[][]): Promise<Uint8Array[]> {
  const { writable, chunks } = collect()
  const sink = gzipSink(writable)

  for (const batch of batches) {
    await sink.write(batch)
  }

  await sink.close?.()

  return chunks
}

/**
 * As others write it
 */
async function plainMember (text: string): Promise<Uint8Array> {
  return new Uint8Array(await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer())
}

function joined (chunks: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.byteLength, 0))
  let offset = 0

  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.byteLength
  }

  return bytes
}

async function * pieces (bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void> {
  for (let i = 0; i < bytes.byteLength; i += size) {
    yield bytes.slice(i, i + size)
  }
}

async function unzip (bytes: Uint8Array, size = 64 * 1024): Promise<{ text: string, isCut: boolean }> {
  const inflated = gunzip(pieces(bytes, size))
  const chunks: Uint8Array[] = []

  for (;;) {
    const { done, value } = await inflated.next()

    if (done === true) {
      return { text: new TextDecoder().decode(joined(chunks)), isCut: value }
    }

    chunks.push(value)
  }
}

describe('trace/gzip', () => {
  it('writes what can be read, in order', async () => {
    const bytes = joined(await compressed(BATCHES))
    const read: TraceEvent[] = []
    const state = await replay(bytes, { onEvent: event => read.push(event) })

    expect(read).to.deep.equal(EVENTS)
    expect(state.isCut).to.be.false()
    expect(state.problems).to.deep.equal([])
  })

  it('keeps the order and closes at the end although nobody waits', async () => {
    const { writable, chunks } = collect()
    const sink = gzipSink(writable)

    BATCHES.forEach(batch => { void sink.write(batch) })
    await sink.close?.()
    await sink.close?.()

    expect((await unzip(joined(chunks))).text).to.equal(formatEvents(EVENTS))
    await expect(Promise.resolve(sink.write([]))).to.eventually.be.rejectedWith('closed')
  })

  it('makes a gzip file of nothing, too', async () => {
    expect(await unzip(joined(await compressed([])))).to.deep.equal({ text: '', isCut: false })
  })

  it('hands over what the stream throws, every time', async () => {
    const sink = gzipSink(new WritableStream({
      write: () => { throw new Error('No room') }
    }))

    await expect(Promise.resolve(sink.write(EVENTS))).to.eventually.be.rejectedWith('No room')
    await expect(Promise.resolve(sink.write(EVENTS))).to.eventually.be.rejectedWith('No room')
    await expect(Promise.resolve(sink.close?.())).to.eventually.be.rejected()
  })

  it('splits a large batch, and keeps the order', async () => {
    const { events } = randomTrace(2, 10_000)
    const { writable, chunks } = collect()
    const sink = gzipSink(writable)

    void sink.write(events)
    await sink.write(EVENTS)

    // there is time for something else between them
    expect(chunks.length).to.be.at.least(4)
    expect(await unzip(joined(chunks), 1_000_000)).to.deep.equal({ text: formatEvents(events) + formatEvents(EVENTS), isCut: false })
  })

  it('waits for a slow stream', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const sink = gzipSink(new WritableStream({ write: async () => { await promise } }))
    let isWritten = false

    const written = Promise.resolve(sink.write(EVENTS)).then(() => { isWritten = true })
    await gzipMember('as long as it takes to compress something')
    expect(isWritten).to.be.false()

    resolve()
    await written
  })

  it('reads streams and pieces of any size', async () => {
    const bytes = joined(await compressed(BATCHES))

    for (const size of [1, 7, 1000]) {
      expect(await unzip(bytes, size)).to.deep.equal({ text: formatEvents(EVENTS), isCut: false })
    }

    const stream = new Blob([new Uint8Array(bytes)]).stream()
    expect(await replay(stream)).to.include({ events: EVENTS.length, isCut: false })
    expect(stream.locked).to.be.false()
  })

  it('reads what was written wherever it was cut, and all that was written before', async () => {
    const members = await compressed(BATCHES)
    const bytes = joined(members)

    await fc.assert(fc.asyncProperty(fc.nat({ max: bytes.byteLength - 1 }), fc.integer({ min: 1, max: 5_000 }), async (at, size) => {
      let whole = 0

      for (let i = 0, end = 0; i < members.length; i++) {
        end += members[i].byteLength
        whole += end <= at ? BATCHES[i].length : 0
      }

      const state = await replay(pieces(bytes.subarray(0, at), size))

      expect(state.events).to.be.at.least(whole)
      expect(state.isCut).to.equal(!members.some((_, i) => joined(members.slice(0, i)).byteLength === at))
      expect(state.problems).to.deep.equal([])
    }))
  })

  it('notices what was changed in a member', async () => {
    const members = await compressed(BATCHES)
    const text = formatEvents(EVENTS)

    await fc.assert(fc.asyncProperty(fc.nat({ max: members.length - 2 }), fc.nat(), fc.integer({ min: 1, max: 255 }), async (i, at, by) => {
      const damaged = new Uint8Array(members[i])
      // but for time and system, which mean nothing
      at = 20 + at % (damaged.byteLength - 20)
      damaged[at] ^= by

      const read = await unzip(joined(members.map((member, j) => i === j ? damaged : member))).catch(err => err)
      expect(read).to.have.property('name', 'UnreadableError')
    }))

    expect((await unzip(joined(members))).text).to.equal(text)
  })

  it('says at which line a file is damaged', async () => {
    const members = await compressed(BATCHES)
    const damaged = new Uint8Array(members[3])
    damaged[damaged.byteLength - 6] ^= 1

    const err: any = await replay(joined([...members.slice(0, 3), damaged, ...members.slice(4)])).catch(err => err)
    expect(err.name).to.equal('TraceSyntaxError')
    expect(err.line).to.be.greaterThan(BATCHES.slice(0, 3).flat().length)
    expect(err.message).to.match(/: the compressed data is damaged$/)
  })

  it('reads what others have compressed, in one member or in many, after one another with ours', async () => {
    const text = formatEvents(TRACE_CASES.flatMap(({ events }) => events))
    const plain = await plainMember(text)
    const ours = await gzipMember(text)

    for (const members of [[plain], [plain, plain], [ours, plain], [plain, ours, plain, plain, ours]]) {
      for (const size of [11, 100_000]) {
        expect(await unzip(joined(members), size)).to.deep.equal({ text: text.repeat(members.length), isCut: false })
      }
    }
  })

  it('is not misled by data of ours that looks like a member', async () => {
    // what cannot be compressed is stored as it is
    const noise = crypto.getRandomValues(new Uint8Array(2_000))
    noise.set(SIGNATURE, 1_000)
    const stored = new Uint8Array(await new Response(new Blob([noise]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer())
    const inside = stored.findIndex((_, i) => SIGNATURE.every((byte, j) => i > 0 && stored[i + j] === byte))
    expect(inside).to.be.greaterThan(0)

    const sized = joined([stored.subarray(0, 10), Uint8Array.of(8, 0, 0x52, 0x4d, 4, 0, 0, 0, 0, 0), stored.subarray(10)])
    sized[3] = 4
    new DataView(sized.buffer).setUint32(16, sized.byteLength, true)

    const inflated = gunzip(pieces(sized, 100_000))
    const chunks: Uint8Array[] = []

    for await (const chunk of inflated) {
      chunks.push(chunk)
    }

    expect(joined(chunks)).to.deep.equal(noise)
  })

  it('does not get stuck on lengths that make no sense', async () => {
    const member = await gzipMember('text')

    for (const length of [0, 1, 19, 20, 21, 2 ** 31, 2 ** 32 - 1]) {
      const wrong = new Uint8Array(member)
      new DataView(wrong.buffer).setUint32(16, length, true)

      // whatever comes of it, it comes to an end
      await unzip(joined([wrong, member])).catch(err => { expect(err).to.have.property('name', 'UnreadableError') })
    }
  })

  it('reads what a process of go has left when it was killed', async () => {
    const plain = await plainMember(formatEvents(EVENTS))
    const state = await replay(plain.subarray(0, plain.byteLength - 1000))

    expect(state.isCut).to.be.true()
    expect(state.events).to.be.greaterThan(EVENTS.length / 2)
    expect(state.problems).to.deep.equal([])
  })
})
