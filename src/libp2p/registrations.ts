/**
 * @file Who has registered a protocol. Each entry of `services` and `transports`
 * is handed a view of the node's components whose registrar remembers who called
 * it.
 */

import type { StreamHandlerRecord, Topology } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

/**
 * An entry of `services` or `transports`
 */
export interface Registrant {
  /** The service that its protocols belong to */
  name?: string
  /** Called with each protocol before it is registered, which fails if this throws */
  onRegister?(protocol: string): void
}

/**
 * What is registered for a protocol now is what the registrar says. Here is only
 * kept who has put it there, so that nothing has to be followed up when a
 * protocol is unregistered, changes hands or is registered by the application.
 */
export class Registrations {
  private readonly handlers = new WeakMap<StreamHandlerRecord, Registrant>()
  private readonly topologies = new WeakMap<Topology, Registrant>()

  /**
   * Who handles a protocol or, if nobody with a name does, who was first to ask
   * for peers that support it: that is who dials it.
   */
  of (protocol: string, registrar: Registrar): Registrant | undefined {
    const handled = handlerOf(registrar, protocol)
    const registrant = handled === undefined ? undefined : this.handlers.get(handled)

    if (registrant !== undefined) {
      return registrant
    }

    for (const topology of registrar.getTopologies(protocol)) {
      const registrant = this.topologies.get(topology)

      if (registrant !== undefined) {
        return registrant
      }
    }
  }

  /**
   * The components as a registrant sees them. All but the registrar is what it
   * is: `components` of js-libp2p is a proxy itself, so nothing in it can mind
   * being called through another one.
   */
  view<C extends { registrar: Registrar }> (components: C, registrant: Registrant): C {
    const views = new WeakMap<Registrar, Registrar>()

    return new Proxy(components, {
      get: (target, property) => {
        const value: any = Reflect.get(target, property, target)

        if (property !== 'registrar' || value == null) {
          return value
        }

        // always the same one, as long as nobody replaces the registrar
        const view = views.get(value) ?? this.viewRegistrar(value, registrant)
        views.set(value, view)

        return view
      }
    })
  }

  private viewRegistrar (registrar: Registrar, registrant: Registrant): Registrar {
    // methods are looked up when they are called: others override them in place
    const recording: Partial<Registrar> = {
      handle: async (protocol, ...rest) => {
        registrant.onRegister?.(protocol)

        const before = handlerOf(registrar, protocol)
        const handled = registrar.handle(protocol, ...rest)
        const after = handlerOf(registrar, protocol)

        // not if it was refused because of somebody else's. js-libp2p makes a new
        // record each time and has put it in place by now, and streams may come
        // before the promise resolves.
        if (after !== undefined && after !== before) {
          this.handlers.set(after, registrant)
        }

        await handled
      },
      register: async (protocol, topology, ...rest) => {
        registrant.onRegister?.(protocol)

        if (topology != null) {
          this.topologies.set(topology, registrant)
        }

        return registrar.register(protocol, topology, ...rest)
      }
    }

    return new Proxy(registrar, {
      get (target, property) {
        if (Object.hasOwn(recording, property)) {
          return recording[property as keyof Registrar]
        }

        const value: any = Reflect.get(target, property, target)

        // #private members are those of the registrar itself
        return typeof value === 'function' ? value.bind(target) : value
      },
      set: (target, property, value) => Reflect.set(target, property, value, target)
    })
  }
}

function handlerOf (registrar: Registrar, protocol: string): StreamHandlerRecord | undefined {
  try {
    return registrar.getHandler(protocol)
  } catch {
    // nobody handles it
  }
}
