/**
 * @file Many peer IDs, quickly
 */

import { randomBytes } from 'node:crypto'
import { peerIdFromMultihash } from '@libp2p/peer-id'
import type { PeerId } from '@libp2p/interface'

const SHA2_256 = 0x12
const LENGTH = 32

/**
 * Real peer IDs as those of RSA keys, that of a random digest each. Their strings
 * are cached, as those of peers that are connected are.
 */
export function makePeers (count: number): PeerId[] {
  return Array.from({ length: count }, () => {
    const digest = randomBytes(LENGTH)
    const bytes = Uint8Array.from([SHA2_256, LENGTH, ...digest])
    const peer = peerIdFromMultihash({ code: SHA2_256, size: LENGTH, digest, bytes })
    peer.toString()

    return peer
  })
}
