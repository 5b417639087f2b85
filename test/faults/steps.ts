/**
 * @file What the application fails at when a step fails: the table of all steps
 * and kinds of faults. `end` is when it does not notice, and `dial-message` when it
 * is at any of these, which then depends on who is faster.
 *
 * A step that is not in the table fails the tests, as does one in the table that
 * no node takes. Of a step that returns at once only the first column is given.
 */

import { KINDS } from './faults.ts'
import { STAGES } from './pair.ts'
import type { Kind } from './faults.ts'
import type { PairInit, Side, Stage } from './pair.ts'
import type { Step } from './tracer.ts'

// step | throws | throws late | abort | reset | silence | stop
const TABLE: Record<Side, string> = {
  dialer: `
    application > connectionManager.openConnection | dial | dial | dial | dial | dial | dial
    connectionManager.openConnection > connectionGater.denyDialPeer | dial | dial | dial | dial | dial | dial
    connectionManager.openConnection > transportManager.dialTransportForMultiaddr | dial
    transportManager.dialTransportForMultiaddr > transport.dialFilter | dial
    connectionManager.openConnection > connectionGater.denyDialMultiaddr | dial | dial | dial | dial | dial | dial
    connectionManager.openConnection > manager.openConnection | dial
    connectionManager.openConnection > connectionScope.reserveMemory | dial
    connectionManager.openConnection > transportManager.dial | dial | dial | dial | dial | dial | dial
    transportManager.dial > transport.dialFilter | dial
    transportManager.dial > transport.dial | dial | dial | dial | dial | dial | dial
    transport.dial > manager.openConnection | dial
    transport.dial > manager.adoptConnection | dial
    transport.dial > connectionScope.reserveMemory | dial
    transport.dial > upgrader.upgradeOutbound | dial | dial | dial | dial | dial | dial
    upgrader.upgradeOutbound > connectionGater.denyOutboundConnection | dial | dial | dial | dial | dial | dial
    upgrader.upgradeOutbound > connectionProtector.protect | dial | dial | dial | dial | dial | dial
    connectionProtector.protect > maConn.send | dial | - | dial | dial | dial | dial
    upgrader.upgradeOutbound > maConn.send | dial | - | dial | dial | dial | dial
    upgrader.upgradeOutbound > protected.send | dial | - | dial | dial | dial | dial
    upgrader.upgradeOutbound > encrypter.secureOutbound | dial | dial | dial | dial | dial | dial
    encrypter.secureOutbound > upgrader.getStreamMuxers | dial
    encrypter.secureOutbound > maConn.send | dial | - | dial | dial | dial | dial
    encrypter.secureOutbound > maConn.send #2 | dial | - | dial | dial-message | dial-message | dial-stream
    encrypter.secureOutbound > protected.send | dial | - | dial | dial | dial | dial
    encrypter.secureOutbound > upgrader.getStreamMuxers #2 | dial
    upgrader.upgradeOutbound > connectionGater.denyOutboundEncryptedConnection | dial | dial | dial | dial-message | dial-message | dial-stream
    upgrader.upgradeOutbound > connectionScope.setPeer | dial
    upgrader.upgradeOutbound > protected.send #2 | dial | - | dial | dial-message | dial-message | dial-stream
    upgrader.upgradeOutbound > muxerFactory.createStreamMuxer | dial
    upgrader.upgradeOutbound > connectionGater.denyOutboundUpgradedConnection | dial | dial | dial | dial-message | dial-message | dial-stream
    upgrader.upgradeOutbound > muxer.ping | end | end | dial | dial-message | dial-message | dial-stream
    upgrader.upgradeOutbound > connectionManager.getConnections | end
    upgrader.upgradeOutbound > connectionManager.getMaxConnections | end
    connectionManager.openConnection > peerStore.merge | end | end | dial | dial-message | dial-message | dial-stream
    peerStore.merge > datastore.get | end
    peerStore.merge > datastore.put | end
    application > connection.newStream | stream | stream | stream | stream | stream | stream
    connection.newStream > manager.openStream | stream
    connection.newStream > streamScope.reserveMemory | stream
    connection.newStream > muxer.createStream | stream | stream | stream | stream-message | stream | stream
    connection.newStream > stream.send | stream | - | stream | stream | stream | stream
    connection.newStream > registrar.getHandler | stream
    connection.newStream > peerStore.merge | stream | stream | message | stream-message | message | stream-message
    peerStore.merge > datastore.get #2 | end
    peerStore.merge > datastore.put #2 | stream
    connection.newStream > registrar.getMiddleware | stream
    connection.newStream > streamScope.setProtocol | stream
    connection.newStream > streamScope.setService | stream
    connection.newStream > middleware | stream | stream-end | message | stream-message | message | stream-message
    application > stream.send | message | - | message | message | message | message
    application > stream.close | message | message | message-end | message-end | message | message-end
    application > connection.close | close | close | end | close-end | close-end | close-end
    connection.close > muxer.close | close | close | end | close-end | close-end | close-end
    connection.close > maConn.close | close | close | end | close-end | close-end | close-end`,

  listener: `
    transport > manager.openConnection | dial
    transport > manager.adoptConnection | dial
    accept > manager.openConnection | dial
    accept > connectionScope.reserveMemory | dial
    accept > upgrader.upgradeInbound | dial | dial-message | dial | dial | dial | dial
    upgrader.upgradeInbound > connectionManager.acceptIncomingConnection | dial
    upgrader.upgradeInbound > connectionGater.denyInboundConnection | dial | dial | dial | dial | dial | dial
    upgrader.upgradeInbound > connectionProtector.protect | dial | dial | dial | dial | dial | dial
    connectionProtector.protect > maConn.send | dial | - | dial | dial | dial | dial
    upgrader.upgradeInbound > maConn.send | dial | - | dial | dial | dial | dial
    upgrader.upgradeInbound > maConn.send #2 | dial | - | dial | dial | dial | dial
    upgrader.upgradeInbound > protected.send | dial | - | dial | dial | dial | dial
    upgrader.upgradeInbound > protected.send #2 | dial | - | dial | dial | dial | dial
    upgrader.upgradeInbound > encrypter.secureInbound | dial | dial-message | dial | dial | dial | dial
    encrypter.secureInbound > upgrader.getStreamMuxers | dial
    encrypter.secureInbound > maConn.send | dial | - | dial | dial-message | dial-message | dial-message
    encrypter.secureInbound > protected.send | dial | - | dial | dial-message | dial-message | dial-message
    encrypter.secureInbound > upgrader.getStreamMuxers #2 | dial-message
    upgrader.upgradeInbound > connectionGater.denyInboundEncryptedConnection | dial-message | dial-message | dial-end | dial-message | dial-message | dial-message
    upgrader.upgradeInbound > connectionScope.setPeer | dial-message
    upgrader.upgradeInbound > protected.send #3 | dial | - | dial-end | dial-message | dial-message | dial-message
    upgrader.upgradeInbound > protected.send #4 | dial | - | dial-end | dial-message | dial-message | dial-message
    upgrader.upgradeInbound > muxerFactory.createStreamMuxer | dial-message
    upgrader.upgradeInbound > connectionGater.denyInboundUpgradedConnection | dial-message | dial-message | dial-end | dial-message | dial-message | dial-message
    upgrader.upgradeInbound > muxer.ping | end | end | end | dial-message | dial-message | dial-message
    upgrader.upgradeInbound > connectionManager.getConnections | end
    upgrader.upgradeInbound > connectionManager.getMaxConnections | end
    upgrader.upgradeInbound > connectionManager.afterUpgradeInbound | dial-message
    inbound stream > manager.openStream | stream
    inbound stream > manager.viewSystem | stream
    inbound stream > manager.viewSystem #2 | stream
    inbound stream > streamScope.reserveMemory | stream
    inbound stream > registrar.getProtocols | stream
    inbound stream > stream.send | stream | - | - | dial-stream | dial-stream | dial-message
    inbound stream > stream.send #2 | stream | - | - | dial-stream | dial-stream | dial-message
    inbound stream > registrar.getHandler | stream-message
    inbound stream > peerStore.merge | stream-message | stream-message | - | dial-message | dial-message | dial-message
    peerStore.merge > datastore.get | end
    peerStore.merge > datastore.put | stream-message
    inbound stream > registrar.getHandler #2 | stream-message
    inbound stream > registrar.getMiddleware | stream-message
    inbound stream > streamScope.setProtocol | stream-message
    inbound stream > streamScope.setService | stream-message
    inbound stream > middleware | stream-message | stream-end | - | dial-message | dial-message | dial-message
    inbound stream > handler | stream-message | stream-end | - | dial-message | dial-message | dial-message
    handler > stream.send | message | - | - | message | message | message-end
    handler > stream.close | message | message-end | - | message-end | message-end | message-end`
}

/** What comes of a fault, by kind, as it stands in the table */
export type Row = Partial<Record<Kind, string>>

const parsed = new Map<string, Row>()

for (const [side, rows] of Object.entries(TABLE)) {
  for (const row of rows.trim().split('\n')) {
    const [name, ...cells] = row.split('|').map(cell => cell.trim())

    parsed.set(`${side}: ${name}`, Object.fromEntries(KINDS.flatMap((kind, i) => {
      return cells[i] == null || cells[i] === '-' ? [] : [[kind, cells[i]]]
    })))
  }
}

/**
 * What the table says of a step
 */
export function rowOf (side: Side, step: Step): Row | undefined {
  return parsed.get(`${side}: ${step.name}`)
}

/**
 * All steps in the table
 */
export function stepsInTable (): string[] {
  return [...parsed.keys()]
}

/**
 * Why a kind of fault cannot be at a step, if it cannot
 */
export function reasonAgainst (init: PairInit, side: Side, { name, returns }: Step, kind: Kind): string | undefined {
  if (kind !== 'throws' && returns === 'at once') {
    return 'it returns at once: what happens meanwhile shows at the next step that does not'
  }

  if (kind === 'throws late' && returns === 'and waits') {
    return 'it has sent nothing when it throws'
  }

  if ((kind === 'reset' || kind === 'silence') && init.transport === 'memory') {
    return 'there is no wire'
  }

  if (kind === 'abort' && side === 'listener' && /^(inbound stream|handler)/.test(name)) {
    return 'nobody can pass a signal, there is only the timeout'
  }
}

/**
 * The stages that stand in one place of the table
 */
export function stagesOf (cell: string): Stage[] {
  const [from, to = from] = cell.split('-').map(stage => STAGES.indexOf(stage as Stage))

  if (from === -1 || to === -1) {
    throw new Error(`The table has ${cell}, which is no stage`)
  }

  return STAGES.slice(from, to + 1)
}
