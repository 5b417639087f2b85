/**
 * @file A distribution as two histograms that only rise: how many came to a value
 * and how many left it.
 *
 * go-libp2p observes a change in both when it happens, the old value in
 * `previous_X` and the new one in `X`, so that bucket by bucket X − previous_X is
 * the distribution now. Here the distribution is calculated when it is scraped, and
 * what has changed since the last scrape is observed then: values that more have
 * than before in X, values that fewer have in previous_X. The difference is the
 * same, exactly and for the sums too. What comes and goes between two scrapes is in
 * neither, and nothing happens while nobody scrapes.
 */

import { Histogram } from 'prom-client'
import type { Registry } from 'prom-client'

export interface HistogramPairInit {
  name: string
  previousName: string
  help: string
  buckets: readonly number[]
  labelNames: string[]
  registers: Registry[]
  /** Labels, and the values that are distributed now; zeros do not count */
  read(): Array<[labels: Record<string, string>, values: number[]]>
}

/**
 * What has been observed under one set of labels
 */
interface Series {
  labels: Record<string, string>
  /** How many have each value */
  counts: Map<number, number>
}

export class HistogramPair {
  readonly name: string
  readonly now: Histogram

  private readonly previous: Histogram
  private readonly read: HistogramPairInit['read']
  private readonly series = new Map<string, Series>()

  constructor ({ name, previousName, help, read, buckets, ...init }: HistogramPairInit) {
    const collect = (): void => { this.update() }

    this.name = name
    this.read = read
    this.now = new Histogram({ ...init, name, help, buckets: [...buckets], collect })
    this.previous = new Histogram({
      ...init,
      name: previousName,
      help: `${help}, at an earlier time: ${name} less this is the distribution now`,
      buckets: [...buckets],
      collect
    })

    const reset = [this.now.reset.bind(this.now), this.previous.reset.bind(this.previous)]

    // one without the other would make their difference wrong for good
    this.now.reset = this.previous.reset = () => {
      reset.forEach(fn => { fn() })
      this.series.clear()
    }
  }

  /**
   * Removes what was observed for a set of labels, whatever other labels it has
   */
  forget (labels: Record<string, string>): void {
    for (const [key, series] of this.series) {
      if (Object.entries(labels).every(([name, value]) => series.labels[name] === value)) {
        this.now.remove(series.labels)
        this.previous.remove(series.labels)
        this.series.delete(key)
      }
    }
  }

  /**
   * Done when either histogram is collected: the second time nothing has changed
   */
  private update (): void {
    for (const [labels, values] of this.read()) {
      const series = this.seriesOf(labels)
      const counts = countOf(values)

      for (const [value, count] of counts) {
        observe(this.now, labels, value, count - (series.counts.get(value) ?? 0))
      }

      for (const [value, count] of series.counts) {
        observe(this.previous, labels, value, count - (counts.get(value) ?? 0))
      }

      series.counts = counts
    }
  }

  private seriesOf (labels: Record<string, string>): Series {
    const key = JSON.stringify(Object.entries(labels))
    let series = this.series.get(key)

    if (series === undefined) {
      // both are there from the start, or their difference would not be
      this.now.zero(labels)
      this.previous.zero(labels)
      series = { labels, counts: new Map() }
      this.series.set(key, series)
    }

    return series
  }
}

function observe (histogram: Histogram, labels: Record<string, string>, value: number, times: number): void {
  for (let i = 0; i < times; i++) {
    histogram.observe(labels, value)
  }
}

function countOf (values: number[]): Map<number, number> {
  const counts = new Map<number, number>()

  for (const value of values) {
    if (value > 0) {
      counts.set(value, (counts.get(value) ?? 0) + 1)
    }
  }

  return counts
}
