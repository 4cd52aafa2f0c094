// The two slots: which is believed, what a torn or lost write may take, and when marks reach the disk.
import { t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import { FileSlots } from '../../lib/log/file-slots.ts'
import { readMemory, slotBytesMax, writeMemory } from '../../lib/log/memory.ts'
import { type MemoryKeeper, openMemory } from '../../lib/log/memory-keeper.ts'
import { MemorySlots, SlotImage } from '../../lib/log/memory-slots.ts'
import type { Memory } from '../../lib/log/slots.ts'
import { call, identity } from '../help/log-blocks.ts'
import { temporaryFolder } from '../help/log-life.ts'
import { realEnv } from '../help/real-time.ts'
import { VirtualTime } from '../help/virtual-time.ts'

const open = (image: SlotImage, id = identity): Promise<MemoryKeeper> =>
  call<MemoryKeeper>(done => openMemory(new MemorySlots(image, realEnv), realEnv, id, done))
const close = (keeper: MemoryKeeper): Promise<void> => call<void>(done => keeper.close(done))
const vote = 'n2.00000000000000bb'
const clusterId = '0123456789abcdef0123456789abcdef'

function memoryIn(slot: Uint8Array | null): Memory | null {
  const content = slot === null ? null : readMemory(slot)
  return content === null || content === 'newer' ? null : content.memory
}

t.test('a start is counted durably, and what was saved comes back', async t => {
  const image = new SlotImage()
  const first = await open(image)
  t.match(first.memory, { ...identity, clusterId: null, boot: 1, hard: { term: 0, vote: null } })
  const hard = { term: 4, vote }
  await call<void>(done => first.save({ hard, clusterId, mark: { index: 9, term: 4, chain: 7 } }, done))
  image.crash(() => 0)
  const second = await open(image, { ...identity, incarnation: 'ffffffffffffffff' })
  t.same(second.memory, { ...identity, clusterId, boot: 2, hard, mark: { index: 9, term: 4, chain: 7 } })
  await close(second)
  t.match(memoryIn(image.durable[0])?.hard, hard, 'a vote is in both slots in the end')
  t.match(memoryIn(image.durable[1])?.hard, hard)
})

t.test('one bad slot is the other one; two are amnesia', async t => {
  const image = new SlotImage()
  const keeper = await open(image)
  await call<void>(done => keeper.save({ hard: { term: 3, vote } }, done))
  await close(keeper)
  for (const slot of [0, 1] as const) {
    for (const bit of [0, 5 * 8, 9 * 8 + 3, 26 * 8, 50 * 8 + 1]) {
      const hurt = new SlotImage()
      Object.assign(hurt.cached, image.durable)
      hurt.cached[slot] = flipped(image.durable[slot]!, bit)
      const next = await open(hurt)
      t.match(next.memory.hard, { term: 3, vote })
      await close(next)
    }
  }
  const gone = new SlotImage()
  gone.cached[0] = flipped(image.durable[0]!, 100)
  gone.cached[1] = flipped(image.durable[1]!, 200)
  await t.rejects(open(gone), { fault: 'amnesia', code: 'CORRUPT', message: /only as a new member/ })
  const torn = new SlotImage()
  torn.cached[0] = flipped(image.durable[0]!, 100)
  t.match((await open(torn)).memory, { boot: 1, hard: { term: 0 } }, 'never made: nothing was promised')
})

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice()
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

t.test('a newer format, and another node, are refused', async t => {
  const image = new SlotImage()
  await close(await open(image))
  await t.rejects(open(image, { ...identity, id: 'n7' }), { fault: 'foreign-id', code: 'BAD_REQUEST' })
  const { crc32 } = await import('node:zlib')
  const newer = image.durable[1]!.slice()
  newer[5] = 2
  new DataView(newer.buffer).setUint32(0, crc32(newer.subarray(4, (newer[6]! << 8) | newer[7]!)))
  image.cached[1] = newer
  await t.rejects(open(image), { fault: 'newer-format', code: 'BAD_REQUEST', message: /newer version of stretto/ })
})

t.test('power cut at any time: nothing saved is lost, no mark comes back from before a lowering', async t => {
  const random = new Random(11)
  let torn = 0
  for (let run = 0; run < 300; run++) {
    const time = new VirtualTime(run)
    const env = time.env('n1')
    const image = new SlotImage()
    let keeper: MemoryKeeper | null = null
    openMemory(new MemorySlots(image, env), env, identity, (_, made) => (keeper = made))
    time.until(() => keeper !== null)
    let saved = { term: 0, lowered: 0, mark: 0 }
    let issued = { ...saved }
    for (let step = 0; step < 1 + random.below(12); step++) {
      const mark = { index: issued.mark + 1 + random.below(5), term: 1, chain: step }
      if (random.chance(0.3)) {
        const low = Math.max(0, issued.mark - random.below(4))
        const next = { term: issued.term + 1, lowered: low, mark: low }
        issued = next
        keeper!.save({ hard: { term: next.term, vote }, mark: { index: low, term: 1, chain: step } }, error => {
          if (error === null) saved = next
        })
      } else {
        issued = { ...issued, mark: mark.index }
        keeper!.promise(mark)
      }
      if (random.chance(0.5)) time.run(random.below(60))
    }
    image.crash(below => random.below(below))
    const slots = image.durable.map(memoryIn)
    torn += slots.filter(slot => slot === null).length
    let after: MemoryKeeper | null = null
    const later = new VirtualTime(run)
    openMemory(new MemorySlots(image, later.env('n1')), later.env('n1'), identity, (error, made) => {
      if (error) throw error
      after = made
    })
    later.until(() => after !== null)
    const found = after!.memory
    if (found.hard.term < saved.term || found.hard.term > issued.term) t.fail(`run ${run}: term ${found.hard.term}`)
    if (found.hard.term === saved.term && found.mark.index < saved.lowered) t.fail(`run ${run}: mark went back`)
    if (found.hard.term === issued.term && found.mark.index > issued.mark) t.fail(`run ${run}: mark from before a cut`)
    if (found.boot !== 2) t.fail(`run ${run}: boot ${found.boot}`)
  }
  t.ok(torn > 10, `${torn} slots were torn`)
})

t.test('marks are written at once, one at a time, and synced within 50 ms', async t => {
  const time = new VirtualTime()
  const env = time.env('n1')
  const image = new SlotImage()
  const writes: { slot: number; sync: boolean; at: number }[] = []
  let inFlight = 0
  class Watched extends MemorySlots {
    override write(...[slot, bytes, sync, done]: Parameters<MemorySlots['write']>): void {
      writes.push({ slot, sync, at: time.now })
      t.equal(++inFlight, 1)
      super.write(slot, bytes, sync, error => {
        inFlight--
        done(error)
      })
    }
  }
  let keeper: MemoryKeeper | null = null
  openMemory(new Watched(image, env), env, identity, (_, made) => (keeper = made))
  time.until(() => keeper !== null)
  time.run(1000)
  writes.length = 0
  const start = time.now
  for (let index = 1; index <= 100; index++) keeper!.promise({ index, term: 1, chain: index })
  t.equal(writes.length, 1)
  time.run(1)
  t.equal(writes.length, 2, 'all that waited is one write')
  t.same(new Set(writes.map(({ slot }) => slot)).size, 1, 'the slot that was synced is left alone')
  t.equal(memoryIn(image.cached[writes[0]!.slot as 0 | 1])?.mark.index, 100)
  time.run(1000)
  t.equal(writes.length, 3)
  t.equal(writes[2]!.sync, true)
  t.ok(writes[2]!.at - start <= 50)
  t.equal(memoryIn(image.durable[writes[0]!.slot as 0 | 1])?.mark.index, 100)
  keeper!.promise({ index: 100, term: 1, chain: 100 })
  time.run(1000)
  t.equal(writes.length, 3, 'nothing new, nothing written')
})

t.test('the first error is the last word', async t => {
  class Broken extends MemorySlots {
    broken = false
    override write(...[slot, bytes, sync, done]: Parameters<MemorySlots['write']>): void {
      if (!this.broken) return super.write(slot, bytes, sync, done)
      setImmediate(done, new Error('no space left on device'))
    }
  }
  const slots = new Broken(new SlotImage(), realEnv)
  const keeper = await call<MemoryKeeper>(done => openMemory(slots, realEnv, identity, done))
  const faults: Error[] = []
  keeper.onFault = fault => faults.push(fault)
  slots.broken = true
  const saves = [1, 2].map(term => call<void>(done => keeper.save({ hard: { term, vote: null } }, done)))
  for (const save of saves) await t.rejects(save, { code: 'NO_SPACE', fate: 'unknown' })
  slots.broken = false
  await t.rejects(
    call<void>(done => keeper.save({}, done)),
    { code: 'NO_SPACE' }
  )
  t.equal(faults.length, 1)
  await close(keeper)
})

t.test('slots in a file', async t => {
  const { folder, remove } = temporaryFolder()
  t.teardown(remove)
  const path = `${folder}/memory`
  const files = (): FileSlots => new FileSlots(path)
  const keeper = await call<MemoryKeeper>(done => openMemory(files(), realEnv, identity, done))
  await call<void>(done => keeper.save({ hard: { term: 2, vote } }, done))
  keeper.promise({ index: 5, term: 2, chain: 1 })
  await close(keeper)
  const pair = await call<readonly [Uint8Array | null, Uint8Array | null]>(done => files().read(done))
  const marks = pair.map(slot => memoryIn(slot)?.mark.index)
  t.same(
    marks.toSorted((a, b) => Number(a) - Number(b)),
    [0, 5],
    'the last two writes, one in each half'
  )
  const again = await call<MemoryKeeper>(done => openMemory(files(), realEnv, identity, done))
  t.match(again.memory, { boot: 2, hard: { term: 2, vote }, mark: { index: 5 } })
  await close(again)
  const missing = new FileSlots(`${folder}/none/memory`)
  await t.rejects(
    call<MemoryKeeper>(done => openMemory(missing, realEnv, identity, done)),
    { fault: 'io', code: 'UNAVAILABLE', message: /cannot be opened/ }
  )
})

t.test('the largest memory fits a sector', async t => {
  const id = 'n'.repeat(63)
  const key = `${id}.ffffffffffffffff`
  const big = 2 ** 53 - 1
  const memory: Memory = {
    id,
    incarnation: 'ffffffffffffffff',
    clusterId: 'f'.repeat(32),
    boot: big,
    hard: { term: 2 ** 32 - 1, vote: key },
    mark: { index: big, term: 2 ** 32 - 1, chain: 2 ** 32 - 1 }
  }
  const slot = new Uint8Array(slotBytesMax)
  writeMemory(slot, memory, big)
  t.same(readMemory(slot), { sequence: big, memory })
  t.equal(readMemory(new Uint8Array(slotBytesMax)), null)
  t.equal(readMemory(new Uint8Array(3)), null)
})
