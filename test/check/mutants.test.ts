// Every planted mutant fits the present sources: its patches apply, its name is its own, and no code is without one.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { t } from 'tap'
import { patched } from '../mutants/mutant.ts'
import { judged, planted } from '../mutants/planted.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

t.test('each patch fits exactly once, and changes something', async t => {
  for (const { name, patches } of planted) {
    const texts = new Map<string, string>()
    for (const patch of patches) {
      const before = texts.get(patch.file) ?? readFileSync(`${root}/${patch.file}`, 'utf8')
      try {
        const after = patched(before, patch)
        if (after === before) t.fail(`${name}: it changes nothing in ${patch.file}`)
        texts.set(patch.file, after)
      } catch (error) {
        t.fail(`${name}: ${(error as Error).message}`)
      }
    }
    if (texts.size === 0) t.fail(`${name}: it has no patch`)
  }
  t.ok(planted.length >= 40, `${planted.length} mutants`)
})

t.test('no mutant is planted twice, and names say what they do', async t => {
  const names = planted.map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
  t.equal(new Set(planted.map(({ patches }) => JSON.stringify(patches))).size, planted.length)
  for (const name of names) if (!/^[a-z]+(-[a-z]+)+$/.test(name)) t.fail(`${name} is no name`)
})

t.test('each code that the simulator judges has a mutant, and is named as one', async t => {
  for (const code of judged)
    if (!planted.some(({ invariant }) => invariant === code)) t.fail(`no mutant breaks ${code}`)
  for (const { name, invariant, also, by } of planted) {
    if (!judged.includes(invariant)) t.fail(`${name}: ${invariant} is not judged`)
    const named = 'scenario' in by || also.some(other => other.startsWith('IX1: '))
    if (invariant === 'IX1' && !named) t.fail(`${name}: which assertion?`)
    for (const other of also) {
      if (!judged.includes(other) && !/^(?:IX2$|IX1: .)/.test(other)) t.fail(`${name}: ${other} is no code`)
      if (other === invariant) t.fail(`${name}: ${other} is named twice`)
    }
  }
})

t.test('nothing below test/ is patched', async t => {
  for (const { name, patches } of planted) {
    for (const { file } of patches) if (!file.startsWith('lib/')) t.fail(`${name} patches ${file}`)
  }
  t.ok(planted.length > 0)
})
