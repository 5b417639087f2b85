/**
 * @file Where the lines go: on a terminal the live table is drawn in place, into
 * a pipe or a file go finished lines only, without control characters.
 */

import { cut } from './table.ts'

const NARROWEST = 60
const PIPE_WIDTH = 80

export class Terminal {
  private readonly stream: NodeJS.WriteStream
  private drawn = 0

  constructor (stream: NodeJS.WriteStream = process.stdout) {
    this.stream = stream
  }

  get interactive (): boolean {
    return this.stream.isTTY && process.env.TERM !== 'dumb'
  }

  get width (): number {
    return Math.max(NARROWEST, this.columns)
  }

  private get columns (): number {
    const { columns = Number(process.env.COLUMNS) } = this.stream

    return columns > 0 ? columns : PIPE_WIDTH
  }

  print (...lines: string[]): void {
    this.erase()
    this.stream.write(lines.map(line => `${line}\n`).join(''))
  }

  /**
   * Lines in the place of those that were drawn before. What a small window has
   * no room for could not be erased, so it is left out.
   */
  draw (lines: string[]): void {
    const room = lines.slice(0, Math.max(1, this.stream.rows - 1)).map(line => cut(line, this.columns))

    this.erase()
    this.stream.write(room.map(line => `${line}\n`).join(''))
    this.drawn = room.length
  }

  private erase (): void {
    if (this.drawn > 0) {
      this.stream.write(`\x1b[${this.drawn}A\x1b[0J`)
      this.drawn = 0
    }
  }
}
