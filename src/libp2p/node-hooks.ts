/**
 * @file The hooks of one resource manager in one node, and what is known of the
 * node's connections and streams, which outlives taking the hooks out.
 */

import { install } from './install.ts'
import { ScopeMap } from './scope-map.ts'
import type { HookedComponents } from './install.ts'
import type { ServiceTable } from './services.ts'
import type { ResourceManager } from '../core/types.ts'

export class NodeHooks {
  readonly scopes = new ScopeMap()

  private readonly manager: ResourceManager
  private readonly services: ServiceTable
  private readonly components?: HookedComponents
  private undo?: () => void

  /**
   * Without components there is no node to hook into.
   */
  constructor (manager: ResourceManager, services: ServiceTable, components?: HookedComponents) {
    this.manager = manager
    this.services = services
    this.components = components
  }

  install (): void {
    const { components } = this

    if (components != null) {
      this.undo ??= install(components, this.manager, this.scopes, protocol => this.services.serviceOf(protocol, components.registrar))
    }
  }

  uninstall (): void {
    this.undo?.()
    this.undo = undefined
  }
}
