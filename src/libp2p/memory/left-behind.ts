/**
 * @file Streams that have closed with data that the application has not read. It
 * may still read it for as long as it refers to the stream, so the memory is
 * reserved in the scope of the peer until the data is read or the stream is
 * garbage.
 */

import type { ResourceManager, ResourceScopeSpan } from '../../core/types.ts'
import type { PeerId, Stream } from '@libp2p/interface'

export class LeftBehind {
  private readonly manager: ResourceManager
  private readonly spans = new Set<ResourceScopeSpan>()
  private readonly garbage = new FinalizationRegistry<ResourceScopeSpan>(span => { this.end(span) })

  constructor (manager: ResourceManager) {
    this.manager = manager
  }

  begin (stream: Stream, peer: PeerId): ResourceScopeSpan {
    const span = this.manager.viewPeer(peer, scope => scope.beginSpan())

    this.spans.add(span)
    // the span must not refer to the stream
    this.garbage.register(stream, span, span)

    return span
  }

  end (span: ResourceScopeSpan): void {
    this.garbage.unregister(span)
    this.spans.delete(span)
    span.done()
  }

  /**
   * The node has stopped
   */
  endAll (): void {
    for (const span of this.spans) {
      this.end(span)
    }
  }
}
