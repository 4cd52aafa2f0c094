// Whole runs: storms of every kind over both depths, judged after each event and at their end; equal seeds, equal runs.
import { t } from 'tap'
import type { Depth } from '../../lib/sim/cluster.ts'
import { faultNames } from '../../lib/sim/faults.ts'
import { replayCommand } from '../../lib/sim/replay.ts'
import { type RunReport, runSeed } from '../../lib/sim/run.ts'

const scale = Number(process.env['SIM_SCALE'] ?? 1)
const firstSeed = Number(process.env['SIM_SEED'] ?? 1)
t.setTimeout(120_000 + scale * 120_000)

function run(depth: Depth, seed: number, nodes: number, durationMs: number): Promise<RunReport> {
  return runSeed({ seed, nodes, clients: 3, depth, faults: faultNames, durationMs })
}

for (const [depth, seeds, durationMs] of [
  ['shallow', 24, 12_000],
  ['deep', 6, 10_000]
] as const) {
  t.test(`${depth}: ${seeds * scale} storms of all faults break nothing`, async t => {
    const fired = new Set<string>()
    let operations = 0
    for (let seed = firstSeed; seed < firstSeed + seeds * scale; seed++) {
      const nodes = seed % 3 === 0 ? 3 : 5
      const { violation, faults, operations: calls } = await run(depth, seed, nodes, durationMs)
      const replay = replayCommand({ seed, nodes, clients: 3, depth, faults: faultNames, durationMs })
      if (violation !== null) t.fail(`${violation.invariant}: ${violation.message}\n${replay}`)
      for (const name of Object.keys(faults)) fired.add(name)
      operations += calls
    }
    t.ok(operations > 200 * seeds * scale, `${operations} calls of clients`)
    t.ok(fired.size > 15, `classes of faults that struck: ${[...fired].join(' ')}`)
  })
}

t.test('the same seed gives the same run, in both depths', async t => {
  for (const depth of ['shallow', 'deep'] as const) {
    const [one, two, other] = [
      await run(depth, 3, 3, 3_000),
      await run(depth, 3, 3, 3_000),
      await run(depth, 4, 3, 3_000)
    ]
    t.same(one, two, depth)
    t.not(one.digest, other.digest)
  }
})
