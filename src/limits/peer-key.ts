/**
 * @file The one way to write the ID of a peer that limits are looked up by.
 */

import { bases, CID, digest } from 'multiformats/basics'

const LIBP2P_KEY = 0x72

const BASES = new Map(Object.values(bases).map(base => [base.prefix as string, base]))

/**
 * The form of a peer ID that `PeerId.toString()` gives: a multihash in base58.
 *
 * Like go-libp2p it takes all multibases and all multihashes. `peerIdFromString`
 * of `@libp2p/peer-id` knows CIDs by a few beginnings of a few bases only.
 *
 * @param key - `12D3…`, `Qm…`, or a CID such as `k51…` or `bafz…`
 * @returns nothing if it is not the ID of a peer
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/core/peer/peer.go#L125
 */
export function normalisePeerId (key: string): string | undefined {
  try {
    const multihash = key.startsWith('Qm') || key.startsWith('1')
      ? digest.decode(bases.base58btc.decode(`z${key}`))
      : multihashOfCID(key)

    return multihash === undefined ? undefined : bases.base58btc.encode(multihash.bytes).substring(1)
  } catch {
    // the decoders throw for what they cannot decode
  }
}

function multihashOfCID (text: string): CID['multihash'] | undefined {
  // the prefix of a base is one character, which may be two code units
  const base = BASES.get(String.fromCodePoint(text.codePointAt(0) ?? 0))
  const cid = base === undefined ? undefined : CID.decode(base.decode(text))

  return cid?.code === LIBP2P_KEY ? cid.multihash : undefined
}
