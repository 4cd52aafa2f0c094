// One flipped bit in a real LevelDB folder: the log must say so, or be whole; it is never silently shorter.
import { copyFileSync, cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import type { Opened } from '../../lib/log/log.ts'
import type { Block } from '../../lib/raft/types.ts'
import { block, call, persist } from '../help/log-blocks.ts'
import { fileParts, lifeOf, temporaryFolder } from '../help/log-life.ts'

const blocksCount = 500

/** A log of 2,000 records in 500 synced writes, all of it in LevelDB's write-ahead file, as a killed process leaves it. */
async function fill(): Promise<{ folder: string; blocks: Block[] }> {
  const live = temporaryFolder()
  const { folder, remove } = temporaryFolder()
  t.teardown(live.remove)
  t.teardown(remove)
  const log = await lifeOf(fileParts(live.folder))
  await call<Opened>(done => log.open(done))
  const blocks: Block[] = []
  for (let number = 0; number < blocksCount; number++) {
    const next = block(log.tail, 1 + Math.floor(number / 100), 4, 60)
    blocks.push(next)
    await call<void>(done => log.write(persist({ blocks: [next] }), done))
  }
  await call<void>(done => log.close(done))
  cpSync(live.folder, folder, { recursive: true })
  return { folder, blocks }
}

const filled = fill()

function walOf(folder: string): string {
  const names = readdirSync(join(folder, 'log')).filter(name => name.endsWith('.log'))
  const sizes = names.map(name => ({ path: join(folder, 'log', name), size: statSync(join(folder, 'log', name)).size }))
  return sizes.toSorted((a, b) => b.size - a.size)[0]!.path
}

/** Opens a copy in which `hurt` has been at work, and checks that the answer is honest. */
async function judge(t: Test, whole: string, blocks: readonly Block[], about: string, hurt: (wal: string) => void) {
  const { folder, remove } = temporaryFolder()
  cpSync(whole, folder, { recursive: true })
  hurt(walOf(folder))
  try {
    const log = await lifeOf(fileParts(folder))
    const opened = await call<Opened>(done => log.open(done)).catch((error: Error) => error)
    if (opened instanceof Error) {
      t.match(opened, { code: 'CORRUPT' }, `${about}: refuses to open`)
      return 'refused'
    }
    const { trusted } = opened.restored
    const full = opened.tail.index === blocksCount * 4
    if (trusted && (!full || opened.tail.chain !== blocks.at(-1)!.chain)) t.fail(`${about}: shorter, and trusted`)
    if (!trusted && opened.findings.length === 0) t.fail(`${about}: untrusted without a word`)
    // Whatever is left must be what was written.
    for (let from = 1; from <= opened.tail.index; ) {
      const read = await call<readonly Block[] | null>(done => log.cold(from, 100_000, done))
      for (const found of read!) {
        if (found.chain !== blocks[(found.first - 1) / 4]!.chain) t.fail(`${about}: another block at ${found.first}`)
        from = found.first + found.count
      }
    }
    await call<void>(done => log.close(done))
    return trusted ? 'whole' : 'untrusted'
  } finally {
    remove()
  }
}

t.test('a bit flips in the write-ahead file', async t => {
  const { folder, blocks } = await filled
  const random = new Random(5)
  const size = statSync(walOf(folder)).size
  t.ok(size > 150_000, 'the log is in the write-ahead file')
  const outcomes = new Map<string, number>()
  for (let run = 0; run < 24; run++) {
    const bit = run === 0 ? (size - 50) * 8 : random.below(size * 8)
    const outcome = await judge(t, folder, blocks, `bit ${bit}`, wal => {
      const bytes = readFileSync(wal)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      writeFileSync(wal, bytes)
    })
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  t.ok((outcomes.get('untrusted') ?? 0) > 12, JSON.stringify([...outcomes]))
})

t.test('the write-ahead file loses its end, or a middle', async t => {
  const { folder, blocks } = await filled
  const size = statSync(walOf(folder)).size
  for (const keep of [0.2, 0.9, 0.999]) {
    const outcome = await judge(t, folder, blocks, `cut to ${keep}`, wal => truncateSync(wal, Math.floor(size * keep)))
    t.equal(outcome, 'untrusted')
  }
  const outcome = await judge(t, folder, blocks, 'zeros', wal => {
    const bytes = readFileSync(wal)
    bytes.fill(0, Math.floor(size / 2), Math.floor(size / 2) + 4096)
    writeFileSync(wal, bytes)
  })
  t.equal(outcome, 'untrusted')
})

t.test('a bit flips in a table, which LevelDB hands out as it is', async t => {
  const { folder: inWal, blocks } = await filled
  const { folder, remove } = temporaryFolder()
  t.teardown(remove)
  cpSync(inWal, folder, { recursive: true })
  const log = await lifeOf(fileParts(folder))
  await call<Opened>(done => log.open(done))
  await call<void>(done => log.close(done))
  const tables = readdirSync(join(folder, 'log')).filter(name => name.endsWith('.ldb'))
  const sizes = tables.map(name => ({ name, size: statSync(join(folder, 'log', name)).size }))
  const { name, size } = sizes.toSorted((a, b) => b.size - a.size)[0]!
  const table = join(folder, 'log', name)
  const sound = `${table}.sound`
  copyFileSync(table, sound)
  const random = new Random(6)
  let seen = 0
  for (let run = 0; run < 10; run++) {
    const bit = random.below(Math.floor(size * 0.9) * 8)
    const outcome = await judge(t, folder, blocks, `table bit ${bit}`, wal => {
      const target = join(wal, '..', name)
      const bytes = readFileSync(sound)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      writeFileSync(target, bytes)
    })
    if (outcome !== 'whole') seen++
  }
  t.ok(seen > 7, `${seen} of 10 were seen`)
})
