/**
 * @file What an open connection and an open stream cost before they buffer
 * anything, so that idle ones weigh something.
 */

import { InvalidLimitError } from '../core/errors.ts'

export interface BaseMemory {
  /** Of a connection, in bytes */
  connection: number
  /** Of a stream, in bytes */
  stream: number
}

/**
 * Growth of the resident memory of Node.js 24 with TCP, noise and yamux, as
 * `npm run benchmark:memory` prints it, rounded
 *
 * @default { connection: 112 KiB, stream: 20 KiB }
 */
export const BASE_MEMORY: BaseMemory = {
  connection: 112 * 1024,
  stream: 20 * 1024
}

/**
 * Fills what is left out
 *
 * @throws {InvalidLimitError} if a cost is no number of bytes
 */
export function resolveBaseMemory (given: Partial<BaseMemory> = {}): BaseMemory {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw new InvalidLimitError('baseMemory', given, 'an object with the bytes of a connection and of a stream')
  }

  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(BASE_MEMORY, name)) {
      throw new InvalidLimitError(`baseMemory.${name}`, value, `one of the fields ${Object.keys(BASE_MEMORY).join(', ')}`)
    }

    if (value !== undefined && (!Number.isSafeInteger(value) || value < 0)) {
      throw new InvalidLimitError(`baseMemory.${name}`, value, 'a number of bytes, an integer that is not negative')
    }
  }

  return {
    connection: given.connection ?? BASE_MEMORY.connection,
    stream: given.stream ?? BASE_MEMORY.stream
  }
}
