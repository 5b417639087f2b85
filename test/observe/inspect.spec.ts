import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'aegir/chai'
import { createResourceManager } from '../../src/index.ts'
import { OTHER_PEER, PEER } from '../fixtures/peers.ts'
import type { DefaultResourceManager, ResourceManagerInit, ResourceScope } from '../../src/index.ts'

const inspect = Symbol.for('nodejs.util.inspect.custom')
const ENDPOINT = multiaddr('/ip4/192.0.2.1/tcp/4001')
const MiB = 2 ** 20

describe('in a REPL', () => {
  let manager: DefaultResourceManager

  function manage (init: ResourceManagerInit): void {
    manager = createResourceManager({ memory: 2 ** 30, fileDescriptors: 1_000, ...init })
    manager.close()
  }

  /**
   * What prints an object asks it in one of two ways
   */
  function printed (value: object): string {
    const text = String(value)
    expect((value as any)[inspect](2, {})).to.equal(text)

    return text
  }

  it('a scope of every kind is its name and use against its limits', () => {
    manage({
      limits: {
        connection: { memory: 2 * MiB },
        stream: { memory: Infinity },
        peers: { [PEER.toString()]: { memory: 64 * MiB, connections: 8, inboundConnections: Infinity, fileDescriptors: 3, streams: 9, inboundStreams: 5 } },
        protocols: { '/p/1': { memory: 2n ** 63n, streams: 7, inboundStreams: 6 } },
        services: { svc: { memory: 1_500, streams: 4, inboundStreams: 4 } }
      }
    })

    const connection = manager.openConnection('inbound', true, ENDPOINT)
    connection.reserveMemory(1.25 * MiB)
    expect(printed(connection)).to.equal('conn-1 (connections 1 of 1, inbound connections 1 of 1, file descriptors 1 of 1, memory 1.3 MiB of 2 MiB)')
    connection.setPeer(PEER)

    const stream = manager.openStream(PEER, 'inbound')
    stream.setProtocol('/p/1')
    stream.setService('svc')
    const span = stream.beginSpan()
    span.reserveMemory(1_024)
    expect(printed(span)).to.equal('stream-1.span-1 (memory 1 KiB of ∞)')
    expect(printed(stream)).to.equal('stream-1 (streams 1 of 1, inbound streams 1 of 1, memory 1 KiB of ∞)')

    const views: Array<(fn: (scope: ResourceScope) => string) => string> = [
      fn => manager.viewPeer(PEER, fn),
      fn => manager.viewProtocol('/p/1', fn),
      fn => manager.viewService('svc', fn),
      fn => manager.viewPeer(OTHER_PEER, fn)
    ]

    expect(views.map(view => view(printed))).to.deep.equal([
      `peer:${PEER} (streams 1 of 9, inbound streams 1 of 5, connections 1 of 8, inbound connections 1 of ∞, file descriptors 1 of 3, memory 1.3 MiB of 64 MiB)`,
      'protocol:/p/1 (streams 1 of 7, inbound streams 1 of 6, memory 1 KiB of 8388608 TiB)',
      'service:svc (streams 1 of 4, inbound streams 1 of 4, memory 1 KiB of 1.5 KiB)',
      `peer:${OTHER_PEER} (memory 0 B of ${manager.limits().peerDefault.memory as number / MiB} MiB)`
    ])

    span.done()
    connection.done()
    expect(printed(span)).to.equal('stream-1.span-1 (closed)')
    expect(printed(connection)).to.equal('conn-1 (closed)')
    expect(printed(stream)).to.include('memory 0 B of')
  })

  it('a manager is use and limits at the top, counts, and refusals by limit, the most often first', () => {
    manage({
      limits: {
        system: { streams: 10, inboundStreams: 10, outboundStreams: 10, connections: 10, inboundConnections: 10, outboundConnections: 10, fileDescriptors: 10, memory: 128 * MiB },
        transient: { streams: 5, inboundStreams: 5, outboundStreams: 5, connections: 5, inboundConnections: 5, outboundConnections: 5, fileDescriptors: 5, memory: Infinity },
        peers: { [PEER.toString()]: { inboundStreams: 1, memory: 99 } }
      }
    })

    manager.openConnection('inbound', true)
    manager.openStream(PEER, 'inbound').setProtocol('/p/1')
    expect(() => manager.openStream(PEER, 'inbound')).to.throw()
    expect(() => manager.openStream(PEER, 'inbound')).to.throw()
    manager.viewPeer(PEER, scope => { expect(() => { scope.reserveMemory(100) }).to.throw() })
    manager.viewSystem(scope => { scope.reserveMemory(MiB) })

    expect(printed(manager)).to.equal([
      'resource manager',
      '                        system            transient',
      '  streams               1 of 10           0 of 5',
      '  inbound streams       1 of 10           0 of 5',
      '  outbound streams      0 of 10           0 of 5',
      '  connections           1 of 10           1 of 5',
      '  inbound connections   1 of 10           1 of 5',
      '  outbound connections  0 of 10           0 of 5',
      '  file descriptors      1 of 10           1 of 5',
      '  memory                1 MiB of 128 MiB  0 B of ∞',
      '  0 services, 1 protocol, 1 peer, 1 connection, 1 stream',
      '  2 refused by inbound peer.inboundStreams',
      '  1 refused by peer.memory'
    ].join('\n'))
  })

  it('a name is one line, and nothing that a terminal obeys', () => {
    manage({})
    const stream = manager.openStream(PEER, 'inbound')
    stream.setProtocol('/a\n\u001b[2J\u009b31m\u202e/1')

    expect(printed(stream.protocolScope as ResourceScope)).to.match(/^protocol:\/a��\[2J�31m�\/1 \(streams 1 of /)
  })

  it('a manager shows the allowlisted scopes while they are used, and whether it only observes', () => {
    manage({ enforce: false, limits: { system: { connections: 0 }, stream: { streams: 0 } }, allowlist: ['/ip4/192.0.2.1'] })
    expect(printed(manager)).to.match(/^resource manager, which only observes\n +system +transient\n[^]*\n {2}nothing refused so far$/)

    const connection = manager.openConnection('inbound', true, ENDPOINT)
    manager.openStream(PEER, 'inbound')
    expect(printed(manager)).to.match(/^ +system +transient +allowlistedSystem +allowlistedTransient$/m)
    expect(printed(manager)).to.match(/^ {2}1 would have been refused by inbound stream.streams$/m)

    connection.done()
    expect(printed(manager)).to.not.include('allowlisted')
  })
})
