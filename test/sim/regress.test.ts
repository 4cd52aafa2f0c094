// Every case that once showed a fault, of stretto or of the simulator, is run again: see its `note`, and docs/BUGS.md.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { t } from 'tap'
import { formatCase, readCase, runCase } from '../../lib/sim/shrink/case.ts'

t.setTimeout(120_000)
const folder = fileURLToPath(new URL('regress/', import.meta.url))

for (const file of readdirSync(folder).toSorted()) {
  t.test(file, async t => {
    const text = readFileSync(folder + file, 'utf8')
    const kept = readCase(text)
    t.equal(formatCase(kept), text, 'it is written as stretto sim writes it')
    t.ok(kept.note !== undefined && kept.invariant !== undefined, 'it says what it once showed')
    const { violation, operations } = await runCase(kept)
    const replay = `npx stretto sim --schedule test/sim/regress/${file}`
    t.equal(violation, null, `${violation?.invariant} ${violation?.message}; replay: ${replay}`)
    t.ok(operations > 0)
  })
}
