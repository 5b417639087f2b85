/**
 * @file Protecting and encrypting a connection make a new object of it. The
 * scope is carried along, so that the muxer, which is handed the last one, can
 * be told its connection.
 */

import { accountConnection, joinCiphertext } from './memory/connections.ts'
import { facade, override } from './override.ts'
import type { FairShare } from './memory/fair-share.ts'
import type { ScopeMap } from './scope-map.ts'
import type { ConnectionEncrypter, ConnectionProtector, MessageStream, SecuredConnection, StreamMuxerFactory, Upgrader } from '@libp2p/interface'

export function hookProtector (protector: ConnectionProtector | undefined, scopes: ScopeMap, share: FairShare): () => void {
  if (protector == null) {
    return () => {}
  }

  return override(protector, 'protect', original => async (connection, options) => {
    const result = await original(connection, options)
    carry(connection, result, scopes, share)

    return result
  })
}

/**
 * `decorateMuxerFactory` is for a muxer that was negotiated in the handshake
 */
export function hookEncrypters (upgrader: Upgrader, scopes: ScopeMap, share: FairShare, decorateMuxerFactory: (factory: StreamMuxerFactory) => StreamMuxerFactory): () => void {
  return replaceAll(upgrader.getConnectionEncrypters(), encrypter => {
    const secured = (connection: MessageStream, result: SecuredConnection): SecuredConnection => {
      carry(connection, result.connection, scopes, share)
      joinCiphertext(connection, result.connection)

      if (result.streamMuxer == null) {
        return result
      }

      return { ...result, streamMuxer: decorateMuxerFactory(result.streamMuxer) }
    }

    return facade<ConnectionEncrypter>(encrypter, {
      secureInbound: async (connection: any, options?: any): Promise<any> => secured(connection, await encrypter.secureInbound(connection, options)),
      secureOutbound: async (connection: any, options?: any): Promise<any> => secured(connection, await encrypter.secureOutbound(connection, options))
    })
  })
}

/**
 * Replaces all values of a map, and puts back those that are still ours
 */
export function replaceAll<T> (map: Map<string, T>, replace: (value: T) => T): () => void {
  const replaced = [...map].map(([key, original]) => ({ key, original, replacement: replace(original) }))

  for (const { key, replacement } of replaced) {
    map.set(key, replacement)
  }

  return () => {
    for (const { key, original, replacement } of replaced) {
      if (map.get(key) === replacement) {
        map.set(key, original)
      }
    }
  }
}

function carry (from: MessageStream, to: MessageStream, scopes: ScopeMap, share: FairShare): void {
  const record = scopes.connection(from)

  // plaintext hands on what it was given
  if (record != null && scopes.connection(to) == null) {
    scopes.link(to, record)
    accountConnection(to, record, share)
  }
}
