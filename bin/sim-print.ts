// What `stretto sim` says at its end: a table of figures, what struck how often, and each violation with its replay.

import { faultNames } from '../lib/sim/faults.ts'
import { type Case, formatCase } from '../lib/sim/shrink/case.ts'
import type { SimulateReport } from '../lib/sim/tally.ts'
import { type Output, printJson, printTable, shown } from './print.ts'

/** The smallest case found that breaks the same as the first violation. */
export interface FirstShrunk {
  readonly found: Case
  /** False where it was left before nothing more could be taken away. */
  readonly minimal: boolean
}

export async function printReport(report: SimulateReport, shrunk: FirstShrunk | null, output: Output): Promise<void> {
  if (output === 'json') printJson(jsonOf(report, shrunk))
  else await printTables(report)
  const say = (text: string): void => void (output === 'json' ? process.stderr : process.stdout).write(`${text}\n`)
  if (report.neverFired.length > 0) say(`Asked for, and never struck: ${report.neverFired.join(', ')}.`)
  for (const [at, violation] of report.violations.entries()) {
    const { seed, invariant, message, replay } = violation
    say(`\nseed ${seed} broke ${shown(invariant)}: ${shownLines(message)}\n  ${replay}`)
    if (at > 0 || shrunk === null) continue
    const what = shrunk.minimal ? 'the smallest case that still breaks it' : 'a smaller case that still breaks it'
    say(`${what}; as a file, it runs by: npx stretto sim --schedule FILE\n${formatCase(shrunk.found).trimEnd()}`)
  }
}

function jsonOf(report: SimulateReport, shrunk: FirstShrunk | null): object {
  const { seeds, virtualMs, events, operations, faults, neverFired, violations, digest } = report
  const told = violations.map(({ seed, invariant, message, replay }, at) => {
    return { seed, invariant, message, replay, ...(at === 0 && shrunk !== null && { case: shrunk.found }) }
  })
  return { seeds, virtualMs, events, operations, faults, neverFired, violations: told, digest }
}

async function printTables({ faults, ...report }: SimulateReport): Promise<void> {
  const { seeds, virtualMs, events, operations, violations, digest } = report
  await printTable(
    ['seeds', 'virtual hours', 'events', 'operations checked', 'violations', 'digest'],
    [[counted(seeds), hours(virtualMs), counted(events), counted(operations), counted(violations.length), digest]]
  )
  const struck = faultNames.flatMap(name => (faults[name] === undefined ? [] : [[name, counted(faults[name])]]))
  if (struck.length > 0) await printTable(['fault', 'times it struck'], struck)
}

function hours(ms: number): string {
  return (ms / 3_600_000).toFixed(ms < 36_000_000 ? 3 : 1)
}

function counted(count: number): string {
  return count.toLocaleString('en')
}

function shownLines(text: string): string {
  return text.split('\n').map(shown).join('\n  ')
}
