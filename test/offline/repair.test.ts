// `repair`: after damage of each kind a real node starts again with the directory, and holds nothing that was not written.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type Test, t } from 'tap'
import { writeU16, writeU32 } from '../../lib/base/bytes.ts'
import { headKey } from '../../lib/kv/rows.ts'
import { stateLevel } from '../../lib/kv/state-level.ts'
import { inspectDirectory } from '../../lib/offline/inspect.ts'
import { type Repair, repairDirectory } from '../../lib/offline/repair.ts'
import type { ServerOptions } from '../../lib/server/options.ts'
import { copyOf, filledDirectory, live, pictureOf } from '../help/offline-home.ts'

t.setTimeout(120_000)

const home = mkdtempSync(join(tmpdir(), 'stretto-repair-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
const whole = join(home, 'n1')
const filled = filledDirectory(whole)

/** Damages a byte in the middle of a file, or of its first `within` bytes. */
function hurt(path: string, within?: number): void {
  const bytes = readFileSync(path)
  const at = Math.floor((within ?? bytes.length) / 2)
  bytes[at]! ^= 0x10
  writeFileSync(path, bytes)
}

function filesOf(folder: string, pattern: RegExp): string[] {
  const names = readdirSync(folder).filter(name => pattern.test(name))
  return names.toSorted((a, b) => readFileSync(join(folder, b)).length - readFileSync(join(folder, a)).length)
}

function largest(folder: string, pattern: RegExp): string {
  return join(folder, filesOf(folder, pattern)[0]!)
}

/** A dry run first, which may change nothing; then the repair. */
async function repaired(t: Test, directory: string): Promise<Repair> {
  const before = pictureOf(directory)
  const dry = await repairDirectory(directory, { dryRun: true })
  t.strictSame(pictureOf(directory), before, 'a dry run changes nothing')
  const repair = await repairDirectory(directory)
  t.strictSame(repair.mended, dry.mended)
  t.strictSame(repair.unmendable, dry.unmendable)
  return repair
}

/** All keys as a node that is started with the directory has them. */
async function keysOf(options: ServerOptions, directory: string): Promise<Map<string, string>> {
  const keys = new Map<string, string>()
  await live({ ...options, dataDir: directory }, async client => {
    for await (const { key, value } of client.range({ prefix: '' })) keys.set(key, value)
  })
  return keys
}

t.test('a directory in order is left as it is', async t => {
  await filled
  const before = pictureOf(whole)
  t.match(await repairDirectory(whole), { mended: [], kept: null, notes: [], unmendable: [] })
  t.strictSame(pictureOf(whole), before)
})

t.test('a log that LevelDB cannot open: all of it comes back, and the node is trusted', async t => {
  const options = await filled
  const before = await inspectDirectory(whole)
  for (const spoil of [
    (log: string) => hurt(largest(log, /^MANIFEST/)),
    (log: string) => rmSync(join(log, 'CURRENT')),
    (log: string) => writeFileSync(join(log, 'CURRENT'), 'MANIFEST-999999\n')
  ]) {
    const directory = copyOf(t, whole)
    spoil(join(directory, 'log'))
    const repair = await repaired(t, directory)
    t.match(repair, { kept: 'repaired-1', unmendable: [] })
    t.match(repair.mended, [/had lost what leads to its tables/, /written anew/])
    const after = await inspectDirectory(directory)
    t.match(after, { sound: true, trusted: true, log: before.log })
    t.strictSame(readdirSync(join(directory, 'repaired-1')), ['log'])
  }
  const directory = copyOf(t, whole)
  rmSync(join(directory, 'log', 'CURRENT'))
  await repairDirectory(directory)
  t.strictSame(await keysOf(options, directory), await keysOf(options, copyOf(t, whole)))
})

t.test('a log that is damaged in the middle is cut there, and the node is not trusted', async t => {
  await filled
  const before = await inspectDirectory(whole)
  for (const pattern of [/\.ldb$/, /\.log$/]) {
    const directory = copyOf(t, whole)
    hurt(largest(join(directory, 'log'), pattern))
    const repair = await repaired(t, directory)
    t.match(repair.mended, [/the log is written anew up to/])
    t.match(repair.notes.join('\n'), /untrusted until a leader/)
    const after = await inspectDirectory(directory)
    t.match(after, { trusted: false, incarnation: before.incarnation, mark: before.mark! })
    t.ok(after.log!.lastIndex < before.log!.lastIndex)
    t.ok(after.log!.lastIndex > 0)
    t.notMatch(after.findings.join('\n'), /damaged|cut off/)
    t.match((await repairDirectory(directory)).mended, [])
  }
})

t.test('a table of the log that leads nowhere is left out', async t => {
  await filled
  const before = await inspectDirectory(whole)
  const directory = copyOf(t, whole)
  const log = join(directory, 'log')
  const table = largest(log, /\.ldb$/)
  const bytes = readFileSync(table)
  bytes.fill(0xff, bytes.length - 48)
  writeFileSync(table, bytes)
  const repair = await repaired(t, directory)
  t.match(repair.mended, [/had lost what leads to its tables/, /, without \d+ blocks that no longer fit/])
  const after = await inspectDirectory(directory)
  t.equal(after.trusted, false)
  // How much is left depends on which blocks the table held; it may have been the first.
  t.ok(after.log!.lastIndex < before.log!.lastIndex)
  t.match(after, { incarnation: before.incarnation, mark: before.mark! })
})

t.test('a state that is damaged anywhere gives way, and the log brings it back', async t => {
  const options = await filled
  const keys = await keysOf(options, copyOf(t, whole))
  t.ok(keys.size >= 300)
  const cases: readonly (readonly [spoil: (state: string) => void, keeps: readonly string[]])[] = [
    [state => hurt(largest(state, /\.ldb$/)), ['state-1']],
    [state => rmSync(join(state, 'CURRENT')), ['state-1']],
    [state => rmSync(state, { recursive: true }), []]
  ]
  for (const [spoil, keeps] of cases) {
    const directory = copyOf(t, whole)
    spoil(join(directory, 'state-1'))
    const repair = await repaired(t, directory)
    t.strictSame(repair.unmendable, [])
    t.strictSame(repair.kept === null ? [] : readdirSync(join(directory, repair.kept)), keeps)
    t.match(repair.mended, [/the state gives way to an empty one/])
    t.match(repair.notes, ['the next start builds the state from the log'])
    t.match(await inspectDirectory(directory), { sound: true, state: { kind: 'empty', appliedIndex: 0 } })
    t.strictSame(await keysOf(options, directory), keys)
  }
})

t.test('one damaged slot is left to the next start; two are the end', async t => {
  const options = await filled
  const one = copyOf(t, whole)
  hurt(join(one, 'memory'), 80)
  t.match(await repaired(t, one), { mended: [], kept: null, notes: [/the next start writes it anew/] })
  await live({ ...options, dataDir: one }, client => client.put('again', 'written'))
  t.strictSame((await inspectDirectory(one)).findings, [])

  const both = copyOf(t, whole)
  hurt(join(both, 'memory'), 80)
  hurt(join(both, 'memory'), 8192 + 80)
  t.match(await repaired(t, both), { mended: [], kept: null, unmendable: [/forgotten.*members replace/] })
  rmSync(join(both, 'memory'))
  t.match(await repaired(t, both), { unmendable: [/members replace/] })
})

t.test('what a later version has written is no damage, and nothing of it is changed', async t => {
  await filled
  const directory = copyOf(t, whole)
  const level = stateLevel(join(directory, 'state-1'))
  await level.open()
  const row = new Uint8Array((await level.get(headKey))!)
  writeU16(row, 0, 2)
  writeU32(row, row.length - 4, crc32(row.subarray(0, -4), crc32(headKey)))
  await level.put(headKey, row)
  await level.close()
  t.match((await inspectDirectory(directory)).findings.join('\n'), /written in format 2.*use a newer version/)
  const before = pictureOf(directory)
  const repair = await repairDirectory(directory)
  t.match(repair, { mended: [], kept: null, unmendable: [/use a newer version: nothing is changed/] })
  t.strictSame(pictureOf(directory), before)
})

t.test('a log without its base record, and a log of another cluster', async t => {
  await filled
  const directory = copyOf(t, whole)
  for (const name of filesOf(join(directory, 'log'), /\.(ldb|log)$/)) rmSync(join(directory, 'log', name))
  t.match(await repaired(t, directory), { mended: [], kept: null, unmendable: [/nothing of the log can be read/] })
})

t.test('a repair that was broken off between its steps is begun again', async t => {
  await filled
  const directory = copyOf(t, whole)
  rmSync(join(directory, 'log', 'CURRENT'))
  mkdirSync(join(directory, 'repaired-1'))
  mkdirSync(join(directory, 'mending'))
  renameSync(join(directory, 'log'), join(directory, 'repaired-1', 'log'))
  cpSync(join(directory, 'state-1'), join(directory, 'mending', 'log'), { recursive: true })
  t.match((await repairDirectory(directory, { dryRun: true })).mended, [/broken off/])
  t.match(await repairDirectory(directory), { kept: 'repaired-2', unmendable: [] })
  t.match(await inspectDirectory(directory), { sound: true, trusted: true })
})
