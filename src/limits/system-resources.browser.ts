/**
 * @file How much memory a page may use, as far as a browser tells. There are no
 * file descriptors.
 */

import type { Resources } from './scaling.ts'
import type { ProcessUsage } from './system-resources.ts'

const GiB = 2 ** 30

/**
 * `navigator.deviceMemory` is the memory of the device in GiB, coarse and at
 * most 8, and known to Chromium only. Elsewhere we assume a small device.
 */
export function systemResources (): Resources {
  const deviceMemory: unknown = (globalThis.navigator as any)?.deviceMemory

  return {
    memory: (typeof deviceMemory === 'number' && deviceMemory > 0 ? deviceMemory : 2) * GiB,
    fileDescriptors: 0
  }
}

/**
 * No page is told
 */
export function residentMemory (): number {
  return 0
}

/**
 * Chromium tells how large its heap is, the others nothing
 */
export function processUsage (): ProcessUsage {
  const heapUsed: unknown = (globalThis.performance as any)?.memory?.usedJSHeapSize

  return typeof heapUsed === 'number' ? { heapUsed } : {}
}

export function mostResidentMemory (): number {
  return Infinity
}
