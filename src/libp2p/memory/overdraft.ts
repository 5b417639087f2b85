/**
 * @file What is there although it could not be reserved, of all connections of a
 * node together.
 */

/** In bytes: half of what a node may hold beyond its limit */
const MOST = 64 * 1024 * 1024

/**
 * So much of each connection may be there in any case, in bytes. When the memory is
 * full, streams are aborted: the frames that say so must not cost the connection.
 */
export const CONTROL_FRAMES = 16 * 1024

/** How many holders there are at least before those that have ended are looked for */
const FEW = 64

/**
 * Who holds something
 */
interface Holder {
  /** Then it holds nothing any more */
  readonly ended: boolean
}

export class Overdraft {
  private readonly held = new Map<Holder, number>()
  private total = 0
  /** As many again as there were the last time, so that looking costs little */
  private sweepAt = FEW

  /**
   * @returns whether that much may be there, if not then nothing of it counts
   */
  set (holder: Holder, bytes: number): boolean {
    this.clear(holder)

    if (bytes === 0) {
      return true
    }

    if (this.total + bytes > MOST || this.held.size >= this.sweepAt) {
      this.removeEnded()
    }

    if (bytes > CONTROL_FRAMES && this.total + bytes > MOST) {
      return false
    }

    this.held.set(holder, bytes)
    this.total += bytes

    return true
  }

  private clear (holder: Holder): void {
    this.total -= this.held.get(holder) ?? 0
    this.held.delete(holder)
  }

  private removeEnded (): void {
    for (const holder of this.held.keys()) {
      if (holder.ended) {
        this.clear(holder)
      }
    }

    this.sweepAt = FEW + 2 * this.held.size
  }
}
