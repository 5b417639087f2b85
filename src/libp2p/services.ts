/**
 * @file Which service a protocol belongs to.
 */

import { InvalidLimitError } from '../core/errors.ts'
import { ServiceNames } from '../core/service-names.ts'
import { Registrations } from './registrations.ts'
import { STOCK_NAMES, stockService, stockServiceOf } from './stock-services.ts'
import type { Registrant } from './registrations.ts'
import type { Registrar } from '@libp2p/interface-internal'

/**
 * Which protocols belong to a service, by the name of the service
 */
export type ServiceProtocols = Record<string, string[]>

/**
 * Makes a component of a node
 */
type Factory<T = unknown> = (components: any) => T

/**
 * The tables of nodes whose services are followed, by what all components of a
 * node have in common
 */
const tables = new WeakMap<Registrar, ServiceTable>()

/**
 * What is configured comes before what is built in, that before who has
 * registered a protocol.
 *
 * An entry of `services` is a service, named as in there. If it is a stock one,
 * or begins with registering a stock protocol, then that name is another one of
 * the stock service.
 */
export class ServiceTable {
  readonly names = new ServiceNames()

  private readonly configured = new Map<string, string>()
  private readonly registrations = new Registrations()

  constructor () {
    STOCK_NAMES.forEach(name => { this.names.keep(name) })
  }

  /**
   * The table that was shared with the components of a node, or one that knows
   * nothing of who registers what
   */
  static of (registrar?: Registrar): ServiceTable {
    return (registrar == null ? undefined : tables.get(registrar)) ?? new ServiceTable()
  }

  share (registrar: Registrar): void {
    tables.set(registrar, this)
  }

  /**
   * A name that is given protocols stands for these, whatever service of the node
   * is called the same.
   *
   * @throws {InvalidLimitError} if it is not lists of protocols by name, or if a
   * protocol is in two of them
   */
  configure (services: ServiceProtocols = {}): void {
    if (services === null || typeof services !== 'object' || Array.isArray(services)) {
      throw new InvalidLimitError('services', services, 'an object with lists of protocols by service name')
    }

    for (const [name, protocols] of Object.entries(services)) {
      const path = `services[${JSON.stringify(name)}]`

      if (!Array.isArray(protocols) || protocols.some(protocol => typeof protocol !== 'string')) {
        throw new InvalidLimitError(path, protocols, 'a list of protocols')
      }

      for (const protocol of protocols) {
        if (this.configured.has(protocol)) {
          throw new InvalidLimitError(path, protocol, `a protocol that does not belong to ${this.configured.get(protocol)} already`)
        }

        this.configured.set(protocol, name)
      }

      this.names.keep(name)
    }
  }

  serviceOf (protocol: string, registrar: Registrar): string | undefined {
    const service = this.configured.get(protocol) ?? stockServiceOf(protocol) ?? this.registrations.of(protocol, registrar)?.name

    return service === undefined ? undefined : this.names.canonical(service)
  }

  /**
   * Follows what an entry of `services` registers
   *
   * @throws {InvalidLimitError} when it is called or registers a protocol, if there
   * are limits both under its name and under that of the stock service it is
   */
  followService<T> (name: string, factory: Factory<T>): Factory<T> {
    return components => {
      const registrant: Registrant = {
        name,
        onRegister: protocol => {
          if (this.configured.has(protocol)) {
            return
          }

          this.alias(name, stockServiceOf(protocol))
          // what the name stands for must not change while there are streams
          registrant.onRegister = undefined
        }
      }
      const service = factory(this.registrations.view(components, registrant))
      const stock = stockService(service)

      if (stock !== undefined) {
        this.alias(name, stock)
        registrant.onRegister = undefined
      }

      return service
    }
  }

  /**
   * Follows what an entry of `transports` registers. Those have no names, so it is
   * called what the transport calls itself: js-libp2p takes none without a tag.
   */
  followTransport<T> (factory: Factory<T>): Factory<T> {
    return components => {
      const registrant: Registrant = {}
      const transport: any = factory(this.registrations.view(components, registrant))
      registrant.name = stockService(transport) ?? transport?.[Symbol.toStringTag]

      return transport
    }
  }

  private alias (name: string, stock?: string): void {
    if (stock !== undefined) {
      this.names.alias(name, stock)
    }
  }
}
