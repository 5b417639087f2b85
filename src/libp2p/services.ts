/**
 * @file Which service a protocol belongs to.
 */

import { InvalidLimitError } from '../core/errors.ts'

/**
 * Protocol families of the stock services of js-libp2p with their stock
 * prefixes, under the names that go-libp2p gives them. Others are for the
 * `services` option: an application may have a ping of its own.
 */
const FAMILIES: ReadonlyArray<[RegExp, string]> = [
  [/^\/ipfs\/id\/(push\/)?1\.0\.0$/, 'libp2p.identify'],
  [/^\/ipfs\/ping\/1\.0\.0$/, 'libp2p.ping'],
  [/^\/libp2p\/fetch\/0\.0\.1$/, 'libp2p.fetch'],
  [/^\/libp2p\/autonat\//, 'libp2p.autonat'],
  [/^\/libp2p\/dcutr$/, 'libp2p.holepunch'],
  [/^\/libp2p\/circuit\/relay\//, 'libp2p.relay/v2'],
  [/^\/ipfs\/(lan\/)?kad\/1\.0\.0$/, 'libp2p.kad'],
  [/^\/(meshsub|floodsub)\//, 'libp2p.pubsub'],
  [/^\/perf\/1\.0\.0$/, 'libp2p.perf']
]

/**
 * Which protocols belong to a service, by the name of the service
 */
export type ServiceProtocols = Record<string, string[]>

/**
 * What is configured comes before what is built in. The answer for a protocol
 * does not change, so it is kept: there are as many as the node has protocols.
 */
export class ServiceTable {
  private readonly known = new Map<string, string | undefined>()

  /**
   * @throws {InvalidLimitError} if it is not lists of protocols by name, or if a
   * protocol is in two of them
   */
  constructor (services: ServiceProtocols = {}) {
    if (services === null || typeof services !== 'object' || Array.isArray(services)) {
      throw new InvalidLimitError('services', services, 'an object with lists of protocols by service name')
    }

    for (const [name, protocols] of Object.entries(services)) {
      const path = `services[${JSON.stringify(name)}]`

      if (!Array.isArray(protocols) || protocols.some(protocol => typeof protocol !== 'string')) {
        throw new InvalidLimitError(path, protocols, 'a list of protocols')
      }

      for (const protocol of protocols) {
        if (this.known.has(protocol)) {
          throw new InvalidLimitError(path, protocol, `a protocol that does not belong to ${this.known.get(protocol)} already`)
        }

        this.known.set(protocol, name)
      }
    }
  }

  readonly serviceOf = (protocol: string): string | undefined => {
    if (!this.known.has(protocol)) {
      this.known.set(protocol, FAMILIES.find(([family]) => family.test(protocol))?.[1])
    }

    return this.known.get(protocol)
  }
}
