/**
 * @file At which priority memory is reserved for what a remote makes the node
 * hold.
 */

import { ReservationPriority } from '../../core/types.ts'
import type { PeerScope, ResourceManager, ResourceScope, StreamScope } from '../../core/types.ts'

/**
 * So many peers with a share each fill a part of the limit that those with more
 * than a share cannot have
 */
const SHARES = 128

/**
 * No share is smaller, in bytes: one connection with a few slow streams
 */
const LEAST_SHARE = 1024 * 1024

/**
 * While the system has room, everybody may use it. When it fills up, a peer that
 * holds more than its share gets no more, so that the rest of the memory is left
 * for those that hold little: a few greedy peers cannot use up what others need.
 */
export class FairShare {
  private readonly manager: ResourceManager

  constructor (manager: ResourceManager) {
    this.manager = manager
  }

  /**
   * @param peer - the scope of the peer, undefined until it is known
   * @param beyond - for one that holds more than its share
   */
  priorityFor (peer?: PeerScope, beyond: number = ReservationPriority.Medium): number {
    if (peer == null) {
      return ReservationPriority.Always
    }

    const limit = this.manager.viewSystem(limitOf)

    // what a reservation at medium priority would find
    if (this.manager.viewSystem(useOf) <= limit * (1 + ReservationPriority.Medium) / 256) {
      return ReservationPriority.Always
    }

    return this.isExceededBy(peer) ? beyond : ReservationPriority.Always
  }

  /**
   * For what is on its way through a connection, which costs all of its streams if
   * it is refused: theirs is refused before
   */
  priorityForConnection (peer?: PeerScope): number {
    return this.priorityFor(peer, ReservationPriority.High)
  }

  /**
   * Whether the stream may be let to send so much at once
   */
  hasPlentyOfRoom (stream: StreamScope, bytes: number): boolean {
    return [stream, stream.peerScope, stream.protocolScope, stream.serviceScope].every(scope => scope == null || hasPlentyOfRoom(scope, bytes)) &&
      this.manager.viewSystem(scope => hasPlentyOfRoom(scope, bytes))
  }

  isExceededBy (peer?: PeerScope): boolean {
    return peer != null && peer.stat().memory > Math.max(LEAST_SHARE, this.manager.viewSystem(limitOf) / SHARES)
  }
}

/**
 * Whether a scope has plenty of room for so many bytes, without asking for them:
 * a refusal of what is optional is nothing that anybody must hear of
 */
function hasPlentyOfRoom (scope: ResourceScope, bytes: number): boolean {
  return useOf(scope) + bytes <= limitOf(scope) * (1 + ReservationPriority.Low) / 256
}

function limitOf (scope: ResourceScope): number {
  return Number(scope.limit.memory)
}

function useOf (scope: ResourceScope): number {
  return scope.stat().memory
}
