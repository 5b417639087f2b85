/**
 * @file A step in a pipeline of an application that holds a reservation for what
 * is on its way through it.
 */

import type { ResourceScope } from './core/types.ts'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface MeterOptions<T> {
  /**
   * At which priority memory is reserved, see `ReservationPriority`
   *
   * @default 255
   */
  priority?: number

  /**
   * How many bytes a chunk holds
   *
   * @default its `byteLength`
   */
  byteLength?(chunk: T): number
}

/**
 * A transform for `it-pipe`: reserves each chunk in the scope when it comes, and
 * gives it back when the next step asks for the one after it, or is done. Steps
 * after it that collect chunks are not seen.
 *
 * A scope that has ended counts nothing any more, for a stream may close before
 * all that came over it is read: chunks then pass as they are.
 *
 * @throws {ResourceLimitExceededError} from the pipeline, if a chunk does not fit
 */
export function meter<T extends { byteLength: number } = Uint8Array | Uint8ArrayList> (scope: ResourceScope, options?: MeterOptions<T>): (source: AsyncIterable<T> | Iterable<T>) => AsyncGenerator<T>
export function meter<T> (scope: ResourceScope, options: MeterOptions<T> & Required<Pick<MeterOptions<T>, 'byteLength'>>): (source: AsyncIterable<T> | Iterable<T>) => AsyncGenerator<T>
export function meter (scope: ResourceScope, { priority, byteLength = ownLength }: MeterOptions<any> = {}): (source: AsyncIterable<any> | Iterable<any>) => AsyncGenerator<any> {
  return async function * (source) {
    const span = whileOpen(() => scope.beginSpan())

    try {
      for await (const chunk of source) {
        const size = byteLength(chunk)
        const isReserved = whileOpen(() => {
          span?.reserveMemory(size, priority)

          return span !== undefined
        })

        yield chunk

        if (isReserved === true) {
          span?.releaseMemory(size)
        }
      }
    } finally {
      span?.done()
    }
  }
}

function whileOpen<T> (fn: () => T): T | undefined {
  try {
    return fn()
  } catch (err: any) {
    if (err.name !== 'ScopeClosedError') {
      throw err
    }
  }
}

function ownLength (chunk: any): number {
  return chunk.byteLength
}
