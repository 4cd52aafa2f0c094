// Each safety rule has a story in which it alone saves the day: a fault is put where it hurts, and the checks look on.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { t } from 'tap'
import { planted } from '../mutants/planted.ts'

const folder = new URL('review/', import.meta.url)
const names = readdirSync(fileURLToPath(folder), { encoding: 'utf8' }).map(name => name.slice(0, -'.ts'.length))

for (const name of names) {
  t.test(name.replaceAll('-', ' '), async t => {
    const { scenario } = (await import(new URL(`${name}.ts`, folder).href)) as { scenario: () => void | Promise<void> }
    await scenario()
    t.pass('nothing is broken')
  })
}

t.test('each story has a mutant that it finds', async t => {
  const told = new Set(planted.flatMap(({ by }) => ('scenario' in by ? [by.scenario] : [])))
  for (const name of names) if (!told.has(name)) t.fail(`no mutant is found by ${name}`)
  for (const name of told) if (!names.includes(name)) t.fail(`${name} is no story`)
  t.ok(names.length > 0)
})
