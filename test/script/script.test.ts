// Golden conversations: each *.txt here is run and must come out word for word; UPDATE=1 writes them anew.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { t } from 'tap'
import { runScript } from '../help/script.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))

for (const name of readdirSync(folder)
  .filter(name => name.endsWith('.txt'))
  .toSorted()) {
  t.test(name.slice(0, -4).replaceAll('-', ' '), async t => {
    const script = readFileSync(folder + name, 'utf8')
    const result = runScript(script)
    if (process.env['UPDATE'] === '1') writeFileSync(folder + name, result)
    else t.equal(result, script)
  })
}
