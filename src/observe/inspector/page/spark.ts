/**
 * @file The last minutes of some numbers as a line.
 */

import { h } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import Plot from 'uplot'
import type { VNode } from 'preact'

const HEIGHT = 52

/** In seconds: what little there is at first does not fill all of it */
const LEAST_SPAN = 60

export interface SparkProps {
  label: string
  /** In seconds */
  times: number[]
  /** The first is filled, the others are thin */
  lines: number[][]
}

export function Spark ({ label, times, lines }: SparkProps): VNode<any> {
  const holder = useRef<HTMLDivElement>(null)
  const plot = useRef<Plot>(undefined)

  useEffect(() => {
    const element = holder.current

    if (element === null) {
      return
    }

    const build = (): void => {
      plot.current?.destroy()
      plot.current = new Plot(options(element, lines.length), [[], ...lines.map(() => [])], element)
    }

    // canvases know nothing of colours that change
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }))

    build()
    resized.observe(element)
    dark.addEventListener('change', build)

    return () => {
      resized.disconnect()
      dark.removeEventListener('change', build)
      plot.current?.destroy()
    }
  }, [])

  useEffect(() => {
    plot.current?.setData([times, ...lines])
  }, [times])

  return h('div', { class: 'spark', ref: holder, role: 'img', 'aria-label': label })
}

function options (element: HTMLElement, lines: number): Plot.Options {
  const style = getComputedStyle(element)
  const colour = style.getPropertyValue('--accent')
  const series: Plot.Series[] = Array.from({ length: lines }, (_, i) => i === 0
    ? { stroke: colour, width: 1.5, fill: style.getPropertyValue('--accent-faint'), points: { show: false } }
    : { stroke: style.getPropertyValue('--muted'), width: 1, dash: [4, 3], points: { show: false } })

  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [3, 0, 1, 0],
    cursor: { show: false },
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { range: (_, min, max) => [Math.min(min ?? 0, (max ?? 0) - LEAST_SPAN), max ?? 0] },
      y: { range: (_, min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] }
    },
    series: [{}, ...series]
  }
}
