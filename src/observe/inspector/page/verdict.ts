/**
 * @file The state of the node in one sentence.
 */

import { amount, count, FIELD_NAMES, limitText, percent, shortPeer } from './format.ts'
import type { State } from './store.ts'

export interface Verdict {
  level: 'wait' | 'ok' | 'near' | 'refusing'
  headline: string
  detail: string
  /** What to change, if anything */
  option?: string
}

export function verdictOf ({ snapshot, refusals, recent, samples }: State): Verdict {
  if (snapshot === undefined) {
    return { level: 'wait', headline: 'Waiting for the node', detail: '' }
  }

  const worst = refusals
    .filter(({ key }) => recent.has(key))
    .reduce((worst, refusal) => worst === undefined || (recent.get(refusal.key) ?? 0) > (recent.get(worst.key) ?? 0) ? refusal : worst, refusals.find(({ key }) => recent.has(key)))

  if (worst !== undefined) {
    const perSecond = samples.at(-1)?.refusals ?? 0
    const { resource, limit, scope, enforced, kind, option } = worst
    const what = kind === 'rate'
      ? `${shortenPeers(scope)}, ${FIELD_NAMES[resource]}`
      : `${FIELD_NAMES[resource] ?? resource} of ${shortenPeers(scope)}, limit ${limitText(resource, limit)}`

    return {
      level: 'refusing',
      headline: perSecond > 0
        ? `${enforced ? 'Refusing' : 'Would refuse'} ${count(perSecond)} a second`
        : `${enforced ? 'Refused' : 'Would have refused'} ${count([...recent.values()].reduce((sum, count) => sum + count, 0))} in the last seconds`,
      detail: `mostly ${what}`,
      option
    }
  }

  const [near] = snapshot.near.rows

  if (near !== undefined) {
    return {
      level: 'near',
      headline: `${count(snapshot.near.total)} ${snapshot.near.total === 1 ? 'limit is' : 'limits are'} nearly used up`,
      detail: `the fullest is ${FIELD_NAMES[near.resource]} of ${shortenPeers(near.scope)}, ${amount(near.resource, near.current)} of ${limitText(near.resource, near.limit)}`,
      option: near.option
    }
  }

  const fullest = Math.max(0, ...[...snapshot.roots, ...snapshot.services.rows, ...snapshot.protocols.rows, ...snapshot.peers.rows].map(({ fullness }) => fullness))

  return { level: 'ok', headline: 'All limits have room', detail: `the fullest is used to ${percent(fullest)}` }
}

export function shortenPeers (text: string): string {
  return text.replace(/\b(12D3Koo|Qm)[1-9A-HJ-NP-Za-km-z]{38,}/g, shortPeer)
}
