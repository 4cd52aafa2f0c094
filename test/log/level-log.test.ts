// The log on LevelDB: the suite of all logs, a crash at every write, refused writes, and directories that are not ours.
import { t } from 'tap'
import { foundingBase, foundLog } from '../../lib/log/found-log.ts'
import { blockKey, cardOf } from '../../lib/log/keys.ts'
import { LevelLog } from '../../lib/log/level-log.ts'
import type { Opened } from '../../lib/log/log.ts'
import { type MemoryKeeper, openMemory } from '../../lib/log/memory-keeper.ts'
import { type Damage, scrub } from '../../lib/log/scrub.ts'
import type { Persist } from '../../lib/raft/doors.ts'
import { type Base, type Block, type ChainedId, type HardState, lastOf } from '../../lib/raft/types.ts'
import { textOf } from '../../lib/sim/disk/sim-database.ts'
import { CrashDisk } from '../help/crash-disk.ts'
import { block, call, chainOf, endOf, founding, identity, membership, persist } from '../help/log-blocks.ts'
import { fileParts, lifeOf, openMemoryOf, temporaryFolder } from '../help/log-life.ts'
import { realEnv } from '../help/real-time.ts'
import { SimDiskBed } from '../help/sim-disk-bed.ts'
import { logSuite } from '../suite/log.ts'

const base = foundingBase(founding)
const runs = Number(process.env['FC_RUNS'] ?? 25)

t.test('on LevelDB', async t => {
  logSuite(
    t,
    async hotBytesMax => {
      const { folder, remove } = temporaryFolder()
      return { life: () => lifeOf(fileParts(folder), null, hotBytesMax), end: async () => remove() }
    },
    base,
    runs
  )
})

t.test('on the disk that can crash', async t => {
  logSuite(
    t,
    async hotBytesMax => {
      const disk = new CrashDisk(1)
      return { life: () => lifeOf(disk.life(), null, hotBytesMax), end: async () => undefined }
    },
    base,
    runs * 4
  )
})

/** What is done in one turn: writes that are not awaited one by one. */
type Turn = readonly (Partial<Persist> | { readonly rebase: Base })[]

interface Point {
  readonly base: number
  readonly tail: ChainedId
  readonly hard: HardState
}

const vote = 'n1.00000000000000aa'

/** A story with votes, appends, cuts that are merged with other writes, compaction and an installed snapshot. */
function story(): { readonly turns: Turn[]; readonly points: Point[] } {
  const turns: Turn[] = []
  const points: Point[] = [{ base: 0, tail: end(base), hard: { term: 0, vote: null } }]
  let hard: HardState = { term: 0, vote: null }
  let from = 0
  const say = (tail: ChainedId, turn: Turn): void => {
    for (const write of turn) {
      if ('rebase' in write) from = write.rebase.index
      else if (write.hard) hard = write.hard
      const blocks = 'rebase' in write ? [] : (write.blocks ?? [])
      const last = blocks.at(-1)
      const cutTo = 'rebase' in write ? null : (write.cut ?? null)
      const before = points.at(-1)!.tail
      let after = last === undefined ? before : endOf(last)
      if (last === undefined && cutTo !== null) after = tail
      if ('rebase' in write && write.rebase.state > 1) after = end(write.rebase)
      points.push({ base: from, tail: after, hard })
    }
    turns.push(turn)
  }
  const one = chainOf(base, 1, 3)
  say(endOf(one[2]!), [{ hard: { term: 1, vote }, blocks: [one[0]!] }, { blocks: one.slice(1) }])
  const two = chainOf(endOf(one[2]!), 2, 4)
  say(endOf(two[3]!), [{ hard: { term: 2, vote: null } }, { blocks: two.slice(0, 2) }, { blocks: two.slice(2) }])
  const three = block(endOf(two[1]!), 3, 2)
  say(endOf(three), [{ hard: { term: 3, vote }, cut: lastOf(two[1]!), blocks: [three] }])
  const lost = chainOf(endOf(three), 3, 2)
  const four = block(endOf(three), 4)
  say(endOf(four), [{ blocks: lost }, { hard: { term: 4, vote: null }, cut: lastOf(three), blocks: [four] }])
  say(endOf(three), [{ cut: lastOf(three) }])
  const five = chainOf(endOf(three), 5, 3)
  say(endOf(five[2]!), [{ hard: { term: 5, vote }, blocks: five }])
  say(endOf(five[2]!), [{ rebase: { ...base, ...endOf(two[0]!) } }])
  const six = chainOf(endOf(five[2]!), 5, 2)
  say(endOf(six[1]!), [{ blocks: [six[0]!] }, { rebase: { ...base, ...endOf(five[0]!) } }, { blocks: [six[1]!] }])
  // It lies within the log, which holds another record there, and below the mark.
  const snapshot = { ...base, index: lastOf(six[0]!), term: 6, chain: 66, state: 2 }
  const seven = block(end(snapshot), 7)
  say(endOf(seven), [{ hard: { term: 7, vote } }, { rebase: snapshot }, { blocks: [seven] }])
  return { turns, points }
}

function end({ index, term, chain }: ChainedId): ChainedId {
  return { index, term, chain }
}

/** Plays the story until it ends or the disk dies; returns how many of its writes were answered. */
async function play(log: LevelLog, turns: readonly Turn[], death: Promise<void>): Promise<{ answered: number }> {
  const progress = { answered: 0 }
  for (const turn of turns) {
    const writes = turn.map(write =>
      call<void>(done => ('rebase' in write ? log.rebase(write.rebase, done) : log.write(persist(write), done))).then(
        () => void progress.answered++
      )
    )
    const dead = await Promise.race([Promise.all(writes).then(() => false), death.then(() => true)])
    if (dead) break
  }
  return progress
}

function isPoint(points: readonly Point[], opened: Opened, answered: number): boolean {
  const found = JSON.stringify({ base: opened.base.index, tail: end(opened.tail) })
  const { term } = opened.restored.hard
  const kept = points.slice(answered).some(({ base, tail }) => JSON.stringify({ base, tail }) === found)
  return kept && term >= points[answered]!.hard.term
}

t.test('killed at any write, it opens trusted, with all that was answered, and goes on', async t => {
  const { turns, points } = story()
  const whole = new CrashDisk(0)
  const log = await lifeOf(whole.life(), null, 1)
  const opening = whole.effects
  await call<Opened>(done => log.open(done))
  await play(log, turns, new Promise(() => undefined))
  await call<void>(done => log.close(done))
  t.ok(whole.effects > 25, `${whole.effects} writes`)
  let later = 0
  for (let dieAt = 1; dieAt <= whole.effects; dieAt++) {
    for (let seed = 0; seed < 6; seed++) {
      const disk = new CrashDisk(dieAt * 100 + seed)
      disk.dieAt = dieAt
      const death = disk.death()
      const progress = { answered: 0 }
      const living = (async () => {
        const log = await lifeOf(disk.life(), null, 1)
        await call<Opened>(done => log.open(done))
        Object.assign(progress, await play(log, turns, death))
      })()
      await Promise.race([death, living])
      await new Promise(resolve => setImmediate(resolve))
      if (dieAt > opening) await Promise.race([living, new Promise(resolve => setImmediate(resolve))])
      disk.crash()
      const where = `died at write ${dieAt}, seed ${seed}`
      const next = await lifeOf(disk.life(), null, 1)
      const opened = await call<Opened>(done => next.open(done))
      if (opened.findings.length > 0) t.fail(`${where}: ${opened.findings.join('; ')}`)
      if (!opened.restored.trusted) t.fail(`${where}: not trusted`)
      if (!isPoint(points, opened, progress.answered)) {
        t.fail(`${where}: opened at ${JSON.stringify(opened.tail)} after ${progress.answered} answers`)
      }
      if (!disk.disk.names.has(`state-${opened.base.state}`) && opened.base.state === 1) t.fail(`${where}: no state`)
      later += opened.tail.index > points[progress.answered]!.tail.index ? 1 : 0
      await call<void>(done => next.write(persist({ blocks: [block(next.tail, 9)] }), done))
      await call<void>(done => next.close(done))
      const last = await lifeOf(disk.life(), null, 1)
      const again = await call<Opened>(done => last.open(done))
      if (again.tail.term !== 9 || !again.restored.trusted) t.fail(`${where}: the next life is not sound`)
      await call<void>(done => last.close(done))
    }
  }
  t.ok(later > 0, 'some writes survived without having been answered')
})

t.test('a write that is refused ends this life, and the next one begins from what the disk holds', async t => {
  const { turns, points } = story()
  for (let failAt = 6; failAt <= 25; failAt++) {
    const disk = new CrashDisk(failAt)
    const log = await lifeOf(disk.life(), null, 1)
    await call<Opened>(done => log.open(done))
    disk.failAt = failAt
    let answered = 0
    let refused = 0
    for (const turn of turns) {
      const writes = turn.map(write =>
        call<void>(done => ('rebase' in write ? log.rebase(write.rebase, done) : log.write(persist(write), done))).then(
          () => void answered++,
          (error: Error & { code: string; fate: string }) => {
            refused++
            t.match(error, { code: 'UNAVAILABLE', fate: 'unknown', message: /cannot be written: IO error/ })
          }
        )
      )
      await Promise.all(writes)
    }
    t.ok(refused > 0, `write ${failAt} was refused`)
    const { blocks } = disk
    await t.rejects(
      call<void>(done => log.write(persist({ blocks: [block(log.tail, 9)] }), done)),
      { code: 'UNAVAILABLE' }
    )
    await call<void>(done => log.close(done))
    t.equal(disk.blocks, blocks, 'the log is not written after it')
    const boot = (await openMemoryOf(disk.life())).memory.boot
    t.ok(boot >= 2)
    const next = await lifeOf(disk.life(), null, 1)
    const opened = await call<Opened>(done => next.open(done))
    t.equal(opened.restored.trusted, true)
    t.ok(isPoint(points, opened, answered))
    await call<void>(done => next.close(done))
  }
})

t.test('a mark that cannot be written ends this life too, though no write waits for it', async t => {
  const bed = new SimDiskBed(1)
  const { log } = bed.openLog()
  const told: Error[] = []
  log.watch(error => told.push(error))
  bed.call<void>(done => log.write(persist({ blocks: [block(log.tail, 1)] }), done))
  // From here on only the mark of what was written is under way.
  bed.disk.knobs.ioErrorChance = 1
  bed.time.run(100)
  t.match(told, [{ code: 'UNAVAILABLE', fate: 'unknown', message: /the memory of this node cannot be written/ }])
  t.equal(told.length, 1)
  const refused = bed.outcome<void>(done => log.write(persist({ blocks: [block(log.tail, 1)] }), done))
  t.equal(refused.error, told[0])
})

t.test('overwritten blocks that come back are seen (ABA), and a legitimate cut is no alarm', async t => {
  const disk = new CrashDisk(3)
  const log = await lifeOf(disk.life())
  await call<Opened>(done => log.open(done))
  const shared = chainOf(base, 1, 3)
  const old = chainOf(endOf(shared[2]!), 2, 3)
  await call<void>(done => log.write(persist({ blocks: [...shared, ...old] }), done))
  const before = disk.disk.log.durable.clone()
  let end = endOf(shared[2]!)
  const fresh = old.map(({ count }) => {
    const next = block(end, 3, count)
    end = endOf(next)
    return next
  })
  await call<void>(done => log.write(persist({ cut: lastOf(shared[2]!), blocks: fresh }), done))
  await call<void>(done => log.close(done))
  const whole = disk.disk.log.durable.clone()

  disk.disk.log.durable = before
  const other = await lifeOf(disk.life())
  const damaged = await call<Opened>(done => other.open(done))
  t.equal(damaged.tail.index, lastOf(fresh[2]!), 'as long as promised')
  t.equal(damaged.tail.term, 2)
  t.equal(damaged.restored.trusted, false)
  t.match(damaged.findings, [/another record at \d+ than was promised/])
  t.match(damaged.restored.mark, { term: 3, index: lastOf(fresh[2]!) }, 'the mark stays')
  await call<void>(done => other.close(done))

  disk.disk.log.durable = whole
  const cut = await lifeOf(disk.life())
  await call<Opened>(done => cut.open(done))
  await call<void>(done => cut.write(persist({ cut: lastOf(shared[2]!) }), done))
  await call<void>(done => cut.close(done))
  const shorter = await lifeOf(disk.life())
  const opened = await call<Opened>(done => shorter.open(done))
  t.equal(opened.tail.index, lastOf(shared[2]!))
  t.equal(opened.restored.trusted, true)
  await call<void>(done => shorter.close(done))
})

t.test(
  'an overwritten block that comes back alone, below what the state covers, is seen where the term changes',
  async t => {
    const disk = new CrashDisk(14)
    const log = await lifeOf(disk.life())
    await call<Opened>(done => log.open(done))
    const writes = async (...changes: Partial<Persist>[]): Promise<void> => {
      for (const change of changes) await call<void>(done => log.write(persist(change), done))
    }
    const shared = chainOf(base, 1, 3)
    const old = block(endOf(shared[2]!), 2)
    // The later leader has a record of an earlier term where this node has one of a later term.
    const fresh = block(endOf(shared[2]!), 1)
    const rest = chainOf(endOf(fresh), 3, 4)
    await writes({ blocks: shared }, { blocks: [old] }, { cut: lastOf(shared[2]!), blocks: [fresh] })
    await writes(...rest.map(next => ({ blocks: [next] })))
    const mark = endOf(rest[3]!)
    const stateOf = (_: Base, done: (error: null, state: ChainedId) => void): void => done(null, mark)
    await call<void>(done => log.close(done))
    t.match(
      disk.disk.rot('log-undo', () => 0),
      { from: old.first, to: lastOf(old) }
    )

    const next = await lifeOf(disk.life(), stateOf, 1)
    const opened = await call<Opened>(done => next.open(done))
    t.equal(opened.restored.trusted, false)
    t.match(opened.findings[0], /the block that begins at 8 does not continue 7@2: the log is cut off before it/)
    t.match(opened.tail, endOf(old), 'what is left was sound once')
    t.match(opened.restored.mark, mark, 'the mark stays')
    await call<void>(done => next.write(persist({ cut: lastOf(shared[2]!), blocks: [fresh, ...rest] }), done))
    const read = await call<readonly Block[] | null>(done => next.cold(old.first, 10_000, done))
    t.same(
      read!.map(each => each.chain),
      [fresh, ...rest].map(each => each.chain)
    )
    await call<void>(done => next.close(done))
  }
)

t.test('an untrusted log is mended by the leader, and trusted when the core says so', async t => {
  const disk = new CrashDisk(4)
  const log = await lifeOf(disk.life())
  await call<Opened>(done => log.open(done))
  const blocks = chainOf(base, 1, 8)
  await call<void>(done => log.write(persist({ blocks }), done))
  await call<void>(done => log.close(done))
  const { durable } = disk.disk.log
  durable.delete(durable.keysArray()[3]!)
  const hole = await lifeOf(disk.life())
  const opened = await call<Opened>(done => hole.open(done))
  t.equal(opened.restored.trusted, false)
  t.match(opened.findings, [/the records from 4 to 6 are missing: the log is cut off/, /but 15@1 was promised/])
  t.match(opened.tail, endOf(blocks[1]!))
  await call<void>(done => hole.write(persist({ blocks: blocks.slice(2, 4) }), done))
  await call<void>(done => hole.close(done))
  const still = await lifeOf(disk.life())
  const later = await call<Opened>(done => still.open(done))
  t.equal(later.restored.trusted, false, 'still shorter than promised')
  t.equal(later.findings.length, 1, 'but whole')
  await call<void>(done => still.write(persist({ blocks: [block(still.tail, 2)], trust: true }), done))
  await call<void>(done => still.close(done))
  const well = await lifeOf(disk.life())
  t.equal((await call<Opened>(done => well.open(done))).restored.trusted, true)
  await call<void>(done => well.close(done))
})

t.test('what was never promised may be damaged: it is cut off, said, and the rest is trusted', async t => {
  const disk = new CrashDisk(5)
  const log = await lifeOf(disk.life())
  await call<Opened>(done => log.open(done))
  const blocks = chainOf(base, 1, 4)
  await call<void>(done => log.write(persist({ blocks: blocks.slice(0, 2) }), done))
  await call<void>(done => log.close(done))
  const slots = [...disk.disk.slots.durable] as const
  const next = await lifeOf(disk.life())
  await call<Opened>(done => next.open(done))
  await call<void>(done => next.write(persist({ blocks: blocks.slice(2) }), done))
  await call<void>(done => next.close(done))
  Object.assign(disk.disk.slots.durable, slots)
  Object.assign(disk.disk.slots.cached, slots)
  const { log: database } = disk.disk
  database.durable.delete(database.durable.keysArray()[3]!)
  const short = await lifeOf(disk.life())
  const opened = await call<Opened>(done => short.open(done))
  t.equal(opened.restored.trusted, true)
  t.equal(opened.findings.length, 1)
  t.match(opened.tail, endOf(blocks[1]!))
  t.equal(database.durable.size, 3, 'what followed is deleted')
  await call<void>(done => short.close(done))
})

t.test('a sound block of another history does not pass', async t => {
  const disk = new CrashDisk(12)
  const log = await lifeOf(disk.life())
  await call<Opened>(done => log.open(done))
  const blocks = chainOf(base, 1, 3)
  await call<void>(done => log.write(persist({ blocks }), done))
  await call<void>(done => log.close(done))
  const stranger = block({ ...endOf(blocks[1]!), chain: 12345 }, 1, blocks[2]!.count)
  const { durable } = disk.disk.log
  durable.delete(durable.keysArray()[3]!)
  const key = blockKey(cardOf(stranger))
  durable.set(textOf(key), { key, value: stranger.bytes })
  const next = await lifeOf(disk.life())
  const opened = await call<Opened>(done => next.open(done))
  t.equal(opened.restored.trusted, false)
  t.match(opened.findings[0], /the block of the records 4 to 6 is damaged/)
  t.match(opened.tail, endOf(blocks[1]!))
  await call<void>(done => next.close(done))
})

t.test('the state on disk is asked, and must lie within the log', async t => {
  const disk = new CrashDisk(6)
  const log = await lifeOf(disk.life())
  await call<Opened>(done => log.open(done))
  const blocks = chainOf(base, 1, 6)
  await call<void>(done => log.write(persist({ blocks }), done))
  await call<void>(done => log.rebase({ ...base, ...endOf(blocks[1]!) }, done))
  await call<void>(done => log.close(done))
  const open = async (index: number, term: number): Promise<Opened> => {
    const life = await lifeOf(disk.life(), (asked, done) => {
      t.equal(asked.index, 3)
      done(null, { index, term })
    })
    const opened = await call<Opened>(done => life.open(done))
    await call<void>(done => life.close(done))
    return opened
  }
  t.equal((await open(5, 1)).restored.trusted, true)
  t.match((await open(2, 1)).findings, [/the state contains only 2@1, but the log begins after 3@1/])
  t.match((await open(5, 2)).findings, [/the state contains 5@2, but the log holds another record there/])
  t.match((await open(99, 1)).findings, [/the state contains 99@1, but the log ends at 12@1/])
})

t.test('old blocks are believed at open and read by the scrub', async t => {
  const disk = new CrashDisk(8)
  const log = await lifeOf(disk.life())
  await call<Opened>(done => log.open(done))
  const blocks = chainOf(base, 1, 9)
  await call<void>(done => log.write(persist({ blocks }), done))
  await call<void>(done => log.close(done))
  const last = lastOf(blocks[8]!)
  const scrubbed = async (): Promise<{ opened: Opened; found: Damage | null; read: number }> => {
    const life = await lifeOf(disk.life(), (_, done) => done(null, { index: last, term: 1 }), 1)
    const opened = await call<Opened>(done => life.open(done))
    t.equal(life.unverified, lastOf(blocks[7]!))
    let read = 0
    const found = await new Promise<Damage | null>(resolve => {
      scrub(life, life.unverified, realEnv, resolve, bytes => (read += bytes), { bytesMax: 200, restMs: 0 })
    })
    await call<void>(done => life.close(done))
    return { opened, found, read }
  }
  const sound = await scrubbed()
  t.equal(sound.found, null)
  t.equal(
    sound.read,
    blocks.slice(0, 8).reduce((sum, { bytes }) => sum + bytes.length, 0)
  )
  const row = disk.disk.log.durable.valuesArray().find(({ key }) => key[0] === 2 && key[10] === 4)!
  const altered = new Uint8Array(row.value)
  altered[40]! ^= 4
  disk.disk.log.alter(textOf(row.key), altered)
  const { opened, found, read } = await scrubbed()
  t.equal(opened.restored.trusted, true)
  t.match(found, { last: 6, error: { message: 'the block of the records 4 to 6 is damaged on disk' } })
  const before = blocks.filter(each => lastOf(each) < 4)
  t.equal(
    read,
    before.reduce((sum, { bytes }) => sum + bytes.length, 0),
    'up to the damage'
  )
})

t.test('state directories that the base does not name are removed', async t => {
  const disk = new CrashDisk(9)
  const log = await lifeOf(disk.life())
  t.same([...disk.disk.names], ['state-1'])
  await call<Opened>(done => log.open(done))
  disk.disk.names.add('state-2')
  const snapshot = { ...base, index: 50, term: 3, chain: 9, state: 2 }
  await call<void>(done => log.rebase(snapshot, done))
  await call<void>(done => log.close(done))
  for (const name of ['state-3', 'state-x', 'backup']) disk.disk.names.add(name)
  const next = await lifeOf(disk.life())
  t.match(await call<Opened>(done => next.open(done)), { base: { index: 50, state: 2 }, tail: { index: 50, term: 3 } })
  t.same([...disk.disk.names].toSorted(), ['backup', 'state-2', 'state-x'])
  await call<void>(done => next.close(done))
})

t.test('a directory that cannot be opened says why in one line', async t => {
  const { folder, remove } = temporaryFolder()
  t.teardown(remove)
  const unfounded = await openMemoryOf(fileParts(folder))
  t.equal(unfounded.memory.clusterId, null)
  const { level, directory } = fileParts(folder)
  const bare = new LevelLog({ level, memory: unfounded, directory, env: realEnv, stateOf: null })
  await t.rejects(
    call<Opened>(done => bare.open(done)),
    { fault: 'unfounded', code: 'BAD_REQUEST' }
  )

  const log = await lifeOf(fileParts(folder))
  await call<Opened>(done => log.open(done))
  const second = await lifeOf(fileParts(folder))
  await t.rejects(
    call<Opened>(done => second.open(done)),
    { fault: 'locked', message: /in use by another process/ }
  )
  await call<void>(done => log.write(persist({ blocks: [block(log.tail, 1)] }), done))
  await call<void>(done => log.close(done))

  await t.rejects(
    call<MemoryKeeper>(done => openMemory(fileParts(folder).slots, realEnv, { ...identity, id: 'n2' }, done)),
    { fault: 'foreign-id', message: 'the data directory belongs to node n1, not to n2' }
  )

  const lost = new CrashDisk(1).life()
  const memory = await openMemoryOf(lost)
  await t.rejects(
    call<void>(done => foundLog({ level, memory, directory }, founding, done)),
    { fault: 'amnesia', code: 'CORRUPT' },
    'a log without its memory is not founded again'
  )
  await call<void>(done => memory.save({ clusterId: 'f'.repeat(32) }, done))
  const stranger = new LevelLog({ level, memory, directory, env: realEnv, stateOf: null })
  await t.rejects(
    call<Opened>(done => stranger.open(done)),
    { fault: 'foreign-cluster', code: 'BAD_REQUEST' }
  )
})

t.test('a founding that was broken off is taken up again; membership is in the base', async t => {
  const disk = new CrashDisk(2)
  disk.dieAt = 3
  const death = disk.death()
  await Promise.race([death, lifeOf(disk.life())])
  disk.crash()
  const log = await lifeOf(disk.life())
  const { restored } = await call<Opened>(done => log.open(done))
  t.same(restored.memberships, [{ index: 0, membership }])
  const blocks: readonly Block[] = chainOf(log.tail, 1, 2)
  await call<void>(done => log.write(persist({ blocks }), done))
  await call<void>(done => log.close(done))
})
