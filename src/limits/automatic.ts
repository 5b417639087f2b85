/**
 * @file The limits of a node whose user has not given any: the default table,
 * scaled to a part of what this process may use.
 */

import { scaleLimits } from './defaults.ts'
import { systemResources } from './system-resources.ts'
import type { ConcreteLimits } from './limits.ts'
import type { Resources } from './scaling.ts'

/**
 * @param resources - what the node may use, instead of an eighth of the memory
 * and half of the file descriptors of this process
 */
export function automaticLimits (resources: Partial<Resources> = {}): ConcreteLimits {
  const system = systemResources()

  return scaleLimits({
    memory: resources.memory ?? Math.floor(Number(system.memory) / 8),
    fileDescriptors: resources.fileDescriptors ?? Math.floor(Number(system.fileDescriptors) / 2)
  })
}
