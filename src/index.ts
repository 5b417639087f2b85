/**
 * @packageDocumentation
 *
 * A resource manager for js-libp2p. Every connection and stream of the node
 * opens in a scope, scopes form a DAG (system, transient, service, protocol,
 * peer, connection, stream, spans), each has limits on memory, streams,
 * connections and file descriptors, and what would go over a limit is refused.
 *
 * @example
 *
 * ```TypeScript
 * import { noise } from '@libp2p/noise'
 * import { tcp } from '@libp2p/tcp'
 * import { yamux } from '@libp2p/yamux'
 * // not from 'libp2p', which ignores the option
 * import { createLibp2p, resourceManager } from 'libp2p-resource-manager'
 *
 * const node = await createLibp2p({
 *   addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
 *   transports: [tcp()],
 *   connectionEncrypters: [noise()],
 *   streamMuxers: [yamux()],
 *   resourceManager: resourceManager({
 *     limits: {
 *       system: { memory: 256 * 1024 * 1024 },
 *       protocols: { '/echo/1.0.0': { inboundStreams: 100 } }
 *     }
 *   })
 * })
 *
 * console.info(node.services.resourceManager.stat().system)
 *
 * await node.stop()
 * ```
 */

import { createProtectedLibp2p } from './create-libp2p.ts'
import { CustomResourceManager } from './custom-resource-manager.ts'
import { warnUnlessCalled } from './factory.ts'
import { NullResourceManager } from './null-resource-manager.ts'
import { DefaultResourceManager } from './resource-manager.ts'
import type { ResourceManager } from './core/types.ts'
import type { ProtectedLibp2pOptions, ResourceManagerFactory } from './create-libp2p.ts'
import type { CustomResourceManagerInit } from './custom-resource-manager.ts'
import type { ResourceManagerInit } from './options.ts'
import type { ServiceMap } from '@libp2p/interface'
import type { Libp2p, Libp2pOptions } from 'libp2p'

export { ReservationPriority } from './core/types.ts'
export { InvalidLimitError, InvalidReservationError, isResourceLimitExceeded, ResourceLimitExceededError, ScopeAttachedError, ScopeClosedError, ScopeNotAttachedError } from './core/errors.ts'
export { scaleLimits, scalingLimits } from './limits/defaults.ts'
export { LimitsSyntaxError } from './limits/json-error.ts'
export { limitsFromJSON, limitsToJSON } from './limits/json.ts'
export type { ConcreteLimit, ConnectionManagementScope, ConnectionScope, Direction, Limit, PeerScope, ProtocolScope, Resource, ResourceManager, ResourceScope, ResourceScopeSpan, ScopeKind, ScopeStat, ServiceScope, StreamManagementScope, StreamScope } from './core/types.ts'
export type { AdmissionLimits, RateLimits } from './admission/admission.ts'
export type { AddressRules } from './admission/address-rules.ts'
export type { Allowlist } from './admission/allowlist.ts'
export type { ConnectionRates } from './admission/connection-rates.ts'
export type { KeyedRates } from './admission/keyed-rates.ts'
export type { ConnectionCount, SubnetLimits } from './admission/subnet-limits.ts'
export type { Rate } from './admission/token-bucket.ts'
export type { RefusalDetail, RefusalKind, RefusedResource, Remote } from './core/errors.ts'
export type { Failure, FailureStage } from './core/failure.ts'
export type { ScopeStats } from './core/scope-registry.ts'
export type { ResourceManagerFactory } from './create-libp2p.ts'
export type { CustomResourceManager, CustomResourceManagerInit } from './custom-resource-manager.ts'
export type { ResourceManagerEvents } from './events.ts'
export type { ServiceProtocols } from './libp2p/services.ts'
export type { BaseMemory } from './limits/base-memory.ts'
export type { JSONPosition, LimitsSyntaxErrorKind } from './limits/json-error.ts'
export type { LimitsFromJSONOptions } from './limits/json.ts'
export type { ConcreteLimits, Limits, NamedKey, ScopeKey } from './limits/limits.ts'
export type { MemoryUsage } from './limits/memory-usage.ts'
export type { LimitChange } from './limits/preview.ts'
export type { LimitIncrease, Resources, ScalingLimit, ScalingLimits } from './limits/scaling.ts'
export type { ProcessUsage } from './limits/system-resources.ts'
export { meter } from './meter.ts'
export type { MeterOptions } from './meter.ts'
export type { FailureCount } from './observe/failures.ts'
export type { NearLimit } from './observe/near-limits.ts'
export type { OpenConnection, OpenStream } from './observe/open-scopes.ts'
export type { RefusalCount } from './observe/refusals.ts'
export { formatEvent } from './observe/trace/format.ts'
export { gzipSink } from './observe/trace/gzip-sink.ts'
export { TraceSyntaxError } from './observe/trace/parse.ts'
export { replay } from './observe/trace/replay.ts'
export type { TraceEvent, TraceEventType, TraceSink } from './observe/trace/event.ts'
export type { TraceClass } from './observe/trace/names.ts'
export type { Trace } from './observe/trace/read-trace.ts'
export type { ReplayedTrace, ReplayOptions } from './observe/trace/replay.ts'
export type { BlockedCounts, Replay, ScopeState, TraceProblem, TraceReplayInit } from './observe/trace/replay-state.ts'
export type { NullResourceManager } from './null-resource-manager.ts'
export type { CustomLimiter, ResourceManagerInit } from './options.ts'
export type { DefaultResourceManager, EnforcedLimits, ResourceManagerComponents } from './resource-manager.ts'

/**
 * Makes the resource manager of a node. Pass the result as `resourceManager` to
 * the `createLibp2p` of this package, or as a service to that of libp2p.
 *
 * @throws {InvalidLimitError} when the node is made, if an option makes no sense
 */
export function resourceManager (init: CustomResourceManagerInit): ResourceManagerFactory<CustomResourceManager>
export function resourceManager (init?: ResourceManagerInit): ResourceManagerFactory<DefaultResourceManager>
export function resourceManager (init: ResourceManagerInit | CustomResourceManagerInit = {}): ResourceManagerFactory<any> {
  return warnUnlessCalled(components => {
    if (init !== null && typeof init === 'object' && 'manager' in init) {
      return new CustomResourceManager(init, components)
    }

    return new DefaultResourceManager(init, components)
  })
}

/**
 * Switches protection off: accepts everything and counts nothing
 */
export function nullResourceManager (): ResourceManagerFactory<NullResourceManager> {
  return warnUnlessCalled(() => new NullResourceManager())
}

/**
 * The accounting alone, without a node
 *
 * @throws {InvalidLimitError} if an option makes no sense
 */
export function createResourceManager (init: ResourceManagerInit = {}): DefaultResourceManager {
  return new DefaultResourceManager(init)
}

/**
 * libp2p's `createLibp2p` with a `resourceManager` option, `resourceManager()`
 * if it is left out and no service has that name. The manager is then
 * `node.services.resourceManager`. Streams of protocols that entries of `services`
 * and `transports` register count in the scopes of these.
 *
 * @throws {InvalidLimitError} if an option of the resource manager makes no sense
 * @throws {InvalidParametersError} if a service is called `resourceManager` as well,
 * or what is made is no resource manager
 */
export async function createLibp2p<T extends ServiceMap, M extends ResourceManager> (options: ProtectedLibp2pOptions<T, M>): Promise<Libp2p<T & { resourceManager: M }>>
export async function createLibp2p<T extends ServiceMap & { resourceManager: ResourceManager }> (options: Libp2pOptions<T> & { services: { resourceManager: ResourceManagerFactory<T['resourceManager']> } }): Promise<Libp2p<T>>
export async function createLibp2p<T extends ServiceMap> (options?: Libp2pOptions<T>): Promise<Libp2p<T & { resourceManager: DefaultResourceManager }>>
export async function createLibp2p (options: Libp2pOptions<any> & { resourceManager?: ResourceManagerFactory } = {}): Promise<Libp2p<any>> {
  const { resourceManager: service, ...services } = options.services ?? {}

  // given as libp2p has it, where there is no such option
  if (options.resourceManager == null && service != null) {
    return createProtectedLibp2p({ ...options, services, resourceManager: service })
  }

  return createProtectedLibp2p({ ...options, resourceManager: options.resourceManager ?? resourceManager() })
}
