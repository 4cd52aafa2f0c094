// The gate: plants each mutant in a copy of the sources, lets the simulator look for it, and fails where one is not found.
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { printJson, printLine, printTable } from '../../bin/print.ts'
import type { Finding, Report, Task } from './detect.ts'
import { type Mutant, type Patch, type Scenario, type Storm, shows } from './mutant.ts'
import { Overlay } from './overlay.ts'
import { planted } from './planted.ts'

const usage = `npm run mutants -- [NAME...] [options]
  NAME               only mutants whose names contain it
  --part K/N         every N-th mutant, from the K-th on: a part of the gate that rotates
  --budget SECONDS   of processor time for each mutant (60)
  --seeds N          for each mutant (400)
  --within SECONDS   by the clock, for all of it: what is not decided by then is named, and left for another time
  --children N       processes at a time (half the processors, at most 2)
  --json             one object on stdout instead of a table`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    part: { type: 'string', default: '1/1' },
    budget: { type: 'string', default: '60' },
    seeds: { type: 'string', default: '400' },
    within: { type: 'string', default: 'Infinity' },
    children: { type: 'string', default: String(Math.max(1, Math.min(2, availableParallelism() >> 1))) },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

const seeds = Number(values.seeds)
const budgetMs = 1000 * Number(values.budget)
/** A child that takes so many times its budget by the clock hangs. */
const patience = 10
/** By the clock of the process. A third of the time is kept for the control. */
const end = performance.now() + 1000 * Number(values.within)
const soughtEnd = performance.now() + (1000 * Number(values.within) * 2) / 3

interface Result {
  readonly name: string
  readonly invariant: string
  readonly found: boolean
  readonly seed: number | null
  readonly ms: number
  /** The code that was seen first, what was said with it; or why there is none. */
  readonly by: string | null
  readonly text: string
}

/** One child: the report, or why it gave none; null where its time is over. */
function run(folder: string, task: Task, until: number): Promise<Report | string | null> {
  return new Promise(resolve => {
    const script = join(folder, 'test/mutants/detect.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(task)], { cwd: folder })
    let [out, err] = ['', '']
    let timedOut = false
    const killAt = Math.min(until, performance.now() + patience * task.budgetMs)
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
    }, killAt - performance.now())
    child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()))
    child.stderr.on('data', (bytes: Buffer) => (err += bytes.toString()))
    child.on('close', code => {
      clearTimeout(timer)
      const line = out.trim().split('\n').at(-1)!
      if (code === 0 && line.startsWith('{')) resolve(JSON.parse(line) as Report)
      else if (!timedOut) resolve(`the detector ended with ${code}: ${err.trim()}`)
      else resolve(killAt === until ? null : 'it hangs')
    })
  })
}

async function inOverlay(patches: readonly Patch[], task: Task): Promise<Report | string | null> {
  const overlay = new Overlay(patches)
  try {
    return await run(overlay.folder, task, soughtEnd)
  } finally {
    overlay.remove()
  }
}

/** Null where time is over before it is decided. */
async function seek(mutant: Mutant): Promise<Result | null> {
  const began = performance.now()
  if (began >= soughtEnd) return null
  const report = await inOverlay(mutant.patches, { by: mutant.by, seeds, budgetMs, control: false })
  if (report === null) return null
  const ms = Math.round(performance.now() - began)
  const { name, invariant } = mutant
  if (typeof report === 'string') return { name, invariant, found: false, seed: null, ms, by: null, text: report }
  const [finding] = report.findings
  if (finding === undefined) {
    return { name, invariant, found: false, seed: null, ms, by: null, text: `silent in ${report.runs} runs` }
  }
  const { seed, code, text } = finding
  return { name, invariant, found: shows(mutant, finding), seed, ms, by: code, text }
}

/** What the code as it is must not show, in the very runs in which mutants were found. */
async function control(results: readonly Result[]): Promise<readonly Finding[]> {
  const tasks = new Map<string, { by: Storm | Scenario; seeds: number }>()
  for (const { name, found, seed } of results) {
    if (!found) continue
    const { by } = planted.find(mutant => mutant.name === name)!
    const key = JSON.stringify(by)
    tasks.set(key, { by, seeds: Math.max(seed ?? 1, tasks.get(key)?.seeds ?? 1) })
  }
  const findings: Finding[] = []
  const overlay = new Overlay([])
  await inParallel([...tasks.values()], async task => {
    if (performance.now() >= end) return
    const report = await run(overlay.folder, { ...task, budgetMs, control: true }, end)
    if (report === null) return
    if (typeof report === 'string') findings.push({ code: 'none', text: report, seed: null })
    else findings.push(...report.findings)
  })
  overlay.remove()
  return findings
}

async function inParallel<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  const lane = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await each(item)
  }
  await Promise.all(Array.from({ length: Number(values.children) }, lane))
}

function chosen(): readonly Mutant[] {
  const [part = 1, parts = 1] = values.part.split('/').map(Number)
  const named = (name: string): boolean => positionals.length === 0 || positionals.some(wanted => name.includes(wanted))
  return planted.filter(({ name }, at) => at % parts === part - 1 && named(name))
}

/** A story is over in seconds; a storm may take all of its budget. */
function quickFirst(mutants: readonly Mutant[]): readonly Mutant[] {
  return mutants.toSorted((a, b) => Number('scenario' in b.by) - Number('scenario' in a.by))
}

async function gate(): Promise<boolean> {
  const mutants = chosen()
  const results: Result[] = []
  const left: string[] = []
  await inParallel(quickFirst(mutants), async mutant => {
    const result = await seek(mutant)
    if (result === null) {
      left.push(mutant.name)
      return
    }
    results.push(result)
    const { name, found, by, seed, ms, text } = result
    const what = found
      ? `${by} at ${seed === null ? 'once' : `seed ${seed}`}`
      : `NOT FOUND, ${by ?? 'nothing'}: ${text}`
    process.stderr.write(`${results.length}/${mutants.length} ${name}: ${what} (${ms} ms)\n`)
  })
  const order = mutants.map(({ name }) => name)
  results.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
  const falseAlarms = await control(results)
  const found = results.filter(result => result.found).length
  if (values.json) printJson({ planted: mutants.length, found, mutants: results, left, falseAlarms })
  else {
    const rows = results.map(result => [
      result.name,
      result.invariant,
      result.found ? (result.by ?? '') : 'not found',
      result.seed ?? '',
      result.ms
    ])
    await printTable(['mutant', 'invariant', 'found by', 'seed', 'ms'], rows)
    for (const { code, seed, text } of falseAlarms) {
      printLine(`without any mutant, ${seed === null ? 'a scenario' : `seed ${seed}`} shows ${code}: ${text}`)
    }
    if (left.length > 0) printLine(`left for another time: ${left.join(', ')}`)
    printLine(`found ${found} of ${results.length}`)
  }
  return found === results.length && falseAlarms.length === 0
}

if (values.help) printLine(usage)
else process.exitCode = (await gate()) ? 0 : 1
