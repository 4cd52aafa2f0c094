// The room on the disk: levels by what is left, a ballast that comes and goes, and lives that wait until there is room.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import { lacksSpace } from '../../lib/base/full-disk.ts'
import { boundsOf, type SpaceLevel } from '../../lib/node/room.ts'
import { Ballast, ballastBytesFor } from '../../lib/server/ballast.ts'
import type { MachineInUse } from '../../lib/server/machine-in-use.ts'
import type { Reserve } from '../../lib/server/reserve.ts'
import { fileSystemOf, SpaceWatch } from '../../lib/server/space.ts'
import { Upkeep } from '../../lib/server/upkeep.ts'
import { HandMachine } from '../help/node-parts.ts'
import { eventually } from '../help/real-time.ts'
import { VirtualTime } from '../help/virtual-time.ts'

const mebibyte = 1_048_576
const sizeBytes = 256 * mebibyte
const bounds = boundsOf(sizeBytes)

/** Lets everything that waits for a promise go on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

class FakeReserve implements Reserve {
  readonly bytes = 4 * mebibyte
  whole = false
  readonly calls: string[] = []

  async fill(): Promise<void> {
    this.calls.push('fill')
    this.whole = true
  }

  async rest(): Promise<void> {
    this.calls.push('rest')
  }

  async remove(): Promise<void> {
    this.calls.push('remove')
    this.whole = false
  }
}

/** A watch over a disk of which the test says how much is free. */
class Bed {
  readonly time = new VirtualTime()
  readonly reserve = new FakeReserve()
  readonly levels: SpaceLevel[] = []
  readonly lines: string[] = []
  reclaims = 0
  free: number | null = sizeBytes
  readonly watch: SpaceWatch

  constructor() {
    this.watch = new SpaceWatch({
      env: this.time.env('n1'),
      look: async () => {
        if (this.free === null) throw new Error('it cannot be found out')
        return { sizeBytes, freeBytes: this.free }
      },
      reserve: () => this.reserve,
      changed: level => this.levels.push(level),
      reclaim: async () => void this.reclaims++,
      say: line => this.lines.push(line)
    })
  }

  /** So many seconds pass, with this much free. */
  async seconds(count: number, free: number | null = this.free): Promise<void> {
    this.free = free
    for (let second = 0; second < count; second++) {
      this.time.run(1_000)
      await settled()
    }
  }
}

t.test('the disk is looked at each second, and each change of the level is told', async t => {
  const bed = new Bed()
  await bed.watch.start()
  t.match(bed.watch, { level: 'ample', space: { freeBytes: sizeBytes, bounds, looks: 1 }, reason: null })
  await bed.seconds(1, bounds.low - 1)
  await bed.seconds(1, bounds.scarce - 1)
  t.equal(bed.reclaims, 1, 'what can be freed is freed')
  await bed.seconds(1, bounds.none - 1)
  await bed.seconds(2, null)
  t.equal(bed.watch.level, 'none', 'what was last seen stands')
  await bed.seconds(1, sizeBytes)
  t.same(bed.levels, ['low', 'scarce', 'none', 'ample'])
  t.equal(bed.watch.space.looks, 5)
  t.match(bed.lines, [/fills/, /nearly full/, /is full/, /room again/])
  await bed.watch.stop()
  await bed.seconds(3, 0)
  t.equal(bed.watch.level, 'ample', 'nothing is looked at any more')
})

t.test('the ballast is given up when nothing is left, and made again when there is room for it twice over', async t => {
  const bed = new Bed()
  const { reserve } = bed
  const enough = bounds.scarce + 2 * reserve.bytes
  bed.free = enough - 1
  await bed.watch.start()
  t.same(reserve.calls, [])
  await bed.seconds(1, enough)
  await bed.seconds(3, bounds.scarce - 1)
  t.same(reserve.calls, ['fill'], 'it is kept while anything else is left')
  await bed.seconds(1, bounds.none - 1)
  t.same(reserve.calls, ['fill', 'remove'])
  await bed.seconds(3, enough - 1)
  t.equal(reserve.calls.length, 2)
  await bed.seconds(2, enough)
  t.same(reserve.calls, ['fill', 'remove', 'fill'])
  await bed.watch.stop()
})

t.test('after a full disk another life is tried when there is room, each time a little later', async t => {
  const bed = new Bed()
  await bed.watch.start()
  let lives = 0
  const wait = async (): Promise<void> => {
    void bed.watch.roomAgain().then(() => lives++)
    await settled()
  }
  bed.free = 0
  await wait()
  t.ok(bed.reserve.calls.includes('remove'), 'at once, without waiting for the next look')
  await bed.seconds(5)
  t.equal(lives, 0)
  t.match(bed.watch.reason, /the disk is full: 0 B are left/)
  await bed.seconds(1, bounds.none)
  t.equal(lives, 1)
  t.equal(bed.watch.reason, null)
  await wait()
  await bed.seconds(1)
  t.equal(lives, 1, 'it has met a full disk again, though there seemed to be room')
  await bed.seconds(1)
  t.equal(lives, 2)
  await bed.seconds(60)
  await wait()
  await bed.seconds(1)
  t.equal(lives, 3, 'a life that has lasted makes good for those before')
  await wait()
  await bed.watch.stop()
  await settled()
  t.equal(lives, 4, 'who waits is let go at the end')
})

t.test('what says that a disk is full, however deep', async t => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, mkdir'), { code: 'ENOSPC' })
  for (const error of [
    full,
    new StrettoError('NO_SPACE', 'full'),
    new Error('it cannot be opened', { cause: new Error('IO error: x/000004.log: No space left on device') }),
    new StrettoError('UNAVAILABLE', 'a snapshot', { cause: full })
  ]) {
    t.ok(lacksSpace(error), error.message)
  }
  for (const error of [new Error('IO error: input/output error'), new StrettoError('CORRUPT', ''), null]) {
    t.notOk(lacksSpace(error))
  }
})

t.test('the file system of a folder that is not there yet is that of the one above', async t => {
  const folder = t.testdir({})
  const { sizeBytes: size, freeBytes } = await fileSystemOf(join(folder, 'not', 'there'))
  t.ok(freeBytes > 0 && freeBytes <= size)
  t.equal((await fileSystemOf(folder)).sizeBytes, size)
  writeFileSync(join(folder, 'file'), '')
  await t.rejects(fileSystemOf(join(folder, 'file', 'below')), { code: 'ENOTDIR' })
})

function folderOf(t: Test): { readonly folder: string; readonly path: string } {
  const folder = join(t.testdir({}), 'n1')
  return { folder, path: join(folder, 'ballast') }
}

/** Time that goes as fast as the disk. */
async function filled(time: VirtualTime, filling: Promise<void>): Promise<void> {
  let over = false
  void filling.then(() => {
    over = true
  })
  await eventually(() => {
    time.run(1_000)
    return over
  })
}

t.test(
  'the ballast is a file with real content, which is written in pieces, goes on where it was, and goes',
  async t => {
    t.equal(ballastBytesFor(1e15), 64 * mebibyte)
    t.equal(ballastBytesFor(100 * mebibyte), 2 * mebibyte)
    const { folder, path } = folderOf(t)
    const time = new VirtualTime()
    const early = new Ballast(time.env('n1'), folder, 2_500_000)
    await filled(time, early.fill())
    t.notOk(existsSync(folder), 'it is not for the ballast to make the data directory')
    t.notOk(early.whole)

    mkdirSync(folder)
    writeFileSync(path, Buffer.alloc(1_000_000, 7))
    const ballast = new Ballast(time.env('n1'), folder, 2_500_000)
    await filled(time, ballast.fill())
    t.ok(ballast.whole)
    t.equal(statSync(path).size, 2_500_000)
    t.ok(statSync(path).blocks * 512 >= 2_500_000, 'every block of it is there')
    const content = readFileSync(path)
    t.ok(content.subarray(0, 1_000_000).every(byte => byte === 7))
    t.ok(new Set(content.subarray(1_000_000, 1_010_000)).size > 200, 'nothing that a file system could leave out')

    const smaller = new Ballast(time.env('n1'), folder, 500_000)
    await filled(time, smaller.fill())
    t.equal(statSync(path).size, 500_000)
    await smaller.remove()
    t.notOk(existsSync(path))
    t.notOk(smaller.whole)
    await smaller.remove()
  }
)

t.test('a ballast that is being written is given up at once', async t => {
  const { folder, path } = folderOf(t)
  mkdirSync(folder)
  const time = new VirtualTime()
  const ballast = new Ballast(time.env('n1'), folder, 64 * mebibyte)
  const early = ballast.fill()
  await ballast.rest()
  await early
  t.notOk(existsSync(path), 'before it had begun')
  const filling = ballast.fill()
  t.ok(
    await eventually(() => {
      time.run(1_000)
      return existsSync(path)
    })
  )
  await ballast.remove()
  await filling
  t.notOk(existsSync(path))
  t.notOk(ballast.whole)
})

t.test('the state is compacted once for what was deleted, when that is on disk', async t => {
  const time = new VirtualTime()
  const upkeep = new Upkeep(time.env('n1'))
  await upkeep.reclaim()
  let revision = 1
  let compactions = 0
  const inUse: MachineInUse = {
    machine: new HandMachine(),
    keyValue: true,
    revision: () => revision,
    compacted: () => 0,
    bytes: async () => 1_234,
    reclaim: async () => void compactions++
  }
  upkeep.use(inUse)
  const seconds = async (count: number, changes = false): Promise<void> => {
    for (let second = 0; second < count; second++) {
      if (changes) revision++
      await upkeep.reclaim()
      time.run(1_000)
    }
  }
  await seconds(4)
  t.equal(compactions, 1, 'at once')
  await seconds(60)
  t.equal(compactions, 2, 'and once more, when all that was done before is on disk')
  revision++
  await seconds(4)
  t.equal(compactions, 3)
  await seconds(10)
  t.equal(compactions, 4)
  await seconds(70, true)
  t.equal(compactions, 6, 'while changes go on, now and then')
  await settled()
  t.equal(upkeep.stateBytes, 1_234)
  upkeep.stop()
  await seconds(60, true)
  t.equal(compactions, 6)
})
