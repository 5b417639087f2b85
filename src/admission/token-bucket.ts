/**
 * @file Token buckets: how often something may happen, with bursts.
 */

import { InvalidLimitError } from '../core/errors.ts'
import { readCount } from './checks.ts'
import { NetworkMap } from './network-map.ts'
import type { IpAddress } from './addresses.ts'

/**
 * How often something may happen. Starts with `burst` at once.
 */
export interface Rate {
  /** How many in a second in the long run; 0 lets only the burst through, Infinity everything */
  perSecond: number
  /** How many at once after a pause that was long enough; 0 lets nothing through, Infinity everything */
  burst: number
}

/**
 * Lets everything through
 */
export const UNLIMITED: Rate = Object.freeze({ perSecond: Infinity, burst: Infinity })

/**
 * Milliseconds on a clock that never goes back
 */
export type Clock = () => number

export const RATE_FIELDS = ['perSecond', 'burst'] as const satisfies ReadonlyArray<keyof Rate>

/**
 * How long a bucket is kept after it is full again, in milliseconds
 *
 * @see https://github.com/libp2p/go-libp2p/blob/v0.48.0/p2p/host/resource-manager/conn_rate_limiter.go#L57
 */
export const IDLE_GRACE = 60_000

// from this many buckets on full ones are looked for without waiting for removeIdle
const MANY = 65_536

const SECOND = 1_000

/**
 * @throws {InvalidLimitError} naming path, value and what is allowed
 */
export function readRate (rate: Partial<Rate>, path: string): Rate {
  const { perSecond } = rate

  if (typeof perSecond !== 'number' || !(perSecond >= 0)) {
    throw new InvalidLimitError(`${path}.perSecond`, perSecond, 'a non-negative number, 0 for the burst alone, or Infinity to let everything through')
  }

  // -0 is 0
  return Object.freeze({ perSecond: perSecond + 0, burst: readCount(rate.burst, `${path}.burst`) })
}

/**
 * Holds up to `burst` tokens, gains `perSecond`, gives one to each that asks
 */
class TokenBucket {
  private rate: Rate
  private tokens: number
  // when there were so many
  private at: number

  constructor (rate: Rate, now: number) {
    this.rate = rate
    this.tokens = rate.burst
    this.at = now
  }

  /**
   * @returns undefined if there was a token, or else the milliseconds until
   * there is one
   */
  take (rate: Rate, now: number): number | undefined {
    this.refill(now)
    this.rate = rate
    this.tokens = Math.min(this.tokens, rate.burst)

    if (this.tokens < 1) {
      return wait(1 - this.tokens, rate)
    }

    this.tokens--
  }

  /**
   * For how many milliseconds it has been full, negative for those to go
   */
  fullFor (now: number): number {
    return now - this.at - wait(this.rate.burst - this.tokens, this.rate)
  }

  private refill (now: number): void {
    // a clock that goes back after all must not make the same time count twice
    if (now > this.at) {
      this.tokens = Math.min(this.rate.burst, this.tokens + (now - this.at) * this.rate.perSecond / SECOND)
      this.at = now
    }
  }
}

/**
 * Milliseconds until so many tokens have come
 */
function wait (tokens: number, { perSecond, burst }: Rate): number {
  if (tokens <= 0) {
    return 0
  }

  return burst < 1 ? Infinity : tokens * SECOND / perSecond
}

/**
 * Where buckets are kept
 */
interface BucketStore<K> {
  readonly size: number
  get(key: K): TokenBucket | undefined
  set(key: K, bucket: TokenBucket): unknown
  deleteWhere(test: (bucket: TokenBucket) => boolean): void
}

class KeyStore extends Map<string, TokenBucket> {
  deleteWhere (test: (bucket: TokenBucket) => boolean): void {
    for (const [key, bucket] of this) {
      if (test(bucket)) {
        this.delete(key)
      }
    }
  }
}

/**
 * A bucket for each key. A key without one has a full bucket.
 */
export class TokenBuckets<K> {
  private readonly buckets: BucketStore<K>
  private many = MANY

  private constructor (buckets: BucketStore<K>) {
    this.buckets = buckets
  }

  static byKey (): TokenBuckets<string> {
    return new TokenBuckets(new KeyStore())
  }

  static byNetwork (prefixLength: number): TokenBuckets<IpAddress> {
    return new TokenBuckets(new NetworkMap<TokenBucket>(prefixLength))
  }

  get size (): number {
    return this.buckets.size
  }

  /**
   * Takes a token from the bucket of a key. A rate that has changed holds from
   * now on, what the bucket has gained until now stays.
   *
   * @returns undefined if there was a token, or else the milliseconds until
   * there is one, Infinity if there never will be
   */
  take (key: K, rate: Rate, now: number): number | undefined {
    if (rate.perSecond === Infinity || rate.burst === Infinity) {
      return undefined
    }

    let bucket = this.buckets.get(key)

    if (bucket === undefined) {
      if (rate.burst === 0) {
        return Infinity
      }

      if (this.buckets.size >= this.many) {
        // a full bucket is as good as none. Doubling keeps the cost for each
        // new key constant, and what is kept within twice of what is needed
        this.removeIdle(now, 0)
        this.many = Math.max(MANY, 2 * this.buckets.size)
      }

      bucket = new TokenBucket(rate, now)
      this.buckets.set(key, bucket)
    }

    return bucket.take(rate, now)
  }

  /**
   * Forgets buckets that have been full for so many milliseconds
   */
  removeIdle (now: number, grace: number = IDLE_GRACE): void {
    this.buckets.deleteWhere(bucket => bucket.fullFor(now) >= grace)
  }
}
