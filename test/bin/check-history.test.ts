// `stretto check-history`: sound and unsound histories, what cannot be read, and how it ends in each case.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from 'tap'
import { exitCode } from '../../bin/faults.ts'
import { runCli } from '../help/run-cli.ts'

t.setTimeout(120_000)
const folder = mkdtempSync(join(tmpdir(), 'stretto-history-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, lines: readonly object[]): string {
  const path = join(folder, name)
  writeFileSync(path, `${lines.map(line => JSON.stringify(line)).join('\n')}\n`)
  return path
}

const put = [
  { process: 1, type: 'invoke', f: 'put', key: 'x', value: 'a', time: 1 },
  { process: 1, type: 'ok', f: 'put', key: 'x', value: 'a', time: 2 }
]
const get = (value: string | null) => [
  { process: 2, type: 'invoke', f: 'get', key: 'x', time: 3 },
  { process: 2, type: 'ok', f: 'get', key: 'x', value, time: 4 }
]

t.test('a history that one machine could have produced', async t => {
  const { code, out } = await runCli(['check-history', file('sound.jsonl', [...put, ...get('a')])])
  t.equal(code, 0)
  t.match(JSON.parse(out), { valid: true, operations: 2, keys: 1 })
})

t.test('a read that misses a write which was acknowledged before it', async t => {
  const { code, out } = await runCli(['check-history', file('stale.jsonl', [...put, ...get(null)])])
  t.equal(code, 1)
  t.match(JSON.parse(out), { valid: false, operations: 2, counterexample: {} })
})

t.test('what makes no sense is named by its line', async t => {
  const broken = file('broken.jsonl', [put[0]!, { process: 1, type: 'yes', f: 'put', key: 'x', time: 2 }])
  const refused = await runCli(['check-history', broken])
  t.equal(refused.code, exitCode.usage)
  t.match(refused.err, /line 2: /)
  t.equal(refused.err.trim().split('\n').length, 1)
  const missing = await runCli(['check-history', join(folder, 'none')])
  t.not(missing.code, 0)
  t.equal(missing.err.trim().split('\n').length, 1)
})
