/**
 * @file Prints every step of nodes that are set up in different ways, and what the
 * application failed at when it failed.
 *
 * Run it with `node test/faults/list.ts`
 */

/* eslint-disable no-console */

import { KINDS } from './faults.ts'
import { casesOf, Harness, recordSteps, SETUPS } from './harness.ts'
import { reasonAgainst } from './steps.ts'

for (const [name, init] of Object.entries(SETUPS)) {
  const recorded = await recordSteps(init)
  const harness = new Harness(init)
  await harness.run(casesOf(init, recorded))

  const reasons: string[] = []
  const rows: string[][] = []

  for (const { side, step } of recorded) {
    const row = [`${side}: ${step.name}`]

    for (const kind of KINDS) {
      const reason = reasonAgainst(init, side, step, kind)

      if (reason == null) {
        const { hit, stage, left } = await harness.outcome({ side, step, kind })
        const notes = [...hit ? [] : ['not reached'], ...left.map(what => `left: ${what}`)]
        row.push([stage, ...notes].join(', '))
      } else {
        reasons.push(...reasons.includes(reason) ? [] : [reason])
        row.push(`(${reasons.indexOf(reason) + 1})`)
      }
    }

    rows.push(row)
  }

  await harness.stop()

  console.info(`\n${name}\n`)
  print([['step', ...KINDS], ...rows])
  reasons.forEach((reason, i) => { console.info(`(${i + 1}) ${reason}`) })
}

function print (rows: string[][]): void {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))

  for (const row of rows) {
    console.info(row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd())
  }
}
