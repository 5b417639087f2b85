/**
 * @file What a run does: the three nodes, the attacks in their order, how large
 * they are and how long they last, in full and in quick.
 */

/**
 * - `stock`: libp2p as it comes
 * - `wide`: its connection manager and stream limits opened wide
 * - `protected`: as wide, with the resource manager
 */
export type Mode = 'stock' | 'wide' | 'protected'

export const MODES: readonly Mode[] = ['stock', 'wide', 'protected']

export const MODE_NAMES: Record<Mode, string> = {
  stock: 'stock libp2p',
  wide: 'libp2p opened wide',
  protected: 'opened wide, with the resource manager'
}

export type Attack = 'handshakes' | 'identities' | 'unnegotiated' | 'streams' | 'unread'

export const ATTACKS: readonly Attack[] = ['handshakes', 'identities', 'unnegotiated', 'streams', 'unread']

export const ATTACK_NAMES: Record<Attack, string> = {
  handshakes: 'handshakes never finished',
  identities: 'many identities',
  unnegotiated: 'streams never negotiated',
  streams: 'too many streams',
  unread: 'data that nobody reads'
}

/**
 * The application protocol under attack: its handler takes streams and never
 * reads them
 */
export const SINK = '/sink/1.0.0'
export const ECHO = '/echo/1.0.0'
export const PING = '/ipfs/ping/1.0.0'

export const MiB = 2 ** 20

export interface AttackSizes {
  /** TCP connections that never finish the handshake */
  sockets: number
  /** Peers that connect */
  identities: number
  /** Peers that open streams and send data, a few of the identities */
  peers: number
  /** Streams that all peers together hold open un-negotiated at most */
  unnegotiated: number
  /** Streams that all peers together hold open negotiated at most */
  streams: number
  /** Streams that each peer sends data in that nobody reads */
  unreadStreams: number
  /** Bytes sent in each of those, below what makes js-libp2p abort the stream */
  unreadBytes: number
  /** However fast they are refused, all peers together try no more streams than this in one attack */
  attempts: number
}

export interface Plan {
  /** For everything, in milliseconds. On a machine too slow for the attacks as planned they are cut short. */
  budget: number
  /** Of honest requests before the first attack, in milliseconds */
  calm: number
  /** How long each attack lasts, in milliseconds */
  attacks: Record<Attack, number>
  /** Between attacks, in milliseconds */
  pause: number
  /** How often the steady client sends a request, in milliseconds */
  requestInterval: number
  /** A request counts as lost when it is not answered in this time, in milliseconds */
  requestTimeout: number
  /** How often the other client reconnects, in milliseconds */
  reconnectInterval: number
  sizes: AttackSizes
}

export const FULL: Plan = {
  budget: 110_000,
  calm: 1500,
  attacks: { handshakes: 5000, identities: 5000, unnegotiated: 5000, streams: 5000, unread: 8000 },
  pause: 500,
  requestInterval: 50,
  requestTimeout: 5000,
  reconnectInterval: 1000,
  sizes: {
    sockets: 400,
    identities: 300,
    peers: 4,
    unnegotiated: 20_000,
    streams: 4000,
    unreadStreams: 64,
    unreadBytes: 4 * MiB - 64 * 1024,
    attempts: 200_000
  }
}

export const QUICK: Plan = {
  budget: 27_000,
  calm: 500,
  attacks: { handshakes: 600, identities: 800, unnegotiated: 800, streams: 800, unread: 2800 },
  pause: 100,
  requestInterval: 50,
  requestTimeout: 5000,
  reconnectInterval: 700,
  sizes: {
    sockets: 300,
    identities: 200,
    peers: 2,
    unnegotiated: 4000,
    streams: 1000,
    unreadStreams: 96,
    unreadBytes: 4 * MiB - 64 * 1024,
    attempts: 50_000
  }
}
