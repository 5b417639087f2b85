/**
 * @file Once the handshake has shown who the remote is, its connection moves to
 * the scope of that peer. The connection gater is asked at this moment; an error
 * thrown inside an encrypter would come out as EncryptionFailedError instead.
 */

import { ConnectionClosedError } from '@libp2p/interface'
import { facade } from './override.ts'
import type { ScopeMap } from './scope-map.ts'
import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'

/**
 * The gater belongs to the user and may be shared between nodes, so it is
 * replaced, not changed.
 */
export function hookConnectionGater (components: { connectionGater: ConnectionGater }, scopes: ScopeMap): () => void {
  const original = components.connectionGater

  const setPeer = (method: 'denyInboundEncryptedConnection' | 'denyOutboundEncryptedConnection') => {
    return async (peer: PeerId, maConn: MultiaddrConnection): Promise<boolean> => {
      // whom the user turns away takes no place
      if (await original[method]?.(peer, maConn) === true) {
        return true
      }

      const record = scopes.connection(maConn)

      if (record == null) {
        return false
      }

      // js-libp2p would go on and make a muxer, whose timers outlive the connection
      if (record.ended) {
        throw new ConnectionClosedError('The connection closed while it was upgraded')
      }

      record.scope.setPeer(peer)
      record.peer = peer

      return false
    }
  }

  const replacement = facade(original, {
    denyInboundEncryptedConnection: setPeer('denyInboundEncryptedConnection'),
    denyOutboundEncryptedConnection: setPeer('denyOutboundEncryptedConnection')
  })
  components.connectionGater = replacement

  return () => {
    if (components.connectionGater === replacement) {
      components.connectionGater = original
    }
  }
}
