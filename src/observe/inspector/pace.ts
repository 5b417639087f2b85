/**
 * @file Keeps what others ask for from taking the node's time: with very many peers
 * a snapshot or a preview takes long, and the next one waits for many times as long.
 */

/** So that no more than a twentieth of the time is taken */
const PAUSE = 20

/** Of those who ask */
const MOST_WAITING = 8

export class Pace {
  /** When the next may begin, as `performance.now()` has it */
  private rested = 0
  private waiting = 0
  private last: Promise<void> = Promise.resolve()

  /**
   * In milliseconds
   */
  get rest (): number {
    return Math.max(0, this.rested - performance.now())
  }

  get isFull (): boolean {
    return this.waiting >= MOST_WAITING
  }

  spend <T> (act: () => T): T {
    const start = performance.now()

    try {
      return act()
    } finally {
      const end = performance.now()
      this.rested = end + PAUSE * (end - start)
    }
  }

  /**
   * Waits for all who have come before, and a rest, then acts
   */
  async inTurn <T> (act: () => T): Promise<T> {
    this.waiting++

    const turn = this.last.then(async () => {
      const { rest } = this

      if (rest > 0) {
        await new Promise<void>(resolve => { setTimeout(resolve, rest).unref() })
      }

      this.waiting--

      return this.spend(act)
    })

    this.last = turn.then(() => {}, () => {})

    return turn
  }
}
