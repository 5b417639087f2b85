/**
 * @file The canonical resource manager: wires the accounting, the limits, the
 * hooks into a node and what observes them into one component.
 */

import { serviceCapabilities } from '@libp2p/interface'
import { Admission } from './admission/admission.ts'
import { inspect } from './core/describe.ts'
import { InvalidLimitError } from './core/errors.ts'
import { ObservingEnvironment } from './core/observing.ts'
import { printable } from './core/printable.ts'
import { ScopeRegistry } from './core/scope-registry.ts'
import { ScopeEnvironment } from './core/scope.ts'
import { NodeHooks } from './libp2p/node-hooks.ts'
import { sharedOptions } from './libp2p/node-options.ts'
import { ServiceTable } from './libp2p/services.ts'
import { automaticLimits, DEFAULT_PROFILE } from './limits/automatic.ts'
import { resolveBaseMemory } from './limits/base-memory.ts'
import { LimitSource } from './limits/limit-source.ts'
import { resolveLimits } from './limits/limits.ts'
import { memoryUsage } from './limits/memory-usage.ts'
import { limitChanges } from './limits/preview.ts'
import { suggestFrom } from './limits/suggest.ts'
import { mostResidentMemory, residentMemory } from './limits/system-resources.ts'
import { FailureCounts } from './observe/failures.ts'
import { registerMetrics } from './observe/metrics.ts'
import { overview } from './observe/overview.ts'
import { RefusalLog } from './observe/refusal-log.ts'
import { RefusalCounts } from './observe/refusals.ts'
import { StaleScopes } from './observe/stale-scopes.ts'
import { TraceWriter } from './observe/trace/trace-writer.ts'
import { DEFAULT_COLLECTION_INTERVAL, DEFAULT_LOG_INTERVAL, DEFAULT_MAX_TRANSIENT_AGE, DEFAULT_PROCESS_MEMORY, isCustomLimiter, verifyOptions } from './options.ts'
import { ScopeViews } from './scope-views.ts'
import { Timers } from './timers.ts'
import { warn } from './warn.ts'
import type { AdmissionLimits } from './admission/admission.ts'
import type { Allowlist } from './admission/allowlist.ts'
import type { Failure } from './core/failure.ts'
import type { ScopeObserver } from './core/scope.ts'
import type { ConnectionManagementScope, ConnectionScope, Direction, ResourceManager, StreamManagementScope, StreamScope } from './core/types.ts'
import type { HookedComponents } from './libp2p/install.ts'
import type { NodeProfile } from './limits/automatic.ts'
import type { ConcreteLimits, Limits } from './limits/limits.ts'
import type { MemoryUsage } from './limits/memory-usage.ts'
import type { LimitChange } from './limits/preview.ts'
import type { FailureCount } from './observe/failures.ts'
import type { RefusalCount } from './observe/refusals.ts'
import type { ResourceManagerInit } from './options.ts'
import type { ComponentLogger, Connection, Logger, Metrics, MultiaddrConnection, PeerId, Startable, Stream } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

export interface ResourceManagerComponents extends HookedComponents {
  logger: ComponentLogger
  metrics?: Metrics
  connectionManager?: Pick<ConnectionManager, 'getMaxConnections'>
}

export type EnforcedLimits = ConcreteLimits & Required<AdmissionLimits>

/**
 * How many times the highest use `suggestLimits` lets through
 *
 * @default 2
 */
const DEFAULT_HEADROOM = 2

/**
 * How often the age of what is open is counted, in milliseconds
 */
const SECOND = 1_000

export class DefaultResourceManager extends ScopeViews implements ResourceManager, Startable {
  /**
   * Addresses that may still connect when the ordinary limits refuse, can be
   * changed at any time
   */
  readonly allowlist: Allowlist

  protected readonly registry: ScopeRegistry

  private readonly environment: ScopeEnvironment
  private readonly admission: Admission
  private source: LimitSource
  private readonly maxConnections?: number
  private readonly hooks: NodeHooks
  private readonly log?: Logger
  private readonly trace?: TraceWriter
  private readonly refusalLog?: RefusalLog
  private readonly refused = new RefusalCounts()
  private readonly failed = new FailureCounts()
  private readonly stale: StaleScopes
  private readonly timers: Timers

  /**
   * Without the components of a node it is the accounting alone.
   *
   * @throws {InvalidLimitError} if an option makes no sense
   */
  constructor (init: ResourceManagerInit = {}, components?: ResourceManagerComponents) {
    super()

    verifyOptions(init)

    this.maxConnections = components?.connectionManager?.getMaxConnections()
    const defaults = automaticLimits(init, this.profile(components))
    const given = isCustomLimiter(init.limits) ? undefined : init.limits
    const services = ServiceTable.of(components?.registrar)
    const { names } = services

    services.configure(init.services)
    names.onAlias = (name, canonical) => { this.renameService(name, canonical) }
    this.source = new LimitSource(resolveLimits(given, defaults, names), { asked: isCustomLimiter(init.limits) ? init.limits : undefined, names, given })
    this.admission = admissionOf(init, given, components != null)
    this.allowlist = this.admission.allowlist
    init.allowlist?.forEach((entry, i) => { this.allowlist.add(entry, `allowlist[${i}]`) })
    this.log = components?.logger.forComponent('libp2p:resource-manager')
    this.trace = init.trace == null ? undefined : new TraceWriter({ sink: init.trace, limits: () => ({ ...this.limits() }), log: this.log })
    this.environment = new (init.enforce === false ? ObservingEnvironment : ScopeEnvironment)(this.observer(), this.trace?.tracer)
    this.registry = new ScopeRegistry(this.environment, this.source, this.admission, names)
    this.timers = new Timers([
      [init.collectionInterval ?? DEFAULT_COLLECTION_INTERVAL, () => { this.collect() }],
      [SECOND, () => { this.countSecond() }]
    ])
    this.refusalLog = this.log && new RefusalLog(this.log, init.logInterval ?? DEFAULT_LOG_INTERVAL)
    this.stale = new StaleScopes(this.registry, {
      // ages are counted in seconds
      maxAge: (init.maxTransientAge ?? DEFAULT_MAX_TRANSIENT_AGE) / SECOND,
      log: this.log,
      onStale: detail => { this.safeDispatchEvent('stale', { detail }) }
    })

    if (components?.metrics != null) {
      registerMetrics(components.metrics, this)
    }

    this.hooks = new NodeHooks(this, { services, baseMemory: resolveBaseMemory(init.baseMemory), onFailure: failure => { this.onFailure(failure) } }, components)
    this.hooks.install()

    // the timer of a node runs from its start to its stop
    if (components == null) {
      this.startTimers()
    }
  }

  readonly [Symbol.toStringTag] = 'libp2p-resource-manager'

  readonly [serviceCapabilities]: string[] = [
    '@libp2p/resource-manager'
  ]

  /**
   * A node that starts again is protected again
   */
  beforeStart (): void {
    this.hooks.install()
    this.startTimers()
  }

  start (): void {
    this.warnOfConflicts()
  }

  stop (): void {}

  /**
   * Everything is taken out only after all other components have stopped: they
   * still close connections
   */
  async afterStop (): Promise<void> {
    this.hooks.uninstall()
    this.close()
    await this.trace?.stop()
  }

  /**
   * Without an endpoint there are no limits by address, but for `rates.connections.global`
   */
  openConnection (direction: Direction, usesFileDescriptor: boolean, endpoint?: Multiaddr): ConnectionManagementScope {
    return this.registry.openConnection(direction, usesFileDescriptor, this.admission.connection(direction, endpoint))
  }

  openStream (peer: PeerId, direction: Direction): StreamManagementScope {
    return this.registry.openStream(peer, direction)
  }

  verifySourceAddress (address: Multiaddr): boolean {
    return this.admission.mustVerify(address)
  }

  /**
   * What is left of a trace is still written
   */
  close (): void {
    this.admission.stop()
    this.timers.stop()
    this.refusalLog?.stop()
    void this.trace?.stop()
  }

  /**
   * All that is enforced now, with nothing left out, ready to print and to pass
   * to `setLimits` or as the `limits` option
   */
  limits (): EnforcedLimits {
    return { ...this.source.enforced(this.registry), ...this.admission.limits() }
  }

  /**
   * Replaces limits, at once and for all scopes there are. What is left out stays
   * as it is (`subnets` and `rates` are replaced as a whole), and so does what is
   * in use above a new limit. With a limiter of your own these are the limits that
   * its answers are laid over.
   *
   * @throws {InvalidLimitError} if a limit makes no sense, nothing has changed then
   */
  setLimits (limits: Limits): void {
    assertGiven(limits)

    // everything is checked before anything changes
    const source = this.source.with(limits, this.registry)
    const commit = this.registry.prepareLimiter(source, source.isAsked)
    this.admission.setLimits({ subnets: limits.subnets, rates: limits.rates })
    this.source = source
    commit()
  }

  /**
   * What `setLimits` would change, and which limits would be below what is in use
   *
   * @throws {InvalidLimitError} if a limit makes no sense
   */
  previewLimits (limits: Limits): LimitChange[] {
    assertGiven(limits)

    const planned = this.source.with(limits, this.registry).planned(this.registry)
    const after = { ...planned, ...this.admission.limitsWith({ subnets: limits.subnets, rates: limits.rates }) }

    return limitChanges(this.limits(), after, this.registry)
  }

  /**
   * Asks a limiter of your own for the limits of all scopes again, but for those
   * whose limit was set by hand
   *
   * @throws {InvalidLimitError} if an answer makes no sense, nothing has changed then
   */
  refreshLimits (): void {
    this.registry.prepareLimiter(this.source, true)()
  }

  /**
   * With `enforce: false`: limits for what was used so far
   *
   * @param headroom - how many times the highest use is let through, 2 if left out.
   * What was never used, and `subnets` and `rates`, are not suggested: they keep
   * their defaults.
   * @throws {InvalidLimitError} if limits are enforced, since then nothing above
   * them can be seen, or if headroom is less than 1
   */
  suggestLimits (headroom: number = DEFAULT_HEADROOM): Limits {
    if (!(this.environment instanceof ObservingEnvironment)) {
      throw new InvalidLimitError('enforce', true, 'false, to see what is used when nothing is refused')
    }

    if (!Number.isFinite(headroom) || headroom < 1) {
      throw new InvalidLimitError('headroom', headroom, 'a number of at least 1')
    }

    return suggestFrom(this.environment.peaks, headroom, this.limits())
  }

  /**
   * What the process really holds, beside what is accounted for and may be
   */
  memoryUsage (): MemoryUsage {
    return memoryUsage(this.registry, this.admission.processMemory.limit)
  }

  /**
   * How often each kind of limit has refused something
   */
  refusals (): RefusalCount[] {
    return this.refused.entries()
  }

  /**
   * How many connections and streams have ended with an error, by what it was.
   * Refusals are not among them.
   */
  failures (): FailureCount[] {
    return this.failed.entries()
  }

  /**
   * Removes the scopes of peers and protocols that nobody uses, which otherwise
   * happens every `collectionInterval`
   */
  removeUnusedScopes (): void {
    this.registry.removeUnused()
  }

  /**
   * The scope of a connection of this node, undefined if it is not managed
   */
  connectionScope (connection: Connection): ConnectionScope | undefined {
    return this.hooks.scopes.ofConnection(connection)?.scope
  }

  /**
   * The scope of a stream of this node, undefined if it is not managed
   */
  streamScope (stream: Stream): StreamScope | undefined {
    return this.hooks.scopes.stream(stream)?.scope
  }

  /**
   * Hands the scope of a connection over to the upgrader, for a transport that
   * must ask before it has a connection: it calls `openConnection` itself, and
   * this before it has the connection upgraded.
   */
  adoptConnection (maConn: MultiaddrConnection, scope: ConnectionManagementScope): void {
    this.hooks.scopes.link(maConn, { scope, ended: false })
  }

  /**
   * A name turns out to be another one of a service: limits that were given under
   * it, and what was done in the scope of that name, become those of the service.
   *
   * @throws {InvalidLimitError} if limits were given under both, nothing has
   * changed then
   */
  private renameService (name: string, canonical: string): void {
    const source = this.source.renamed(name, canonical)

    this.registry.renameService(name, canonical)
    this.registry.prepareLimiter(source, true)()
    this.source = source
  }

  /**
   * Use, limits and refusals on one page
   */
  toString (): string {
    return overview(this.registry, this.refusals(), !(this.environment instanceof ObservingEnvironment))
  }

  [inspect] (): string {
    return this.toString()
  }

  private observer (): ScopeObserver {
    return {
      blocked: err => {
        this.refused.add(err)
        this.refusalLog?.add(err)

        if (this.listenerCount('blocked') > 0) {
          this.safeDispatchEvent('blocked', { detail: err })
        }
      },
      overReleased: (scope, released, held) => {
        this.log?.error('%s was to release %d bytes but has only reserved %d, whoever released them has lost count', printable(scope.name), released, held)
      }
    }
  }

  private onFailure (failure: Failure): void {
    const { direction, kind, stage, scope, peer, endpoint, error } = failure

    this.failed.add(failure)
    this.log?.trace('%s, an %s %s of %p at %a, has failed at %s - %e', scope, direction, kind, peer, endpoint, stage, error)

    if (this.listenerCount('failed') > 0) {
      this.safeDispatchEvent('failed', { detail: failure })
    }
  }

  private startTimers (): void {
    this.admission.start()
    this.timers.start()
    this.trace?.start()
  }

  private collect (): void {
    this.removeUnusedScopes()
    this.admission.removeIdle()

    if (this.source.isAsked) {
      try {
        this.refreshLimits()
      } catch (err) {
        this.log?.error('the limits stay as they are, since the limiter failed - %e', err)
      }
    }
  }

  private countSecond (): void {
    this.registry.seconds++
    this.stale.beat()
  }

  private profile (components?: ResourceManagerComponents): NodeProfile {
    const options = sharedOptions(components?.registrar)

    return {
      maxConnections: this.maxConnections ?? DEFAULT_PROFILE.maxConnections,
      maxParallelDials: options.maxParallelDials ?? DEFAULT_PROFILE.maxParallelDials,
      maxIncomingPendingConnections: options.maxIncomingPendingConnections ?? DEFAULT_PROFILE.maxIncomingPendingConnections
    }
  }

  /**
   * The connection manager prunes only once it has more connections than
   * `maxConnections`. A limit below that refuses connections before any is pruned.
   */
  private warnOfConflicts (): void {
    const { maxConnections = Infinity } = this
    const { limit } = this.registry.standard.system

    for (const resource of ['connections', 'inboundConnections'] as const) {
      if (Number.isFinite(maxConnections) && limit[resource] <= maxConnections) {
        warn(`limits.system.${resource} is ${limit[resource]}, but the connection manager prunes connections only above its maxConnections of ${maxConnections}: ` +
          'new connections will be refused before any is pruned. Raise the limit or lower maxConnections.')
      }
    }
  }
}

function assertGiven (limits: Limits): void {
  if (limits == null) {
    throw new InvalidLimitError('limits', limits, 'an object with limits by scope')
  }
}

function admissionOf (init: ResourceManagerInit, given: Limits | undefined, inNode: boolean): Admission {
  return new Admission({ subnets: given?.subnets, rates: given?.rates }, {
    now: init.now,
    processMemory: {
      limit: init.maxProcessMemory ?? (inNode ? Math.floor(DEFAULT_PROCESS_MEMORY * mostResidentMemory()) : Infinity),
      read: residentMemory
    }
  })
}
