/**
 * @file A list of slices that is kept small, and a reservation as large as it.
 */

import { Reservation } from './reservation.ts'
import { Joiner } from './slices.ts'
import type { ListName } from './slices.ts'
import type { ResourceScope } from '../../core/types.ts'

export class Buffered {
  readonly joiner: Joiner
  readonly reservation: Reservation

  constructor (holder: object | undefined, name: ListName, scope: ResourceScope) {
    this.joiner = new Joiner(holder, name)
    this.reservation = new Reservation(scope)
  }
}
