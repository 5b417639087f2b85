/**
 * @file What a node shows of itself on loopback: the inspector, and metrics for
 * Prometheus.
 */

import { createServer } from 'node:http'
import { serveInspector } from '../../src/observe/inspector/inspector.ts'
import { registerPrometheusMetrics } from '../../src/observe/prometheus.ts'
import type { Pages } from './messages.ts'
import type { DefaultResourceManager } from '../../src/index.ts'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

export interface PagesOptions {
  /** What the inspector calls the node */
  name: string
  allowChanges: boolean
}

/**
 * The metrics of go-libp2p are added to the registry, which has the node's own
 */
export async function servePages (manager: DefaultResourceManager, registry: Registry, options: PagesOptions): Promise<Omit<Pages, 'trace'>> {
  registerPrometheusMetrics(manager, registry)

  const server = createServer((request, response) => {
    registry.metrics().then(text => {
      response.setHeader('content-type', registry.contentType)
      response.end(text)
    }, err => {
      response.statusCode = 500
      response.end(err.message)
    })
  })

  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })

  return {
    inspector: (await serveInspector(manager, options)).url,
    metrics: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
  }
}
