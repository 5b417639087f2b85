/**
 * @file Plain tables that fit a given width, and numbers for them.
 */

import { MiB } from './plan.ts'

const GAP = 1

/**
 * The first column is to the left and gives way, the others are to the right
 * and as wide as what is in them.
 *
 * @param rows - the first one is the heading
 */
export function table (rows: string[][], width: number): string[] {
  const columns = rows[0].length
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map(row => row[column].length)))
  const others = widths.slice(1).reduce((sum, w) => sum + w + GAP, 0)
  widths[0] = Math.max(1, Math.min(widths[0], width - others))

  const lines = rows.map(row => row
    .map((cell, column) => column === 0 ? cut(cell, widths[0]).padEnd(widths[0]) : cell.padStart(widths[column] + GAP))
    .join('')
    .trimEnd())

  lines.splice(1, 0, '-'.repeat(Math.min(width, widths[0] + others)))

  return lines.map(line => cut(line, width))
}

export function cut (text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

/**
 * Breaks a text between words
 */
export function wrap (text: string, width: number, indent = ''): string[] {
  const lines: string[] = []
  let line = ''

  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent
    }

    line += line === '' || line === indent ? word : ` ${word}`
  }

  return [...lines, line]
}

export function mebibytes (bytes: number): string {
  const value = bytes / MiB

  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} MiB`
}

export function count (value: number): string {
  return value.toLocaleString('en')
}

/**
 * Never rounded up to 100%
 */
export function percent (part: number, whole: number): string {
  if (whole === 0) {
    return '-'
  }

  const tenths = Math.floor(1000 * part / whole)

  return `${tenths % 10 === 0 ? tenths / 10 : (tenths / 10).toFixed(1)}%`
}

export function duration (milliseconds: number | undefined): string {
  if (milliseconds == null) {
    return '-'
  }

  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`
}

/**
 * The value that this part of the values does not exceed
 */
export function percentile (values: number[], part: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)

  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]
}
