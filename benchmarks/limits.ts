/**
 * @file Prints the default limits on machines of several sizes, as the table in
 * the README.
 */

/* eslint-disable no-console */

import { DEFAULT_PROFILE, fitToNode } from '../src/limits/automatic.ts'
import { scaleLimits } from '../src/limits/defaults.ts'
import type { ConcreteLimit } from '../src/index.ts'
import type { ScopeKey } from '../src/limits/limits.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30

// the soft limit of open files that most systems start with
const OPEN_FILES = 1024
const MACHINES: Array<[string, number]> = [['512 MiB', GiB / 2], ['4 GiB', 4 * GiB], ['32 GiB', 32 * GiB]]
const SCOPES: ScopeKey[] = ['system', 'transient', 'peerDefault', 'protocolDefault', 'protocolPeerDefault', 'serviceDefault', 'servicePeerDefault', 'connection', 'stream']

function cell (limit: ConcreteLimit): string {
  const parts = [
    counts('streams', limit.inboundStreams, limit.outboundStreams, limit.streams),
    counts('connections', limit.inboundConnections, limit.outboundConnections, limit.connections),
    limit.fileDescriptors > 0 ? `${limit.fileDescriptors} fds` : '',
    `${Math.floor(Number(limit.memory) / MiB)} MiB`
  ]

  return parts.filter(part => part !== '').join('<br>')
}

function counts (name: string, inbound: number | bigint, outbound: number | bigint, both: number | bigint): string {
  return both > 0 ? `${inbound} + ${outbound}, ${both} ${name}` : ''
}

const columns = MACHINES.map(([, memory]) => {
  return fitToNode(scaleLimits({ memory: memory / 8, fileDescriptors: OPEN_FILES / 2 }), DEFAULT_PROFILE, { memory: memory / 2, fileDescriptors: OPEN_FILES })
})

console.info(`| in \`limits\` | ${MACHINES.map(([name]) => name).join(' | ')} |`)
console.info(`| --- |${' --- |'.repeat(MACHINES.length)}`)

for (const scope of SCOPES) {
  console.info(`| \`${scope}\` | ${columns.map(limits => cell(limits[scope])).join(' | ')} |`)
}
