/**
 * @file What the name of a scope says: its class and the parts of it, in the words
 * of go-libp2p's trace, and which scope it belongs to.
 */

/**
 * go's classes of scopes; what refuses before there is a scope; and `other` for
 * names that are none of these
 */
export type TraceClass = 'system' | 'transient' | 'allowlistedSystem' | 'allowlistedTransient' |
  'conn' | 'stream' | 'peer' | 'service' | 'service-peer' | 'protocol' | 'protocol-peer' |
  'subnet' | 'rate' | 'process' | 'other'

export interface ScopeName {
  class: TraceClass
  /** What go writes beside the class, such as `Peer` */
  labels: Array<[label: string, value: string]>
}

const SINGLE = /^(system|transient|allowlistedSystem|allowlistedTransient)(?:\.(span-.*))?$/s
const LEAF = /^(conn|stream)-(\d.*)$/s
const GATE = /^(subnet|rate|process)(?:[^a-zA-Z](.*))?$/s
const NAMED = /^(peer|service|protocol):(.*)$/s

/**
 * Services and protocols may have `.peer:` in their names, but what follows is not
 * as long as the ID of a peer
 */
const OF_PEER = /^(.*)\.peer:([a-zA-Z0-9]{40,}(?:\.span-\d+)*)$/s

const SPAN = /^(.*)\.span-\d+$/s

export function scopeName (name: string): ScopeName {
  let match = SINGLE.exec(name)

  if (match !== null) {
    return named(match[1], match[2] === undefined ? [] : [['Span', match[2]]])
  }

  match = LEAF.exec(name)

  if (match !== null) {
    return named(match[1], [[capital(match[1]), match[2]]])
  }

  match = NAMED.exec(name)

  if (match !== null) {
    const [, kind, rest] = match
    const ofPeer = kind === 'peer' ? null : OF_PEER.exec(rest)

    return ofPeer === null
      ? named(kind, [[capital(kind), rest]])
      : named(`${kind}-peer`, [[capital(kind), ofPeer[1]], ['Peer', ofPeer[2]]])
  }

  match = GATE.exec(name)

  if (match !== null) {
    return named(match[1], match[2] === undefined ? [] : [[capital(match[1]), match[2]]])
  }

  return named('other', [])
}

/**
 * The scope that a span was begun in, undefined if it is none
 */
export function ownerOfSpan (name: string): string | undefined {
  return SPAN.exec(name)?.[1]
}

/**
 * The scope of the service or protocol that the scope of one peer within it
 * belongs to, undefined if it is none
 */
export function ownerOfPeer (name: string): string | undefined {
  return name.startsWith('peer:') ? undefined : OF_PEER.exec(name)?.[1]
}

function named (name: string, labels: ScopeName['labels']): ScopeName {
  return { class: name as TraceClass, labels }
}

function capital (word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
