/**
 * @file The hooks of one resource manager in one node, and what is known of the
 * node's connections and streams, which outlives taking the hooks out.
 */

import { install } from './install.ts'
import { ScopeMap } from './scope-map.ts'
import type { HookedComponents, InstallInit } from './install.ts'
import type { ServiceTable } from './services.ts'
import type { ResourceManager } from '../core/types.ts'

export interface NodeHooksInit extends Pick<InstallInit, 'baseMemory'> {
  services: ServiceTable
}

export class NodeHooks {
  readonly scopes = new ScopeMap()

  private readonly manager: ResourceManager
  private readonly services: ServiceTable
  private readonly baseMemory: InstallInit['baseMemory']
  private readonly components?: HookedComponents
  private undo?: () => void

  /**
   * Without components there is no node to hook into.
   */
  constructor (manager: ResourceManager, { services, baseMemory }: NodeHooksInit, components?: HookedComponents) {
    this.manager = manager
    this.services = services
    this.baseMemory = baseMemory
    this.components = components
  }

  install (): void {
    const { components } = this

    if (components != null) {
      this.undo ??= install(components, {
        manager: this.manager,
        scopes: this.scopes,
        baseMemory: this.baseMemory,
        serviceOf: protocol => this.services.serviceOf(protocol, components.registrar)
      })
    }
  }

  uninstall (): void {
    this.undo?.()
    this.undo = undefined
  }
}
