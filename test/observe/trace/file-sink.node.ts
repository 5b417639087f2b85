import { execFileSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../../src/index.ts'
import { fileSink } from '../../../src/observe/trace/file-sink.ts'
import { formatEvents } from '../../../src/observe/trace/format.ts'
import { replay } from '../../../src/observe/trace/replay.ts'
import { randomTrace } from '../../fixtures/random-trace.ts'
import { traceUntilFull, traceUntilKilled } from '../../fixtures/trace-process.ts'
import type { ScopeStat } from '../../../src/index.ts'
import type { TraceEvent, TraceSink } from '../../../src/observe/trace/event.ts'
import type { FileSinkInit } from '../../../src/observe/trace/file-sink.ts'
import type { ReplayedTrace } from '../../../src/observe/trace/replay.ts'

const { events: EVENTS, held: HELD } = randomTrace(3, 400)

describe('trace/file-sink', () => {
  let folder: string
  let path: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trace-'))
    path = join(folder, 'trace.gz')
  })

  afterEach(async () => {
    await chmod(folder, 0o700)
    await rm(folder, { recursive: true })
  })

  async function read (path: string): Promise<ReplayedTrace> {
    return replay(createReadStream(path))
  }

  async function writeAll (sink: TraceSink, events: TraceEvent[], size: number): Promise<void> {
    for (let i = 0; i < events.length; i += size) {
      await sink.write(events.slice(i, i + size))
    }
  }

  /**
   * But for spans, which the scopes themselves do not list
   */
  function held ({ scopes }: ReplayedTrace): Record<string, ScopeStat> {
    return Object.fromEntries([...scopes.values()]
      .filter(({ name }) => name in HELD())
      .map(({ name, inboundStreams, outboundStreams, inboundConnections, outboundConnections, fileDescriptors, memory }) =>
        [name, { inboundStreams, outboundStreams, inboundConnections, outboundConnections, fileDescriptors, memory }]))
  }

  it('writes all events in order, for gunzip as well', async () => {
    const sink = fileSink(path)
    await writeAll(sink, EVENTS, 100)
    await sink.close?.()

    expect(gunzipSync(await readFile(path)).toString()).to.equal(formatEvents(EVENTS))
    expect(execFileSync('gzip', ['-dc', path]).toString()).to.equal(formatEvents(EVENTS))
    expect(await readdir(folder)).to.deep.equal(['trace.gz'])

    const state = await read(path)
    expect(state).to.include({ isCut: false, events: EVENTS.length, problemCount: 0 })
    expect(held(state)).to.deep.equal(HELD())
  })

  it('keeps the order although nobody waits, and writes all of it before it is closed', async () => {
    const sink = fileSink(path)

    for (let i = 0; i < EVENTS.length; i += 10) {
      void sink.write(EVENTS.slice(i, i + 10))
    }

    await sink.close?.()

    expect(gunzipSync(await readFile(path)).toString()).to.equal(formatEvents(EVENTS))
  })

  it('goes on in the same file when a node starts again', async () => {
    const manager = createResourceManager({ trace: fileSink(path) })
    manager.openConnection('inbound', false).done()
    await manager.afterStop()
    manager.beforeStart()
    manager.openConnection('outbound', false)
    await manager.afterStop()

    const starts: number[] = []
    const state = await replay(createReadStream(path), { onEvent: ({ type }, { events }) => { starts.push(...type === 'start' ? [events] : []) } })

    expect(starts).to.have.lengthOf(2)
    expect(state.problems).to.deep.equal([])
    expect(state.scopes.get('system')).to.include({ inboundConnections: 0, outboundConnections: 1 })
    expect(await readdir(folder)).to.deep.equal(['trace.gz'])
  })

  it('begins a new file when one is large, each can be read without the others', async () => {
    const sink = fileSink(path, { maxBytes: 3_000, maxFiles: 4 })
    await writeAll(sink, EVENTS, 20)
    await sink.close?.()

    expect((await readdir(folder)).sort()).to.deep.equal(['trace.gz', 'trace.gz.1', 'trace.gz.2', 'trace.gz.3'])

    let after = Infinity

    for (const name of ['', '.1', '.2', '.3']) {
      const state = await read(path + name)

      expect(state.problems, name).to.deep.equal([])
      expect(state.time).to.be.below(after)
      expect(state.limits).to.deep.equal({})
      expect(state.scopes.get('system')?.limit).to.have.property('inboundConnections', 6)
      after = state.time

      if (name !== '') {
        // larger by one batch at most
        expect((await stat(path + name)).size).to.be.within(3_000, 8_000)
      }

      // the same as from the beginning
      const whole = await replay(EVENTS, { until: state.time })
      expect(held(state), name).to.deep.equal(held(whole))
    }
  })

  it('does not rename a file with every batch, however small it may be', async () => {
    const sink = fileSink(path, { maxBytes: 1, maxFiles: 1000 })
    await writeAll(sink, EVENTS, 1)
    await sink.close?.()

    const files = await readdir(folder)
    const events = (await Promise.all(files.map(async name => read(join(folder, name))))).map(({ events }) => events)

    expect(files.length).to.be.below(EVENTS.length / 2)
    expect(events.reduce((a, b) => a + b)).to.be.below(EVENTS.length * 40)
  })

  it('with one file forgets what was before', async () => {
    const sink = fileSink(path, { maxBytes: 3_000, maxFiles: 1 })
    await writeAll(sink, EVENTS, 20)
    await sink.close?.()

    expect(await readdir(folder)).to.deep.equal(['trace.gz'])
    expect(held(await read(path))).to.deep.equal(HELD())
  })

  it('keeps what another process has left, also in the midst', async () => {
    const before = fileSink(path)
    await writeAll(before, EVENTS, 100)
    await truncate(path, (await stat(path)).size - 100)

    const sink = fileSink(path)
    await sink.write(EVENTS)
    await sink.close?.()

    expect(await read(path)).to.include({ isCut: false, events: EVENTS.length })
    expect((await read(`${path}.1`)).isCut).to.be.true()
    expect((await read(`${path}.1`)).problems).to.deep.equal([])
  })

  it('can be read when the process was killed, with all that was written', async () => {
    const written = await traceUntilKilled(path, 40)
    const state = await read(path)

    expect(written).to.be.at.least(2_000)
    expect(state.events).to.be.at.least(written)
    expect(state.problems).to.deep.equal([])
  })

  it('splits a large batch', async () => {
    const many = randomTrace(5, 5_000).events
    expect(many.length).to.be.greaterThan(10_000)

    const sink = fileSink(path, { maxBytes: 1_000 })
    await sink.write(many)
    await sink.close?.()

    expect((await readdir(folder)).length).to.be.greaterThan(1)
    expect((await read(path)).problems).to.deep.equal([])
  })

  describe('on a disk that fails', () => {
    const BEGINNING = EVENTS.slice(0, 200)
    const LOST = EVENTS.slice(200, 300)
    const REST = EVENTS.slice(300)

    it('rejects while the folder is gone, and begins a new file with the state when it is back', async () => {
      const sink = fileSink(path)
      await sink.write(BEGINNING)
      await rm(folder, { recursive: true })
      await expect(Promise.resolve(sink.write(LOST.slice(0, 50)))).to.eventually.be.rejected().with.property('code', 'ENOENT')
      await expect(Promise.resolve(sink.write(LOST.slice(50)))).to.eventually.be.rejected().with.property('code', 'ENOENT')

      await mkdir(folder)
      await sink.write(REST)
      await sink.close?.()

      const state = await read(path)
      expect(state.problems).to.deep.equal([])
      expect(held(state)).to.deep.equal(HELD())
    })

    it('rejects while a folder is in the place of the file, and leaves it there', async () => {
      await mkdir(path)
      await writeFile(join(path, 'precious'), '')

      const sink = fileSink(path)
      await expect(Promise.resolve(sink.write(BEGINNING))).to.eventually.be.rejectedWith('is not a file')
      await expect(Promise.resolve(sink.write(LOST))).to.eventually.be.rejectedWith('is not a file')
      expect(await readdir(path)).to.deep.equal(['precious'])

      await rename(path, join(folder, 'elsewhere'))
      await sink.write(REST)
      await sink.close?.()

      expect((await read(path)).problems).to.deep.equal([])
      expect(held(await read(path))).to.deep.equal(HELD())
    })

    it('moves no folder that has the name of an older file', async () => {
      await mkdir(`${path}.1`)
      await writeFile(path, 'of somebody')

      await expect(Promise.resolve(fileSink(path).write(EVENTS))).to.eventually.be.rejectedWith('is not a file')
      expect(await readFile(path, 'utf8')).to.equal('of somebody')
    })

    it('goes on in the same file after what could not be written, and cuts off what was written of it', async () => {
      const sink = fileSink(path)
      await sink.write(BEGINNING)

      // what a full disk leaves
      const moved = join(folder, 'moved')
      await rename(path, moved)
      await symlink(folder, path)
      await expect(Promise.resolve(sink.write(LOST))).to.eventually.be.rejected()
      await rm(path)
      await appendFile(moved, Buffer.from([0x1f, 0x8b, 8, 4, 0, 0]))
      await rename(moved, path)

      await sink.write(REST)
      await sink.close?.()

      const state = await read(path)
      expect(state.problems).to.deep.equal([])
      expect(state.isCut).to.be.false()
      expect(held(state)).to.deep.equal(HELD())
    })

    it('begins a new file if somebody has moved or emptied the one it writes to', async () => {
      const sink = fileSink(path)
      await sink.write(BEGINNING)
      await rename(path, join(folder, 'moved'))
      await sink.write(LOST)

      expect(await read(join(folder, 'moved'))).to.include({ events: BEGINNING.length, isCut: false })

      await truncate(path, 0)
      await sink.write(REST)
      await sink.close?.()

      expect((await read(path)).problems).to.deep.equal([])
      expect(held(await read(path))).to.deep.equal(HELD())
    })

    it('rejects when somebody else has begun one in its place, and leaves that alone', async () => {
      const sink = fileSink(path)
      const other = fileSink(path)
      await sink.write(BEGINNING)
      await other.write(BEGINNING)

      await expect(sink.write(LOST)).to.eventually.be.rejectedWith('Somebody else writes to')
      await other.write(LOST)
      expect(await read(path)).to.include({ events: BEGINNING.length + LOST.length })
      expect(await read(`${path}.1`)).to.include({ events: BEGINNING.length })

      await rename(path, join(folder, 'moved'))
      await sink.write(REST)

      expect((await read(path)).problems).to.deep.equal([])
      expect(held(await read(path))).to.deep.equal(HELD())
    })

    it('rejects when there is no room, what was written before can be read', async function () {
      if (process.platform === 'win32') {
        return this.skip()
      }

      const said = await traceUntilFull(path, 64)
      const written = said.indexOf('EFBIG')
      expect(written).to.be.greaterThan(0)
      expect(said.slice(written)).to.deep.equal(['EFBIG', 'EFBIG', 'EFBIG'])

      // with a part of what there was no room for
      const state = await read(path)
      expect((await stat(path)).size % 512).to.equal(0)
      expect(state.isCut).to.be.true()
      expect(state.events).to.be.at.least(Number(said[written - 1]))
      expect(state.problems).to.deep.equal([])
    })
  })

  it('refuses options that make no sense', () => {
    const make = (init: FileSinkInit): () => TraceSink => () => fileSink('trace.gz', init)

    for (const maxBytes of [0, -1, NaN, 'a' as any]) {
      expect(make({ maxBytes })).to.throw().with.property('name', 'InvalidParametersError')
    }

    for (const maxFiles of [0, 1.5, Infinity, NaN]) {
      expect(make({ maxFiles })).to.throw().with.property('name', 'InvalidParametersError')
    }

    expect(() => fileSink('')).to.throw().with.property('name', 'InvalidParametersError')
  })
})
