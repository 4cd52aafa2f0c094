// Scans: one fixed revision whatever is written and flushed meanwhile, order, bounds, limits, pages bounded in bytes.
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { t } from 'tap'
import { type Page, pageBytesMax } from '../../lib/kv/scan.ts'
import { stateLevel } from '../../lib/kv/state-level.ts'
import type { Source } from '../../lib/machine/machine.ts'
import { type Packed, unpack } from '../../lib/record/pack.ts'
import { type FirstCommand } from '../../lib/wire/kv/commands.ts'
import { machineSuite } from '../suite/machine.ts'
import type { MachineRig } from '../suite/machine-driver.ts'
import {
  Bed,
  bytes,
  del,
  env,
  kvRig,
  type Plain,
  plain,
  promised,
  put,
  Records,
  readAll,
  temporaryFolder
} from './bed.ts'

async function createRig(): Promise<MachineRig> {
  const folder = temporaryFolder()
  return kvRig({ level: place => stateLevel(join(folder.path, place)), env, remove: folder.remove })
}

machineSuite(t, 'the key-value machine', createRig)

function name(at: number): string {
  return `k${String(at).padStart(4, '0')}`
}

/** Some on disk, some in memory over them, some deleted in memory only. */
async function filledBed(path: string): Promise<{ readonly bed: Bed; readonly log: Records }> {
  const bed = await new Bed(path).open()
  const log = new Records()
  await bed.apply(log.commands(Array.from({ length: 1500 }, (_, at) => put(name(at), `disk ${at}`))))
  await bed.flush(log.last)
  const commands: FirstCommand[] = []
  for (let at = 0; at < 1500; at += 10) commands.push(put(name(at), `memory ${at}`), del(name(at + 5)))
  for (let at = 1500; at < 1600; at++) commands.push(put(name(at), `memory ${at}`))
  await bed.apply(log.commands(commands))
  return { bed, log }
}

void t.test('ranges, limits, order and keys only, over disk and memory', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const { bed } = await filledBed(folder.path)
  const all = await bed.all({}, 1000)
  t.equal(all.length, 1450)
  t.same(
    all.map(entry => entry.key),
    all.map(entry => entry.key).toSorted()
  )
  t.equal(all.find(entry => entry.key === name(10))?.value, 'memory 10')
  t.equal(all.find(entry => entry.key === name(11))?.value, 'disk 11')
  t.notOk(all.find(entry => entry.key === name(15)))
  t.same(await bed.all({ reverse: true }, 1000), all.toReversed())
  t.same(await bed.all({ limit: 7 }), all.slice(0, 7))
  t.same(await bed.all({ limit: 1450 }), all)
  t.same(await bed.all({ limit: 7, reverse: true }), all.toReversed().slice(0, 7))
  const some = all.filter(({ key }) => key >= name(15) && key < name(1520))
  t.same(await bed.all({ from: bytes(name(15)), to: bytes(name(1520)) }), some)
  t.same(await bed.all({ from: bytes(name(15)), to: bytes(name(1520)), reverse: true }), some.toReversed())
  t.same(
    await bed.all({ keysOnly: true }),
    all.map(entry => ({ ...entry, value: null }))
  )
  t.same(await bed.all({ from: bytes('x') }), [])
  t.same(await bed.all({ from: bytes('x'), to: bytes('a') }), [], 'an end before the start')
  t.equal(bed.machine.openScans, 0, 'a scan that has been read to its end is closed')
  await bed.close()
})

void t.test('pages are about as large as asked for, and never larger than the bound', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const { bed, log } = await filledBed(folder.path)
  const small = await readAll(bed.scan({}), 1000)
  t.ok(Math.max(...small.sizes) <= 1010, `${Math.max(...small.sizes)} bytes`)
  t.ok(small.sizes.slice(0, -1).every(size => size > 400))
  t.equal(small.revisions.length, 1)
  const one = await readAll(bed.scan({ limit: 5 }), 1)
  t.equal(one.sizes.length, 5, 'always one entry')
  for (let at = 0; at < 12; at++) await bed.apply(log.commands([put(`large/${at}`, 'v'.repeat(700_000))]))
  await bed.flush(log.last)
  const large = await readAll(bed.scan({ from: bytes('large/') }), 1e9)
  t.equal(large.entries.length, 12)
  t.ok(Math.max(...large.sizes) <= pageBytesMax, 'a page is bounded whatever was asked for')
  await bed.close()
})

void t.test('a scan sees its revision while everything is overwritten, deleted and flushed around it', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const { bed, log } = await filledBed(folder.path)
  const before = await bed.all({}, 100_000)
  const scans = [bed.scan({}), bed.scan({ reverse: true })]
  const seen: Plain[][] = []
  for (const source of scans) seen.push(await onePage(source))
  for (let round = 0; round < 5; round++) {
    const commands: FirstCommand[] = []
    for (let at = 0; at < 1700; at++) commands.push(at % 3 === round % 3 ? del(name(at)) : put(name(at), `${round}`))
    await bed.apply(log.commands(commands))
    const flushing = bed.flush(log.last)
    if (round % 2 === 0) await flushing
    for (const [at, source] of scans.entries()) seen[at]!.push(...(await onePage(source)))
    await flushing
  }
  t.equal((await bed.get(name(2)))?.value, '4', 'meanwhile all has changed')
  for (const [at, source] of scans.entries()) {
    const rest = await readAll(source, 100_000)
    const found = [...seen[at]!, ...rest.entries]
    t.ok(isDeepStrictEqual(found, at === 0 ? before : before.toReversed()))
  }
  t.equal(bed.machine.openScans, 0)
  await bed.close()
})

void t.test('versions kept for a scan are let go with it', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const { bed, log } = await filledBed(folder.path)
  t.equal(bed.machine.keptVersions, 0)
  const source = bed.scan({})
  for (let round = 0; round < 20; round++) {
    await bed.apply(log.commands(Array.from({ length: 1500 }, (_, at) => put(name(at), `${round}`))))
  }
  const kept = bed.machine.keptVersions
  t.ok(kept > 0 && kept <= 4000, `${kept} kept, not one for each of 30,000 writes`)
  source.close()
  source.close()
  t.equal(bed.machine.keptVersions, 0)
  await t.rejects(onePage(source), { code: 'STOPPED' }, 'a closed scan says so')
  await bed.close()
})

void t.test('a scan that is closed, and a machine that is closed, while a page is being read', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const { bed } = await filledBed(folder.path)
  const source = bed.scan({})
  const page = onePage(source)
  source.close()
  await t.rejects(page, { code: 'STOPPED' })
  const pages = [bed.scan({}), bed.scan({ reverse: true })].map(onePage)
  const settled = Promise.allSettled(pages)
  await bed.close()
  for (const one of await settled) t.ok(one.status === 'fulfilled' || one.reason instanceof Error)
})

async function onePage(source: Source): Promise<Plain[]> {
  const page = await promised<Page>(done => source.page(900, done))
  const [, ...entries] = unpack(page.bytes) as readonly Packed[]
  return entries.map(entry => plain(entry)!)
}
