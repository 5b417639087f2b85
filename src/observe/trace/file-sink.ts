/**
 * @file A trace into a file, compressed, with rotation by size.
 */

import { lstat, open, rename, unlink } from 'node:fs/promises'
import { InvalidParametersError } from '@libp2p/interface'
import { formatEvents } from './format.ts'
import { gzipMember } from './gzip-member.ts'
import { inPieces } from './pieces.ts'
import { stateEvents } from './state-events.ts'
import { TraceReplay } from './trace-replay.ts'
import type { TraceEvent, TraceSink } from './event.ts'

export interface FileSinkInit {
  /**
   * A file that is larger is renamed and a new one begun, bytes. It may be larger
   * by one batch of events.
   *
   * @default 67108864
   */
  maxBytes?: number

  /**
   * How many files are kept, with the one that is written to
   *
   * @default 5
   */
  maxFiles?: number
}

const MAX_BYTES = 64 * 1024 * 1024
const MAX_FILES = 5

/**
 * Writes a trace to a file as gzip. When the file is large it becomes `path.1`, that
 * one `path.2`, and so on; so does what another process has left there. Every
 * file can be read without the others: it begins with what all scopes hold.
 *
 * Where the disk is full or the directory gone, `write` rejects, and so it does
 * where somebody else has begun a file in the same place. Once it can write again
 * it begins with the state at that time.
 *
 * @throws {InvalidParametersError} if an option makes no sense
 */
export function fileSink (path: string, init: FileSinkInit = {}): TraceSink {
  return new FileSink(path, init)
}

/**
 * The file that is written to
 */
interface Target {
  inode: bigint
  /** What is known to be good of it: what is behind it was written in part */
  size: number
  /** Of the state that it begins with */
  head: number
}

class FileSink implements TraceSink {
  private readonly path: string
  private readonly maxBytes: number
  private readonly maxFiles: number
  /** Only what there is: whether it fits together is for those who read it */
  private readonly state = new TraceReplay({ concurrent: true })
  private target?: Target
  /** Whether the file lacks events, so that totals would not fit */
  private isBehind = false
  /** After what was handed over before */
  private last: Promise<void> = Promise.resolve()

  constructor (path: string, { maxBytes = MAX_BYTES, maxFiles = MAX_FILES }: FileSinkInit) {
    if (typeof path !== 'string' || path === '') {
      throw new InvalidParametersError('The path of a trace must be a string')
    }

    if (!(maxBytes > 0)) {
      throw new InvalidParametersError(`maxBytes is ${maxBytes}, allowed is a number of bytes above 0`)
    }

    if (!Number.isSafeInteger(maxFiles) || maxFiles < 1) {
      throw new InvalidParametersError(`maxFiles is ${maxFiles}, allowed is an integer above 0`)
    }

    this.path = path
    this.maxBytes = maxBytes
    this.maxFiles = maxFiles
  }

  async write (events: readonly TraceEvent[]): Promise<void> {
    const last = this.last.catch(() => {})
    this.last = last.then(async () => { await this.writeAll(events) })

    await this.last
  }

  /**
   * The file is open only while it is written to, so a node may start again
   */
  async close (): Promise<void> {
    // whoever wrote heard of it
    await this.last.catch(() => {})
  }

  private async writeAll (events: readonly TraceEvent[]): Promise<void> {
    let failure: { error: unknown } | undefined

    for (const piece of inPieces(events)) {
      try {
        // what failed once is not tried for every piece of a batch
        if (failure === undefined) {
          await this.append(piece)
        }
      } catch (error) {
        failure = { error }
        this.isBehind = true
      }

      piece.forEach(event => { this.state.push(event) })
    }

    if (failure !== undefined) {
      throw failure.error
    }
  }

  private async append (events: TraceEvent[]): Promise<void> {
    // it may be gone, or have been replaced
    if (this.target === undefined || !await this.isInPlace(this.target) || this.isFull(this.target)) {
      this.target = undefined
      await this.rotate()
      this.target = await this.create()
    }

    const { target } = this
    const needsState = (target.size === 0 || this.isBehind) && this.state.events > 0
    const head = needsState ? formatEvents(stateEvents(this.state, events[0].time)) : ''
    const member = await gzipMember(head + formatEvents(events))

    await this.put(target, member)

    if (target.size === 0) {
      target.head = needsState ? member.byteLength : 0
    }

    target.size += member.byteLength
    this.isBehind = false
  }

  /**
   * A file is at least as much events as state, or a small one would be renamed
   * with every batch
   */
  private isFull ({ size, head }: Target): boolean {
    return size >= Math.max(this.maxBytes, 2 * head)
  }

  private async isInPlace (target: Target): Promise<boolean> {
    const stat = await statOf(this.path)

    // two that move each other's files away would soon have none left
    if (stat !== undefined && stat.ino !== target.inode && stat.size > 0) {
      throw new Error(`Somebody else writes to ${this.path}`)
    }

    return stat?.ino === target.inode && stat.size >= target.size
  }

  private async put ({ size }: Target, bytes: Uint8Array): Promise<void> {
    const file = await open(this.path, 'r+')

    try {
      await file.truncate(size)

      for (let written = 0; written < bytes.byteLength;) {
        const { bytesWritten } = await file.write(bytes, written, bytes.byteLength - written, size + written)
        written += bytesWritten
      }
    } finally {
      await file.close()
    }
  }

  private async create (): Promise<Target> {
    const file = await open(this.path, 'wx')

    try {
      const { ino } = await file.stat({ bigint: true })

      return { inode: ino, size: 0, head: 0 }
    } finally {
      await file.close()
    }
  }

  /**
   * Makes way for a new file: renames what is there up to the first number that is
   * free. If that fails halfway it goes on there the next time, and nothing is
   * moved out twice.
   */
  private async rotate (): Promise<void> {
    let free = 0

    while (free < this.maxFiles && await this.isFile(free)) {
      free++
    }

    if (free === this.maxFiles) {
      free--
      await unlink(this.numbered(free))
    }

    for (let i = free; i > 0; i--) {
      await rename(this.numbered(i - 1), this.numbered(i))
    }
  }

  /**
   * Throws if there is something that is not ours to move
   */
  private async isFile (number: number): Promise<boolean> {
    const path = this.numbered(number)
    const stat = await statOf(path)

    if (stat?.isFile === false) {
      throw new Error(`${path} is not a file`)
    }

    return stat !== undefined
  }

  private numbered (number: number): string {
    return number === 0 ? this.path : `${this.path}.${number}`
  }
}

async function statOf (path: string): Promise<{ ino: bigint, size: number, isFile: boolean } | undefined> {
  try {
    const stat = await lstat(path, { bigint: true })

    return { ino: stat.ino, size: Number(stat.size), isFile: stat.isFile() }
  } catch (err: any) {
    if (err.code !== 'ENOENT') {
      throw err
    }
  }
}
