/**
 * @file A few numbers of every second of the last minutes, so that the page has
 * them when it is opened.
 */

import { useOf } from '../observed.ts'
import type { InspectedManager } from './inspected.ts'
import type { Sample } from './page/messages.ts'

/** In seconds */
const LENGTH = 300

export class History {
  /** How many samples there ever were */
  count = 0

  private readonly manager: InspectedManager
  private readonly ring: Sample[] = []
  private refused: number

  constructor (manager: InspectedManager) {
    this.manager = manager
    this.refused = this.refusals()
  }

  /**
   * Called every second
   */
  take (): void {
    const { memory, connections, streams } = useOf(this.manager.viewSystem(scope => scope.stat()))
    const { resident = 0 } = this.manager.memoryUsage()
    const refused = this.refusals()

    this.ring[this.count++ % LENGTH] = { at: Date.now(), memory, resident, connections, streams, refusals: refused - this.refused }
    this.refused = refused
  }

  /**
   * The samples that somebody does not have yet who has seen this many
   */
  since (seen: number): Sample[] {
    const samples: Sample[] = []

    for (let i = Math.max(seen, this.count - LENGTH); i < this.count; i++) {
      samples.push(this.ring[i % LENGTH])
    }

    return samples
  }

  private refusals (): number {
    return this.manager.refusals().reduce((sum, { count }) => sum + count, 0)
  }
}
