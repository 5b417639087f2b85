/**
 * @file Finds what leaks: connections that never show their peer, and streams
 * that are never negotiated. They fill the transient scope until it refuses all
 * others.
 */

import { inBytes } from '../core/describe.ts'
import { printable } from '../core/printable.ts'
import { openConnection, openStream } from './open-scopes.ts'
import type { OpenConnection, OpenStream } from './open-scopes.ts'
import type { ScopeRegistry } from '../core/scope-registry.ts'
import type { Logger } from '@libp2p/interface'

/**
 * How often to look, in seconds: with 100,000 streams it takes some milliseconds
 */
const INTERVAL = 5

/**
 * How much of what is found at a time is told in the log, where one leak may have
 * thousands
 */
const MOST_LINES = 10

export interface StaleScopesInit {
  /** How long something may be transient, in seconds */
  maxAge: number
  log?: Logger
  /** Told of each connection and stream that has become too old, once */
  onStale(scope: OpenConnection | OpenStream): void
}

export class StaleScopes {
  private readonly registry: ScopeRegistry
  private readonly init: StaleScopesInit
  private readonly told = new WeakSet()

  constructor (registry: ScopeRegistry, init: StaleScopesInit) {
    this.registry = registry
    this.init = init
  }

  /**
   * Called every second
   */
  beat (): void {
    if (this.registry.seconds % INTERVAL !== 0 || this.init.maxAge === Infinity) {
      return
    }

    const found = this.find()

    for (const scope of found.slice(0, MOST_LINES)) {
      this.init.log?.error('%s', printable(describe(scope)))
    }

    if (found.length > MOST_LINES) {
      this.init.log?.error('%d more connections and streams are as old, and not set up yet', found.length - MOST_LINES)
    }

    found.forEach(scope => { this.init.onStale(scope) })
  }

  /**
   * Whoever is told may open and end scopes, so that is done once all are found
   */
  private find (): Array<OpenConnection | OpenStream> {
    const { connections, streams, seconds, standard, allowlisted } = this.registry
    const transient = [standard.transient.account, allowlisted.transient.account]
    const found: Array<OpenConnection | OpenStream> = []

    // where nothing is transient, nothing has to be gone through
    if (transient.some(account => account.current('connections') > 0)) {
      for (const scope of connections) {
        if (scope.peerScope === undefined && this.isNews(scope)) {
          found.push(openConnection(scope, seconds))
        }
      }
    }

    if (transient.some(account => account.current('streams') > 0)) {
      for (const scope of streams) {
        if (scope.protocolScope === undefined && this.isNews(scope)) {
          found.push(openStream(scope, seconds))
        }
      }
    }

    return found.sort((a, b) => b.age - a.age)
  }

  private isNews (scope: { openedAt: number }): boolean {
    if (this.registry.seconds - scope.openedAt <= this.init.maxAge || this.told.has(scope)) {
      return false
    }

    this.told.add(scope)

    return true
  }
}

function describe (scope: OpenConnection | OpenStream): string {
  const { direction, age, memory } = scope
  const what = 'fileDescriptors' in scope
    ? `an ${direction} connection${scope.endpoint === undefined ? '' : ` at ${scope.endpoint}`}, has shown no peer`
    : `an ${direction} stream of ${scope.peer}, has no protocol`

  return `${scope.scope}, ${what} for ${age} seconds and holds ${inBytes(memory)} of memory: it takes a place in the transient scope until it ends`
}
