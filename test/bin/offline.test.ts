// inspect, repair, recover and snapshot as a person calls them: exit codes, lines, and JSON for programs.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { copyOf, folderOf, live, optionsFor } from '../help/offline-home.ts'
import { runCli, type Said } from '../help/run-cli.ts'

t.setTimeout(120_000)

const home = mkdtempSync(join(tmpdir(), 'stretto-offline-cli-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
const whole = join(home, 'n1')
const backup = join(home, 'backup')

const filled = (async () => {
  const options = await optionsFor(whole)
  let said: Said | undefined
  await live(options, async client => {
    for (let number = 0; number < 30; number++) await client.put(`key/${number}`, `value ${number}`)
    said = await runCli(['snapshot', 'save', backup, '--endpoints', options.advertise])
  })
  return { options, said }
})()

function jsonOf(said: Said): Record<string, unknown> {
  return JSON.parse(said.out.trimEnd().split('\n').at(-1)!) as Record<string, unknown>
}

const oneLine = (text: string, pattern: RegExp): boolean => /^[^\n]+\n$/.test(text) && pattern.test(text)

t.test('inspect', async t => {
  await filled
  const sound = await runCli(['inspect', whole])
  t.match(sound, { code: 0, err: '' })
  t.match(jsonOf(sound), { directory: whole, sound: true, id: 'n1', state: { rows: { entries: 30 } }, findings: [] })
  const table = await runCli(['inspect', whole, '-o', 'table'])
  t.match(table.out, /│ node +│ n1, incarnation [0-9a-f]{16}, boot 1 +│/)
  t.match(table.out, /^sound$/m)
  const hurt = copyOf(t, whole)
  rmSync(join(hurt, 'log', 'CURRENT'))
  const found = await runCli(['inspect', hurt, '-o', 'table'])
  t.equal(found.code, 1)
  t.match(found.out, /^finding: log\/CURRENT is missing$/m)
  t.ok(oneLine(found.err, /^stretto inspect: 2 findings in /), found.err)
  const nowhere = await runCli(['inspect', join(home, 'nowhere')])
  t.equal(nowhere.code, 2)
  t.ok(oneLine(nowhere.err, /there is no folder/))
})

t.test('repair', async t => {
  await filled
  const hurt = copyOf(t, whole)
  t.match(await runCli(['repair', hurt, '-o', 'table']), { code: 0, out: 'there is nothing to mend\n', err: '' })
  rmSync(join(hurt, 'log', 'CURRENT'))
  const dry = await runCli(['repair', hurt, '--dry-run', '-o', 'table'])
  t.equal(dry.code, 0)
  t.match(dry.out, /^would be done: the log is written anew/m)
  t.match(jsonOf(await runCli(['repair', hurt])), { kept: 'repaired-1', dryRun: false, unmendable: [] })
  t.equal((await runCli(['inspect', hurt])).code, 0)
  rmSync(join(hurt, 'memory'))
  const lost = await runCli(['repair', hurt, '-o', 'table'])
  t.equal(lost.code, 1)
  t.ok(oneLine(lost.err, /^stretto repair: this node has forgotten what it promised: .*members replace/), lost.err)
})

t.test('snapshot: saved, verified, restored and refused', async t => {
  const { said, options } = await filled
  if (said === undefined) throw new Error('nothing was said')
  t.match(said, { code: 0, err: '' })
  t.match(jsonOf(said), { file: backup })
  t.notOk(existsSync(`${backup}.part`))
  const verified = await runCli(['snapshot', 'verify', backup])
  t.match(verified, { code: 0, err: '' })
  t.match(jsonOf(verified), {
    file: backup,
    keys: 30,
    members: [{ id: 'n1' }],
    fingerprint: jsonOf(said)['fingerprint']
  })
  t.match((await runCli(['snapshot', 'verify', backup, '-o', 'table'])).out, /^sound: cluster .*\n30 keys, /)

  const directory = join(folderOf(t), 'm1')
  const cluster = 'm1=127.0.0.1:7101,m2=127.0.0.1:7102'
  const args = ['snapshot', 'restore', backup, '--id', 'm1', '--data-dir', directory, '--cluster', cluster]
  const restored = await runCli([...args, '-o', 'table'])
  t.match(restored, { code: 0, err: '' })
  t.match(
    restored.out,
    /^start it: stretto start --id m1 --data-dir .* --cluster m1=127.0.0.1:7101,m2=127.0.0.1:7102$/m
  )
  t.match(jsonOf(await runCli(['inspect', directory])), { id: 'm1', sound: true, state: { rows: { entries: 30 } } })
  const again = await runCli(args)
  t.equal(again.code, 2)
  t.ok(oneLine(again.err, /is not empty: choose a --data-dir that is new/), again.err)

  const cut = join(home, 'cut')
  writeFileSync(cut, readFileSync(backup).subarray(0, -9))
  const refused = await runCli(['snapshot', 'verify', cut])
  t.equal(refused.code, 1)
  t.ok(oneLine(refused.err, /^stretto snapshot: the backup is cut short/), refused.err)
  t.equal((await runCli(['snapshot', 'verify', join(home, 'nowhere')])).code, 2)
  const taken = await runCli(['snapshot', 'save', backup, '--endpoints', options.advertise])
  t.ok(oneLine(taken.err, /exists already/), taken.err)
  t.equal(taken.code, 2)
  const down = await runCli(['snapshot', 'save', join(home, 'other'), '--endpoints', options.advertise])
  t.equal(down.code, 5)
  t.ok(oneLine(down.err, /no node gives a backup: .*ECONNREFUSED/), down.err)
})

t.test('a backup that breaks off on the way leaves nothing behind', async t => {
  await filled
  const bytes = readFileSync(backup)
  const [port] = await freePorts(1)
  const breaks = createServer((_, response) => {
    response.writeHead(200, { 'content-length': bytes.length })
    response.write(bytes.subarray(0, 1_000), () => response.destroy())
  })
  breaks.listen(port, '127.0.0.1')
  t.teardown(() => breaks.close())
  const folder = folderOf(t)
  const broken = await runCli(['snapshot', 'save', join(folder, 'file'), '--endpoints', `127.0.0.1:${port}`])
  t.equal(broken.code, 5)
  t.ok(oneLine(broken.err, /the backup broke off/), broken.err)
  t.strictSame(readdirSync(folder), [])
})

t.test('recover asks, or is told', async t => {
  await filled
  const directory = join(folderOf(t), 'new')
  const compared = await runCli(['recover', whole, '-o', 'table'])
  t.equal(compared.code, 0)
  t.match(compared.out, /n1 \(best\)/)
  t.match(compared.out, /nothing was done: --data-dir/)
  const args = ['recover', whole, '--data-dir', directory, '--id', 'm1', '--address', '127.0.0.1:7101']
  const asked = await runCli(args)
  t.equal(asked.code, 2)
  t.ok(oneLine(asked.err, /nobody can be asked here: add --yes/), asked.err)
  t.notOk(existsSync(directory))
  const done = await runCli([...args, '--yes'])
  t.match(done, { code: 0, err: '' })
  t.match(jsonOf(done), { id: 'm1', members: [{ id: 'm1', address: '127.0.0.1:7101' }] })
  t.match(jsonOf(await runCli(['inspect', directory])), { id: 'm1', sound: true, state: { rows: { entries: 30 } } })
  t.equal((await runCli([...args, '--yes'])).code, 2)
})
