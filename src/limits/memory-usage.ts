/**
 * @file What the process really holds, beside what is accounted for.
 */

import { processUsage } from './system-resources.ts'
import type { ProcessUsage } from './system-resources.ts'
import type { ScopeRegistry } from '../core/scope-registry.ts'
import type { ConcreteLimit } from '../core/types.ts'

/**
 * All in bytes
 */
export interface MemoryUsage extends ProcessUsage {
  /** Accounted for in the system scope */
  accounted: number
  /** Accounted for in `allowlistedSystem`, which is not in `accounted` */
  allowlisted: number
  /** `limits.system.memory` */
  limit: ConcreteLimit['memory']
  /** Above that nothing new is let in, Infinity if that is off */
  maxProcessMemory: number
}

export function memoryUsage ({ standard, allowlisted }: ScopeRegistry, maxProcessMemory: number): MemoryUsage {
  return {
    accounted: standard.system.account.memory,
    allowlisted: allowlisted.system.account.memory,
    limit: standard.system.limit.memory,
    maxProcessMemory,
    ...processUsage()
  }
}
