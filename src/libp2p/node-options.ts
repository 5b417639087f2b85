/**
 * @file What the options of a node say and no component of it tells.
 */

import type { Registrar } from '@libp2p/interface-internal'

/**
 * As in the options of libp2p's connection manager
 */
export interface SetupOptions {
  maxParallelDials?: number
  maxIncomingPendingConnections?: number
}

/** By what all components of a node have in common */
const known = new WeakMap<Registrar, SetupOptions>()

export function shareOptions (registrar: Registrar, options: SetupOptions): void {
  known.set(registrar, options)
}

/**
 * Nothing of a node that was not made by our `createLibp2p`
 */
export function sharedOptions (registrar?: Registrar): SetupOptions {
  return (registrar == null ? undefined : known.get(registrar)) ?? {}
}
