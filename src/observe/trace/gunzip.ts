/**
 * @file What gzip files hold, of one member or of many, cut or whole.
 */

import { GzipInput } from './gzip-input.ts'

/**
 * What was read is neither gzip nor text
 */
export class UnreadableError extends Error {
  static name = 'UnreadableError'

  constructor (message: string, options: ErrorOptions) {
    super(message, options)
    this.name = 'UnreadableError'
  }
}

/**
 * Yields what the members hold. If the last one was cut, what there is of it.
 *
 * @returns whether it was cut
 * @throws {UnreadableError} if there is more after a place that cannot be read
 */
export async function * gunzip (source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, boolean> {
  const input = new GzipInput(source)

  while (await input.begin()) {
    const inflated = input.member().pipeThrough(new DecompressionStream('gzip')).getReader()

    try {
      for (;;) {
        const { done, value } = await inflated.read()

        if (done) {
          break
        }

        yield value
      }
    } catch (err: any) {
      if (input.failure !== undefined) {
        throw input.failure.error
      }

      if (await input.isCut()) {
        return true
      }

      throw new UnreadableError('the compressed data is damaged', { cause: err })
    } finally {
      inflated.cancel().catch(() => {})
    }
  }

  return false
}
