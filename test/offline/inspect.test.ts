// `inspect` on directories that a real node left: it sees all there is, finds damage of every kind, and changes nothing.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from 'tap'
import { launcherFile } from '../../bin/launcher.ts'
import { Random } from '../../lib/base/random.ts'
import { stateLevel } from '../../lib/kv/state-level.ts'
import { OpenError } from '../../lib/log/faults.ts'
import { classicLevel } from '../../lib/log/level.ts'
import { type Inspection, inspectDirectory } from '../../lib/offline/inspect.ts'
import { compareSurvivors } from '../../lib/offline/recover.ts'
import { repairDirectory } from '../../lib/offline/repair.ts'
import { mirrorLevel } from '../../lib/offline/scratch.ts'
import { copyOf, filledDirectory, folderOf, pictureOf } from '../help/offline-home.ts'

t.setTimeout(120_000)

const home = mkdtempSync(join(tmpdir(), 'stretto-inspect-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
const whole = join(home, 'n1')
const filled = filledDirectory(whole)

t.test('a directory in order: everything in it is told, and nothing of it changed', async t => {
  const options = await filled
  const before = pictureOf(whole)
  const inspection = await inspectDirectory(whole)
  t.strictSame(pictureOf(whole), before)
  t.strictSame(inspection.findings, [])
  t.strictSame(inspection.notes, [])
  t.match(inspection, { sound: true, trusted: true, id: 'n1', boot: 3, base: { index: 0, state: 1 } })
  t.strictSame(inspection.members, [
    { id: 'n1', address: options.advertise, role: 'voter', incarnation: inspection.incarnation }
  ])
  t.ok(inspection.log!.lastIndex > 30)
  t.ok(inspection.log!.blocks > 30)
  t.equal(inspection.mark!.index, inspection.log!.lastIndex)
  t.equal(inspection.mark!.chain, inspection.log!.chain)
  t.equal(inspection.state!.rows['entries'], 300)
  t.equal(inspection.state!.rows['head'], 1)
  t.ok(inspection.state!.sessions >= 3)
  t.ok(inspection.state!.appliedIndex! <= inspection.log!.lastIndex)
})

/** All rows of both databases, as LevelDB gives them. */
async function contentOf(directory: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'stretto-content-'))
  try {
    const parts: string[] = []
    for (const [name, make] of [
      ['log', classicLevel],
      ['state-1', stateLevel]
    ] as const) {
      await mirrorLevel(join(directory, name), join(folder, name))
      const level = make(join(folder, name))
      await level.open()
      for (const [key, value] of await level.iterator().all()) {
        parts.push(`${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`)
      }
      await level.close()
    }
    return parts.join('\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function flip(path: string, bit: number): void {
  const bytes = readFileSync(path)
  bytes[bit >> 3]! ^= 1 << (bit & 7)
  writeFileSync(path, bytes)
}

t.test('a flipped bit in any file is found, or changes nothing of what is read', async t => {
  await filled
  const sound = await inspectDirectory(whole)
  const content = await contentOf(whole)
  const spoiled = copyOf(t, whole)
  const random = new Random(7)
  const found = new Map<string, number>()
  const harmless: string[] = []
  for (const folder of ['.', 'log', 'state-1']) {
    for (const name of readdirSync(join(whole, folder)).toSorted()) {
      if (!/^(CURRENT|MANIFEST-\d+|\d+\.(ldb|log)|memory)$/.test(name)) continue
      const file = join(folder, name)
      const kind = name.replaceAll(/\d+/g, '')
      const { length } = readFileSync(join(whole, file))
      for (let run = 0; run < (length === 0 ? 0 : 6); run++) {
        // Of a table the last are near the end, where index and footer are; of the slots, where something is written.
        const nearEnd = Math.max(0, length * 8 - 1 - random.below(3_000))
        const inSlot = (run % 2) * 4096 * 8 + random.below(80 * 8)
        const bit = kind === 'memory' ? inSlot : run < 4 ? random.below(length * 8) : nearEnd
        flip(join(spoiled, file), bit)
        const inspection = await inspectDirectory(spoiled)
        if (!inspection.sound) found.set(kind, (found.get(kind) ?? 0) + 1)
        else {
          harmless.push(kind)
          t.strictSame({ ...inspection, directory: whole }, { ...sound, directory: whole }, `${file}, bit ${bit}`)
          t.ok((await contentOf(spoiled)) === content, `${file}, bit ${bit}: the same content`)
        }
        cpSync(join(whole, file), join(spoiled, file))
      }
    }
  }
  t.strictSame([...found.keys()].toSorted(), ['.ldb', '.log', 'CURRENT', 'MANIFEST-', 'memory'])
  t.ok((found.get('.ldb') ?? 0) > 10 && (found.get('.log') ?? 0) > 6, JSON.stringify([...found]))
  t.ok(harmless.length < 8, `hardly anything is without a check value: ${harmless.join(' ')}`)
})

t.test('files that are missing, cut or emptied', async t => {
  await filled
  const cases: readonly (readonly [name: string, spoil: (directory: string) => void, finding: RegExp])[] = [
    ['no slots', at => rmSync(join(at, 'memory')), /the file memory is missing/],
    ['empty slots', at => writeFileSync(join(at, 'memory'), 'nothing that was ever a slot'), /no slot can be read/],
    ['no log', at => rmSync(join(at, 'log'), { recursive: true }), /the folder log is missing/],
    ['no state', at => rmSync(join(at, 'state-1'), { recursive: true }), /the folder state-1 is missing/],
    ['no table', at => rmSync(tableIn(join(at, 'log'))), /the log/],
    ['no table of the state', at => rmSync(tableIn(join(at, 'state-1'))), /the state/],
    ['an empty table', at => writeFileSync(tableIn(join(at, 'log')), ''), /its end is damaged/],
    ['no CURRENT', at => rmSync(join(at, 'log', 'CURRENT')), /CURRENT is missing/],
    ['an empty MANIFEST', at => writeFileSync(manifestIn(join(at, 'state-1')), ''), /state/],
    ['a log without what was promised', at => cutLog(at), /but \d+@\d+ was promised/]
  ]
  for (const [name, spoil, finding] of cases) {
    const spoiled = copyOf(t, whole)
    spoil(spoiled)
    const inspection = await inspectDirectory(spoiled)
    t.notOk(inspection.sound, name)
    t.match(inspection.findings.join('\n'), finding, name)
  }
})

function tableIn(folder: string): string {
  return join(folder, readdirSync(folder).find(name => name.endsWith('.ldb'))!)
}

function manifestIn(folder: string): string {
  return join(folder, readdirSync(folder).find(name => name.startsWith('MANIFEST'))!)
}

/** Empties the write-ahead file of the log, as if it had never been synced. */
function cutLog(directory: string): void {
  const folder = join(directory, 'log')
  for (const name of readdirSync(folder)) if (name.endsWith('.log')) writeFileSync(join(folder, name), '')
}

t.test(
  'what a crash leaves is no finding: files of LevelDB that are not in use, and an unfinished log file',
  async t => {
    await filled
    const sound = await inspectDirectory(whole)
    const crashed = copyOf(t, whole)
    for (const folder of ['log', 'state-1']) {
      const table = readFileSync(tableIn(join(crashed, folder)))
      writeFileSync(join(crashed, folder, '000998.ldb'), table.subarray(0, table.length / 2))
      writeFileSync(join(crashed, folder, '000999.ldb'), '')
      writeFileSync(join(crashed, folder, '000001.log'), 'of before')
      const wal = readdirSync(join(crashed, folder)).find(name => name.endsWith('.log') && name !== '000001.log')!
      writeFileSync(join(crashed, folder, wal), Buffer.from([1, 2, 3, 4, 255, 0, 1, 9]), { flag: 'a' })
    }
    const inspection = await inspectDirectory(crashed)
    const { bytes } = sound.state!
    t.strictSame({ ...inspection, directory: whole, state: { ...inspection.state, bytes } }, sound)
    t.ok(await contentOf(crashed).then(async content => content === (await contentOf(whole))))
  }
)

t.test('what is no data directory, or not of a founded node', async t => {
  const folder = folderOf(t)
  const refused = async (directory: string, text: RegExp) => {
    const error = await inspectDirectory(directory).then(
      () => null,
      (error: unknown) => error
    )
    t.type(error, OpenError)
    t.match(error, { message: text })
  }
  await refused(join(folder, 'nowhere'), /there is no folder/)
  await refused(folder, /no data directory of a node/)
  writeFileSync(join(folder, 'file'), '')
  await refused(join(folder, 'file'), /is a file/)
})

t.test('a directory that a live process has is refused, and left as it is', async t => {
  const options = await filled
  const directory = copyOf(t, whole)
  const list = ['--id', 'n1', '--data-dir', directory, '--listen', options.advertise]
  const child = spawn(process.execPath, [launcherFile, 'start', ...list, '--cluster', `n1=${options.advertise}`])
  t.teardown(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.setEncoding('utf8')
  for await (const text of child.stdout as AsyncIterable<string>) {
    out += text
    if (out.includes('"event":"ready"')) break
  }
  await t.rejects(inspectDirectory(directory), {
    message: `${directory} is in use by a live process: stop that node first`
  })
  await t.rejects(repairDirectory(directory), { message: /in use by a live process/ })
  await t.rejects(compareSurvivors([directory]), { message: /in use by a live process/ })
  child.kill('SIGKILL')
  await once(child, 'close')
  const killed: Inspection = await inspectDirectory(directory)
  t.strictSame(killed.findings, [], 'what a killed node leaves is sound')
  t.equal(killed.boot, 4)
})
