/**
 * @file When its protocol is negotiated, a stream moves from the transient scope
 * to that of the protocol, and to that of the service the protocol belongs to.
 */

import { override } from './override.ts'
import type { ScopeMap } from './scope-map.ts'
import type { StreamMiddleware } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

/**
 * Our middleware runs before all others. What it throws aborts the stream and is
 * what `dialProtocol` rejects with.
 */
export function hookRegistrar (registrar: Registrar, scopes: ScopeMap, serviceOf: (protocol: string) => string | undefined): () => void {
  const attach: StreamMiddleware = (stream, connection, next) => {
    const record = scopes.stream(stream)

    // streams may end while they are negotiated, js-libp2p deals with that
    if (record?.ended === false && record.scope.protocolScope == null) {
      record.scope.setProtocol(stream.protocol)

      const service = serviceOf(stream.protocol)

      if (service != null) {
        record.scope.setService(service)
      }
    }

    next(stream, connection)
  }

  // a new array every time: js-libp2p pushes the handler onto what it gets
  return override(registrar, 'getMiddleware', original => protocol => [attach, ...original(protocol)])
}
