/* eslint-disable no-loop-func */

import { expect } from 'aegir/chai'
import { connect, createNode, ENCRYPTERS, eventually, expectNothingHeld, held, managerOf, MUXERS, stopAll, TRANSPORTS } from '../fixtures/nodes.ts'
import type { NodeInit, TestNode } from '../fixtures/nodes.ts'

const ECHO = '/echo/1.0.0'

describe('a connection and its streams', () => {
  let dialer: TestNode
  let listener: TestNode

  afterEach(async () => {
    await stopAll(dialer, listener)
  })

  for (const transport of Object.keys(TRANSPORTS) as Array<keyof typeof TRANSPORTS>) {
    for (const encrypter of Object.keys(ENCRYPTERS) as Array<keyof typeof ENCRYPTERS>) {
      for (const muxer of Object.keys(MUXERS) as Array<keyof typeof MUXERS>) {
        it(`are in scopes over ${transport} with ${encrypter} and ${muxer}, and give everything back`, async () => {
          const init: NodeInit = { transport, encrypter, muxer }
          dialer = await createNode(init)
          listener = await createNode(init)

          const connection = await connect(dialer, listener)
          const fileDescriptors = transport === 'tcp' ? { fileDescriptors: 1 } : {}

          await eventually(() => listener.getConnections().length === 1)

          expect(held(managerOf(dialer))).to.deep.equal({
            system: { outboundConnections: 1, ...fileDescriptors },
            [`peer:${listener.peerId}`]: { outboundConnections: 1, ...fileDescriptors }
          })
          expect(held(managerOf(listener))).to.deep.equal({
            system: { inboundConnections: 1, ...fileDescriptors },
            [`peer:${dialer.peerId}`]: { inboundConnections: 1, ...fileDescriptors }
          })

          const stream = await connection.newStream(ECHO)
          await eventually(() => managerOf(listener).stat().protocols.get(ECHO)?.inboundStreams === 1)

          expect(held(managerOf(dialer))).to.deep.equal({
            system: { outboundConnections: 1, outboundStreams: 1, ...fileDescriptors },
            [`peer:${listener.peerId}`]: { outboundConnections: 1, outboundStreams: 1, ...fileDescriptors },
            [`protocol:${ECHO}`]: { outboundStreams: 1 },
            [`protocol:${ECHO}.peer:${listener.peerId}`]: { outboundStreams: 1 },
            'service:echo': { outboundStreams: 1 },
            [`service:echo.peer:${listener.peerId}`]: { outboundStreams: 1 }
          })
          expect(held(managerOf(listener))).to.deep.equal({
            system: { inboundConnections: 1, inboundStreams: 1, ...fileDescriptors },
            [`peer:${dialer.peerId}`]: { inboundConnections: 1, inboundStreams: 1, ...fileDescriptors },
            [`protocol:${ECHO}`]: { inboundStreams: 1 },
            [`protocol:${ECHO}.peer:${dialer.peerId}`]: { inboundStreams: 1 },
            'service:echo': { inboundStreams: 1 },
            [`service:echo.peer:${dialer.peerId}`]: { inboundStreams: 1 }
          })

          expect(managerOf(dialer).connectionScope(connection)?.peerScope?.peer.equals(listener.peerId)).to.be.true()
          expect(managerOf(dialer).streamScope(stream)?.protocolScope?.protocol).to.equal(ECHO)

          // an honest round trip
          const received: number[] = []
          stream.addEventListener('message', event => { received.push(...event.data.subarray()) })
          stream.send(Uint8Array.from([1, 2, 3]))
          await eventually(() => received.length === 3)
          expect(received).to.deep.equal([1, 2, 3])

          await stream.close()
          await eventually(() => managerOf(dialer).stat().system.outboundStreams === 0)
          await eventually(() => managerOf(listener).stat().system.inboundStreams === 0)

          await connection.close()
          await expectNothingHeld(managerOf(dialer))
          await expectNothingHeld(managerOf(listener))
        })
      }
    }
  }
})
