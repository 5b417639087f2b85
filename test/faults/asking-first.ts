/**
 * @file A transport that asks before it has a connection, and hands the scope of
 * the connection over.
 */

import { facade } from '../../src/libp2p/override.ts'
import type { Tracer } from './tracer.ts'
import type { DefaultResourceManager, Direction } from '../../src/index.ts'
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'

/**
 * Makes such a transport of one that does not ask. The manager is there after the
 * transport.
 */
export function askingFirst <C> (make: (components: C) => Transport, end: { manager?: DefaultResourceManager, tracer: Tracer }): (components: C) => Transport {
  const ask = (direction: Direction, maConn: MultiaddrConnection): void => {
    const scope = end.manager?.openConnection(direction, false, maConn.remoteAddr)

    if (scope == null) {
      return
    }

    try {
      end.manager?.adoptConnection(maConn, scope)
    } catch (err) {
      scope.done()
      throw err
    }
  }

  const asking = (upgrader: Upgrader): Upgrader => facade(upgrader, {
    upgradeInbound: async (maConn, options) => {
      // a connection that comes in is the beginning of something
      await end.tracer.begin('transport', async () => { ask('inbound', maConn) })

      await upgrader.upgradeInbound(maConn, options)
    },
    upgradeOutbound: async (maConn, options) => {
      ask('outbound', maConn)

      return upgrader.upgradeOutbound(maConn, options)
    }
  })

  return components => {
    const transport = make(components)
    const { dial, createListener } = transport

    transport.dial = async (address, options) => dial.call(transport, address, { ...options, upgrader: asking(options.upgrader) })
    transport.createListener = options => createListener.call(transport, { ...options, upgrader: asking(options.upgrader) })

    return transport
  }
}
