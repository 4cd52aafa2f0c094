// Runs a few seeds of both depths and prints the digest of each: for a test that compares processes, and versions of Node.
import { faultNames } from '../../lib/sim/faults.ts'
import { runSeed } from '../../lib/sim/run.ts'

const seeds = Number(process.argv[2] ?? 2)
for (const depth of ['shallow', 'deep'] as const) {
  for (let seed = 1; seed <= seeds; seed++) {
    const report = await runSeed({ seed, nodes: 3, clients: 3, depth, faults: faultNames, durationMs: 4_000 })
    const { digest, events, operations, violation } = report
    console.log(`${depth} ${seed} ${digest} ${events} ${operations} ${violation?.invariant ?? 'sound'}`)
  }
}
