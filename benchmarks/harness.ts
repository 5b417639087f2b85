/**
 * @file Measures sides in turn and reports medians. A benchmark checks its own
 * results with `check`; how long something took never makes it fail.
 */

/* eslint-disable no-console */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface Side {
  name: string
  /** Does what is measured this many times */
  run(times: number): void
}

export interface Options {
  /** How many times a side is run in a round, chosen so that a round takes about 20 ms if left out */
  times?: number
  /** How many rounds there are after the warm-up */
  rounds: number
}

export type Medians = Record<string, number>

const ROUND_MS = 20
const WARM_UP_MS = 250

/**
 * Runs all sides once in every round, each time in another order, so that what
 * else the machine does meets them alike.
 *
 * @returns the median of nanoseconds per operation, by name of the side
 */
export function measure (sides: Side[], { times, rounds }: Options): Medians {
  const counts = sides.map(side => times ?? warmUp(side))
  const results = sides.map((): number[] => [])

  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < sides.length; i++) {
      const n = (i + round) % sides.length
      const start = performance.now()
      sides[n].run(counts[n])
      results[n].push((performance.now() - start) * 1e6 / counts[n])
    }
  }

  return Object.fromEntries(sides.map((side, i) => [side.name, median(results[i])]))
}

/**
 * Runs a side until it is compiled and its speed is known. The fastest run counts:
 * a slow one may be the compiler's, or another process's.
 */
function warmUp (side: Side): number {
  const end = performance.now() + WARM_UP_MS
  let times = 1_000
  let fastest = Infinity

  while (performance.now() < end) {
    const start = performance.now()
    side.run(times)
    fastest = Math.min(fastest, (performance.now() - start) / times)
    times = Math.max(1, Math.min(times * 2, Math.round(ROUND_MS / fastest)))
  }

  return times
}

function median (values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1

  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

/**
 * How many bytes of heap all objects that are reachable take
 */
export function heapUsed (): number {
  // what finalizers and weak maps held is found free only the second time
  gc()
  gc()

  return process.memoryUsage().heapUsed
}

let checks = 0
const failures: string[] = []

/**
 * Compares a result of what was measured with what it must be
 */
export function check (what: string, actual: unknown, expected: unknown): void {
  checks++

  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    failures.push(`${what}: ${JSON.stringify(actual)}, expected is ${JSON.stringify(expected)}`)
  }
}

/**
 * Prints how the checks went, any that failed makes the process exit with 1
 */
export function reportChecks (): void {
  for (const failure of failures) {
    console.error(`CHECK FAILED ${failure}`)
  }

  console.info(`${checks - failures.length} of ${checks} checks of results passed`)

  if (failures.length > 0) {
    process.exitCode = 1
  }
}

/**
 * Prints rows with their columns aligned, the first to the left
 */
export function printTable (header: string[], rows: string[][]): void {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map(row => row[column].length)))
  const rule = widths.map(width => '-'.repeat(width))

  for (const [first, ...rest] of [header, rule, ...rows]) {
    const cells = rest.map((cell, i) => cell.padStart(widths[i + 1]))
    console.info([first.padEnd(widths[0]), ...cells].join('  ').trimEnd())
  }

  console.info()
}
