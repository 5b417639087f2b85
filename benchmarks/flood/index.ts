/**
 * @file The main job: floods a stock libp2p node, one that is opened wide and
 * one with the resource manager, and shows them side by side.
 */

import { parseArgs } from 'node:util'
import { killAll } from '../children.ts'
import { FULL, MODES, QUICK } from './plan.ts'
import { addresses, attackOver, comparison, faults, live, title } from './report.ts'
import { run } from './run.ts'
import { wrap } from './table.ts'
import { Terminal } from './terminal.ts'
import { watch } from './watch.ts'
import type { Pages } from './messages.ts'
import type { Mode, Plan } from './plan.ts'
import type { AttackResult, Progress, RunResult } from './run.ts'

const HELP = `Usage: npm start [-- options]

Floods three libp2p nodes, one after the other, and compares them:
  (a) stock      libp2p as it comes
  (b) wide       its connection manager and stream limits opened wide
  (c) protected  as (b), with the resource manager

Options:
  --quick        smaller attacks, under 30 seconds in all
  --only <mode>  stock, wide or protected, nothing else
  --watch        the protected node alone under a gentle load, to look at
                 it with the inspector and to try other limits there
  --minutes <n>  how long to watch, 10 if left out; Ctrl-C ends it before
  --help         this

The protected node serves its inspector, a web page that shows what it
holds and refuses, and metrics for Prometheus; their addresses are printed.

All processes run on this machine, listen and dial on 127.0.0.1 only,
and end by themselves within two minutes, or when they were watched.

Exit code: 0 if the protected node lost no honest request and kept its
limits, 1 if not, 2 if an option is not known.
`

/** Between lines where there is no live table, in milliseconds */
const PIPE_INTERVAL = 5000

/** How much longer than planned it may take, in milliseconds */
const GRACE = 2500

/** Until all processes of a watched node have started and ended, in milliseconds */
const START = 30_000

/** Of watching, in minutes */
const MINUTES = 10
const MOST_MINUTES = 24 * 60

interface Arguments {
  plan: Plan
  modes: readonly Mode[]
  /** For how long to watch, in milliseconds; undefined to compare */
  watchTime?: number
}

const terminal = new Terminal()
const stop = (code: number): void => {
  killAll()
  process.exit(code)
}

process.on('exit', killAll)
process.on('SIGINT', () => { stop(130) })
process.on('SIGTERM', () => { stop(143) })
process.on('SIGHUP', () => { stop(129) })
// whoever reads the output has gone
process.stdout.on('error', () => { stop(1) })

const { plan, modes, watchTime } = readArguments()
const started = performance.now()
const results: RunResult[] = []

// whatever hangs, this does not
setTimeout(() => {
  terminal.print('FAILED: it takes too long')
  stop(1)
}, (watchTime ?? plan.budget) + GRACE + (watchTime == null ? 0 : START)).unref()

if (watchTime != null) {
  process.exitCode = await showOne(watchTime)
} else {
  for (const [i, mode] of modes.entries()) {
    results.push(await show(mode, started + plan.budget * (i + 1) / modes.length))
  }

  process.exitCode = conclude()
}

function readArguments (): Arguments {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h' },
        quick: { type: 'boolean' },
        only: { type: 'string' },
        watch: { type: 'boolean' },
        minutes: { type: 'string' }
      }
    })

    if (values.help === true) {
      process.stdout.write(HELP)
      process.exit(0)
    }

    const only = MODES.filter(mode => mode === values.only)

    if (values.only != null && only.length === 0) {
      throw new Error(`Unknown mode '${values.only}', there are ${MODES.join(', ')}`)
    }

    const minutes = Number(values.minutes ?? MINUTES)

    if (!(minutes > 0 && minutes <= MOST_MINUTES)) {
      throw new Error(`It can be watched for up to ${MOST_MINUTES} minutes, not '${values.minutes}'`)
    }

    return {
      plan: values.quick === true ? QUICK : FULL,
      modes: values.only == null ? MODES : only,
      watchTime: values.watch === true ? minutes * 60_000 : undefined
    }
  } catch (err: any) {
    process.stderr.write(`${err.message}\n\n${HELP}`)
    process.exit(2)
  }
}

function onPages (pages: Pages): void {
  terminal.print(...addresses(pages))
}

/**
 * @returns the exit code
 */
async function showOne (time: number): Promise<number> {
  terminal.print(...wrap(`${title('protected')}, for ${time / 60_000} min, Ctrl-C ends it`, terminal.width))

  try {
    await watch({ time, onPages })
  } catch (err: any) {
    terminal.print(...wrap(`FAILED: ${err.message}`, terminal.width))
    return 1
  }

  terminal.print('The time is over.')
  return 0
}

async function show (mode: Mode, deadline: number): Promise<RunResult> {
  let lastLine = performance.now()

  const onProgress = (progress: Progress): void => {
    if (terminal.interactive) {
      terminal.draw(live(progress, terminal.width))
    } else if (performance.now() - lastLine > PIPE_INTERVAL) {
      lastLine = performance.now()
      terminal.print(...live(progress, terminal.width).slice(-1).map(line => `  ${line}`))
    }
  }

  terminal.print(...wrap(title(mode), terminal.width))

  const onAttackOver = (progress: Progress, attack: AttackResult): void => {
    lastLine = performance.now()
    terminal.print(...attackOver(progress, attack, terminal.width))
  }

  const result = await run({ mode, plan, deadline, onPages, onProgress, onAttackOver })

  if (result.failure != null) {
    terminal.print(...wrap(result.failure, terminal.width))
  }

  terminal.print('')

  return result
}

/**
 * @returns the exit code
 */
function conclude (): number {
  const { width } = terminal
  terminal.print(...comparison(results, width), '')

  for (const result of results.filter(({ mode }) => mode !== 'protected')) {
    terminal.print(...faults(result).flatMap(fault => wrap(`(${result.mode}) ${fault}`, width, '  ')))
  }

  const found = results.filter(({ mode }) => mode === 'protected').flatMap(faults)
  const seconds = `${Math.round((performance.now() - started) / 1000)} s`

  if (found.length > 0) {
    terminal.print(...found.flatMap(fault => wrap(fault, width, '  ')), `FAILED after ${seconds}`)
    return 1
  }

  if (modes.includes('protected')) {
    terminal.print(...wrap(`The protected node served every honest request and kept its limits. Done after ${seconds}.`, width))
  } else {
    terminal.print(`Done after ${seconds}.`)
  }

  return 0
}
