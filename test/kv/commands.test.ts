// The key-value API against a plain map: whatever is called, and whoever dies meanwhile, both say the same.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { failureOf } from '../help/before-tap.ts'
import { Believed, Bench } from '../help/kv-bench.ts'
import { commandsOfOne, commandsOfThree } from '../help/kv-commands.ts'

const runs = Number(process.env['FC_RUNS'] ?? 20)
const totals = { flushes: 0, revisions: 0, events: 0 }

type Commands = typeof commandsOfOne extends fc.Arbitrary<infer C> ? C : never

async function play(nodes: number, seed: number, commands: Commands): Promise<void> {
  const believed = new Believed()
  const bench = new Bench(seed, nodes)
  await bench.found()
  await fc.asyncModelRun(() => ({ model: believed, real: bench }), commands)
  await bench.rest(4000)
  if (believed.down !== null) bench.node(believed.down).start()
  const count = await bench.end(bench.client.count())
  deepStrictEqual(count, { result: believed.store.entries.size })
  deepStrictEqual(await bench.end(bench.client.close()), { result: undefined })
  totals.flushes += bench.flushes
  totals.events += bench.cluster.world.events
  totals.revisions += believed.store.revision
}

const seed = fc.noShrink(fc.nat())
const failures = [
  await failureOf(
    runs,
    fc.asyncProperty(seed, commandsOfOne, (at, commands) => play(1, at, commands))
  ),
  await failureOf(
    runs,
    fc.asyncProperty(seed, commandsOfThree, (at, commands) => play(3, at, commands))
  )
]

const { t } = await import('tap')
for (const [at, name] of ['one node, restarted', 'three nodes, of which one may be down'].entries()) {
  t.test(name, async t => {
    const failure = failures[at]
    if (failure) throw failure
    t.equal(failure, null)
  })
}
t.test('states were written and flushed', async t => {
  t.ok(totals.flushes > runs, `${totals.flushes} flushes`)
  t.ok(totals.revisions > runs, `${totals.revisions} revisions`)
})
