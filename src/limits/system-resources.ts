/**
 * @file How much memory and how many file descriptors this process may really
 * use. Node.js only, browsers have `system-resources.browser.ts`.
 */

import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { Resources } from './scaling.ts'

/**
 * What the process holds, as far as the platform tells, in bytes
 */
export interface ProcessUsage {
  /** All of it that is in memory */
  resident?: number
  /** Objects of JavaScript */
  heapUsed?: number
  /** What belongs to objects of JavaScript outside of the heap, array buffers included */
  external?: number
  arrayBuffers?: number
}

/**
 * What the process may use: the least of the memory of the machine, that of its
 * control group and the heap limit of V8; and the soft limit of open files, 0
 * where there is none or it cannot be read.
 */
export function systemResources (): Resources {
  return {
    memory: Math.min(totalmem(), constrainedMemory(), getHeapStatistics().heap_size_limit),
    fileDescriptors: openFilesLimit()
  }
}

/**
 * Node.js reads control groups of both versions. Without one it answers 0, or a
 * number larger than any machine.
 */
function constrainedMemory (): number {
  const memory = process.constrainedMemory?.() ?? 0

  return memory > 0 ? memory : Infinity
}

/**
 * How much memory the process holds, in bytes. Linux tells it in a file: a process
 * that has no descriptor left is not told.
 */
export function residentMemory (): number | undefined {
  try {
    return process.memoryUsage.rss()
  } catch {
    return undefined
  }
}

export function processUsage (): ProcessUsage {
  try {
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()

    return { resident: rss, heapUsed, external, arrayBuffers }
  } catch {
    const { used_heap_size: heapUsed, external_memory: external } = getHeapStatistics()

    return { heapUsed, external }
  }
}

/**
 * How much memory it may hold before the system ends it, in bytes
 */
export function mostResidentMemory (): number {
  return Math.min(totalmem(), constrainedMemory())
}

function openFilesLimit (): number {
  try {
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []

    return soft === 'unlimited' ? 0 : Number(soft ?? 0)
  } catch {
    // only Linux has this file
    const report: any = process.report?.getReport()
    const soft = report?.userLimits?.open_files?.soft

    return typeof soft === 'number' ? soft : 0
  }
}
