/**
 * @file What go-libp2p calls the scopes and values of its JSON form.
 */

import type { NamedKey, ScopeKey } from './limits.ts'

/**
 * go's names of the scopes, in the order in which go writes them
 */
export const GO_KEYS: Readonly<Record<ScopeKey | NamedKey, string>> = {
  system: 'System',
  transient: 'Transient',
  allowlistedSystem: 'AllowlistedSystem',
  allowlistedTransient: 'AllowlistedTransient',
  serviceDefault: 'ServiceDefault',
  services: 'Service',
  servicePeerDefault: 'ServicePeerDefault',
  servicePeers: 'ServicePeer',
  protocolDefault: 'ProtocolDefault',
  protocols: 'Protocol',
  protocolPeerDefault: 'ProtocolPeerDefault',
  protocolPeers: 'ProtocolPeer',
  peerDefault: 'PeerDefault',
  peers: 'Peer',
  connection: 'Conn',
  stream: 'Stream'
}

export const UNLIMITED = 'unlimited'
export const BLOCK_ALL = 'blockAll'
export const DEFAULT = 'default'

/** What stands for the words inside of a go process, which it takes from files as well */
export const UNLIMITED_MARK = -1n
export const BLOCK_ALL_MARK = -2n

/**
 * The scope or field that a name in a document means, in any case
 */
export function finder<K extends string> (names: Readonly<Record<K, string>>): (name: string) => K | undefined {
  // with u, i folds case as go does: the Kelvin sign is a k, for one
  const patterns = (Object.keys(names) as K[]).map(key => ({ key, pattern: new RegExp(`^${names[key]}$`, 'iu') }))

  return name => patterns.find(({ pattern }) => pattern.test(name))?.key
}
