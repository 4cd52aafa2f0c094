// Runs in a process of its own, inside an overlay: seed after seed, or one scenario, until something breaks or time is over.

import { Violation } from '../../lib/sim/ghost/violation.ts'
import { runSeed } from '../../lib/sim/run.ts'
import type { Scenario, Storm } from './mutant.ts'

export interface Task {
  readonly by: Storm | Scenario
  /** Seeds from 1 to this. */
  readonly seeds: number
  /** Of processor time, milliseconds. */
  readonly budgetMs: number
  /** All seeds are run, whatever the first one shows, and however long it takes. */
  readonly control: boolean
}

export interface Finding {
  readonly code: string
  readonly text: string
  /** Null for a scenario. */
  readonly seed: number | null
}

export interface Report {
  readonly findings: readonly Finding[]
  /** Seeds that were run, or 1 for a scenario. */
  readonly runs: number
}

async function detect({ by, seeds, budgetMs, control }: Task): Promise<Report> {
  if ('scenario' in by) {
    const finding = await caught(() => play(by.scenario), null)
    return { findings: finding === null ? [] : [finding], runs: 1 }
  }
  const end = control ? Number.POSITIVE_INFINITY : budgetMs
  const findings: Finding[] = []
  let seed = 0
  while (seed < seeds && processorMs() < end) {
    seed++
    const finding = await caught(() => storm(by, seed), seed)
    if (finding === null) continue
    findings.push(finding)
    if (!control) break
  }
  return { findings, runs: seed }
}

/** What this process has used: on a busy machine, a truer measure than the clock. */
function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

async function storm(by: Storm, seed: number): Promise<void> {
  const { depth, faults, nodes = 3, clients = 3, durationMs = 20_000, schedule } = by
  const { violation } = await runSeed({
    seed,
    depth,
    faults,
    nodes,
    clients,
    durationMs,
    ...(schedule && { schedule })
  })
  if (violation !== null) throw new Violation(violation.invariant, violation.message)
}

async function play(name: string): Promise<void> {
  const { scenario } = (await import(`../sim/review/${name}.ts`)) as { scenario: () => void | Promise<void> }
  await scenario()
}

/** What broke; an error that is no broken invariant has the code of none. */
async function caught(run: () => Promise<void>, seed: number | null): Promise<Finding | null> {
  try {
    await run()
    return null
  } catch (error) {
    const { name, message, stack = message } = error as Error
    if (error instanceof Violation) return { code: error.invariant, text: message, seed }
    return name === 'AssertionError' ? { code: 'IX1', text: message, seed } : { code: name, text: stack, seed }
  }
}

const report = await detect(JSON.parse(process.argv[2]!) as Task)
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
