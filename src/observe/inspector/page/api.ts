/**
 * @file Asks the node for limits, and to change them. Only this page knows the
 * secret that it takes.
 */

import type { ChangesAnswer, ErrorAnswer, LimitsAnswer, LimitTree } from './messages.ts'

const secret = document.querySelector<HTMLMetaElement>('meta[name=inspector-secret]')?.content ?? ''

/**
 * What the node says is wrong
 */
export class NodeError extends Error {
  readonly answer: ErrorAnswer

  constructor (answer: ErrorAnswer) {
    super(answer.message)
    this.name = 'NodeError'
    this.answer = answer
  }
}

export function events (): EventSource {
  return new EventSource(`/events?secret=${secret}`)
}

export async function readLimits (): Promise<LimitsAnswer> {
  return ask('/limits', { method: 'GET' })
}

export async function previewLimits (limits: LimitTree): Promise<ChangesAnswer> {
  return ask('/preview', { method: 'POST', body: JSON.stringify(limits) })
}

export async function applyLimits (limits: LimitTree): Promise<ChangesAnswer> {
  return ask('/apply', { method: 'POST', body: JSON.stringify(limits) })
}

async function ask <T> (path: string, init: RequestInit): Promise<T> {
  let response: Response

  try {
    response = await fetch(path, { ...init, headers: { 'content-type': 'application/json', 'x-inspector-secret': secret } })
  } catch {
    throw new NodeError({ message: 'The node does not answer' })
  }

  const answer = await response.json()

  if (!response.ok) {
    throw new NodeError(answer)
  }

  return answer
}
