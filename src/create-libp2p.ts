/**
 * @file libp2p's `createLibp2p` with a `resourceManager` option.
 */

import { InvalidParametersError } from '@libp2p/interface'
import { createLibp2p as create } from 'libp2p'
import { shareOptions } from './libp2p/node-options.ts'
import { ServiceTable } from './libp2p/services.ts'
import type { ResourceManager } from './core/types.ts'
import type { ResourceManagerComponents } from './resource-manager.ts'
import type { ServiceMap } from '@libp2p/interface'
import type { Libp2p, Libp2pOptions } from 'libp2p'

/**
 * Makes a resource manager for a node
 */
export interface ResourceManagerFactory<M extends ResourceManager = ResourceManager> {
  (components: ResourceManagerComponents): M
}

export type ProtectedLibp2pOptions<T extends ServiceMap, M extends ResourceManager> = Libp2pOptions<T> & {
  /**
   * What the node asks before it uses a resource
   */
  resourceManager: ResourceManagerFactory<M>
}

/**
 * The resource manager goes in as the first service, so that it is in place
 * before any other is made. What services and transports register is followed,
 * for it to know which service a stream belongs to.
 *
 * @throws {InvalidParametersError} if there is a service of this name as well, or
 * what is made is no resource manager
 */
export async function createProtectedLibp2p<T extends ServiceMap, M extends ResourceManager> (options: ProtectedLibp2pOptions<T, M>): Promise<Libp2p<T & { resourceManager: M }>> {
  const { resourceManager, ...rest } = options

  if (rest.services != null && 'resourceManager' in rest.services) {
    throw new InvalidParametersError('Give the resource manager either as the resourceManager option or as a service of that name, not as both')
  }

  const table = new ServiceTable()
  const services: any = Object.fromEntries([
    ['resourceManager', (components: ResourceManagerComponents): M => {
      table.share(components.registrar)
      shareOptions(components.registrar, rest.connectionManager ?? {})
      const manager = resourceManager(components)

      if (typeof manager?.openConnection !== 'function' || typeof manager.openStream !== 'function') {
        throw new InvalidParametersError('The resource manager opens no connections and streams: give what resourceManager() or nullResourceManager() returns')
      }

      return manager
    }],
    // an entry may be called __proto__
    ...Object.entries(rest.services ?? {}).map(([name, factory]) => [name, table.followService(name, factory)])
  ])
  const transports = rest.transports?.map(factory => table.followTransport(factory))

  return create<T & { resourceManager: M }>({ ...rest, services, ...(transports == null ? {} : { transports }) })
}
