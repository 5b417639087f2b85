/**
 * @file The hooks of one resource manager in one node, and what is known of the
 * node's connections and streams, which outlives taking the hooks out.
 */

import { install } from './install.ts'
import { ScopeMap } from './scope-map.ts'
import type { HookedComponents, InstallInit } from './install.ts'
import type { ServiceTable } from './services.ts'
import type { ResourceManager } from '../core/types.ts'

export interface NodeHooksInit extends Pick<InstallInit, 'baseMemory' | 'onFailure'> {
  services: ServiceTable
}

export class NodeHooks {
  readonly scopes = new ScopeMap()

  private readonly manager: ResourceManager
  private readonly init: NodeHooksInit
  private readonly components?: HookedComponents
  private undo?: () => void

  /**
   * Without components there is no node to hook into.
   */
  constructor (manager: ResourceManager, init: NodeHooksInit, components?: HookedComponents) {
    this.manager = manager
    this.init = init
    this.components = components
  }

  install (): void {
    const { components } = this
    const { services, baseMemory, onFailure } = this.init

    if (components != null) {
      this.undo ??= install(components, {
        manager: this.manager,
        scopes: this.scopes,
        baseMemory,
        onFailure,
        serviceOf: protocol => services.serviceOf(protocol, components.registrar)
      })
    }
  }

  uninstall (): void {
    this.undo?.()
    this.undo = undefined
  }
}
