/**
 * @file Factories of components, and a warning for the ones that nobody calls:
 * libp2p's own `createLibp2p` ignores a `resourceManager` option without a word,
 * and the node would be unprotected.
 */

import { warn } from './warn.ts'

const PATIENCE = 5_000

/**
 * Warns unless the factory is called within five seconds of its making
 */
export function warnUnlessCalled<Args extends any[], T> (factory: (...args: Args) => T): (...args: Args) => T {
  const timer = setTimeout(() => {
    warn('A resource manager was made but no node has used it. libp2p\'s own createLibp2p ignores the resourceManager option: ' +
      'import createLibp2p from \'libp2p-resource-manager\' instead, or pass it as services: { resourceManager: resourceManager() }')
  }, PATIENCE)

  // must not keep the process alive, browsers have no such thing
  ;(timer as { unref?(): void }).unref?.()

  return (...args) => {
    clearTimeout(timer)

    return factory(...args)
  }
}
