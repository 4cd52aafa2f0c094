// Real file systems that are full: what grows is refused, deletes go on, no process ends, and with room all goes on by itself.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { type Test, t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Client } from '../../lib/client/client.ts'
import { Load } from '../help/load.ts'
import { ask, RealCluster, statusOnce } from '../help/real-cluster.ts'
import { eventually } from '../help/real-time.ts'

t.setTimeout(180_000)

const mebibyte = 1_048_576

/** A file system of this size, which ends with the test. */
class SmallDisk {
  readonly path: string
  readonly #filler: string

  private constructor(path: string) {
    this.path = path
    this.#filler = join(path, 'filler')
  }

  /** Null where this user may not mount one. */
  static mount(t: Test, size: string): SmallDisk | null {
    const path = mkdtempSync(join(tmpdir(), 'stretto-small-'))
    t.teardown(() => rmSync(path, { recursive: true }))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path], { stdio: 'ignore' })
    } catch {
      return null
    }
    t.teardown(() => execFileSync('umount', ['-l', path]))
    return new SmallDisk(path)
  }

  get free(): number {
    const { bavail, bsize } = statfsSync(this.path)
    return bavail * bsize
  }

  /** Somebody else takes room, so that only so many bytes are left. */
  fill(left: number): void {
    const piece = Buffer.alloc(mebibyte, 1)
    for (;;) {
      const bytes = Math.min(mebibyte, this.free - left)
      if (bytes <= 0) return
      writeFileSync(this.#filler, piece.subarray(0, bytes), { flag: 'a' })
    }
  }

  /** And gives it back. */
  relieve(): void {
    rmSync(this.#filler)
  }
}

/** Puts large values from a few callers until so many of them have failed; gives the keys that were acknowledged. */
async function putUntil(db: Client<string>, name: string, failures: number) {
  const value = 'v'.repeat(50_000)
  const written: string[] = []
  const errors: StrettoError[] = []
  const call = async (caller: number): Promise<void> => {
    for (let number = 0; errors.length < failures; number++) {
      const key = `${name}/${caller}/${number}`
      try {
        await db.put(key, value, { timeout: '20s' })
        written.push(key)
      } catch (error) {
        if (!(error instanceof StrettoError)) throw error
        errors.push(error)
      }
    }
  }
  await Promise.all([1, 2, 3, 4].map(call))
  return { written, errors, value }
}

/** Comes when a put is taken in; what is refused meanwhile must be for want of room, and not applied. */
async function putAgain(t: Test, db: Client<string>, key: string): Promise<void> {
  const begun = performance.now()
  for (;;) {
    try {
      await db.put(key, 'again')
      break
    } catch (error) {
      t.match(error, { code: 'NO_SPACE', fate: 'not-applied' })
      await pass(200)
    }
  }
  const ms = performance.now() - begun
  t.ok(ms < 20_000, `taken in after ${Math.round(ms)} ms`)
}

t.test('three nodes whose disks fill: puts end not applied, all else goes on, and deletes make room', async t => {
  const small = SmallDisk.mount(t, '256m')
  if (small === null) return t.pass('a full disk', { skip: 'this user may not mount a file system' })
  const ids = ['n1', 'n2', 'n3']
  const cluster = await RealCluster.start(t, {
    dataDirs: Object.fromEntries(ids.map(id => [id, join(small.path, id)]))
  })
  const db = cluster.client()
  await db.put('early', 'kept')
  small.fill(66 * mebibyte)
  for (const id of ids) await statusOnce(cluster.address(id), ({ space }) => space === 'low')

  const { written, errors, value } = await putUntil(db, 'large', 8)
  t.ok(written.length > 0, `${written.length} puts before the first was refused`)
  for (const error of errors) t.match(error, { code: 'NO_SPACE', fate: 'not-applied', retryable: true })
  t.equal((await db.get('early'))?.value, 'kept')
  t.ok((await ask(cluster.address('n1'), '/readyz')).status === 200, 'it serves on')
  const [, ...rest] = written
  for (const key of rest) t.match(await db.delete(key), { deleted: 1 })
  await putAgain(t, db, 'after the deletes')

  const again = await putUntil(db, 'more', 4)
  for (const error of again.errors) t.match(error, { code: 'NO_SPACE', fate: 'not-applied' })
  small.relieve()
  await putAgain(t, db, 'after room was made')
  for (const id of ids) await statusOnce(cluster.address(id), ({ space }) => space === 'ample')
  for (const key of [written[0]!, ...again.written]) t.equal((await db.get(key))?.value, value)
  const kept = await db.count({ prefix: '' })
  t.equal(kept, 1 + 1 + again.written.length + 2, 'nothing that was refused is there')
  t.same(cluster.running, ids, 'and no process has ended')
})

t.test('one node whose disk is full waits for room; the others go on, and it comes back whole', async t => {
  const small = SmallDisk.mount(t, '128m')
  if (small === null) return t.pass('a full disk', { skip: 'this user may not mount a file system' })
  const args = ['--ballast', '4MiB']
  const cluster = await RealCluster.start(t, { dataDirs: { n3: join(small.path, 'n3') }, args })
  const ballast = join(small.path, 'n3', 'ballast')
  const isWhole = (): boolean => existsSync(ballast) && statSync(ballast).size === 4 * mebibyte
  t.ok(await eventually(isWhole, 30_000), 'the ballast is there')

  const load = new Load(cluster.client(), 16)
  await load.more(200)
  small.fill(0)
  t.ok(await eventually(() => !existsSync(ballast)), 'and is given up')
  small.fill(0)
  const full = await statusOnce(cluster.address('n3'), ({ reasons }) => reasons.some(text => text.includes('full')))
  t.match(full, { ready: false })
  // Closing the databases has left a little.
  small.fill(0)
  t.equal((await ask(cluster.address('n3'), '/livez')).status, 200)
  t.match((await ask(cluster.address('n3'), '/readyz')).text, /the disk is full/)
  await load.more(1_000)
  t.same(cluster.running, ['n1', 'n2', 'n3'])

  const node = cluster.node('n3')
  const lines = node.lines.length
  small.relieve()
  await node.line(({ event }) => event === 'open', lines)
  await statusOnce(cluster.address('n3'), ({ ready }) => ready)
  await load.more(200)
  await load.stop()
  t.same(
    load.errors.filter(({ fate }) => fate === 'not-applied'),
    [],
    'with room on two disks nothing is refused'
  )
  await cluster.node('n1').kill()
  t.strictSame(await load.audit(cluster.client()), { lost: 0, miscounted: [] }, 'nothing is missing without n1')
  t.ok(await eventually(isWhole, 30_000), 'the ballast is back')
})

t.test('a node that is started on a full disk waits for room too', async t => {
  const small = SmallDisk.mount(t, '64m')
  if (small === null) return t.pass('a full disk', { skip: 'this user may not mount a file system' })
  const cluster = await RealCluster.start(t, { size: 1, dataDirs: { n1: join(small.path, 'n1') } })
  await cluster.client().put('key', 'value')
  await cluster.node('n1').stop()
  small.fill(0)
  const node = cluster.start('n1')
  const waiting = await node.line(({ event, msg }) => event === 'waiting' && msg.includes('full'))
  t.match(waiting.msg, /the disk is full: 0 B are left/)
  small.relieve()
  await node.ready()
  t.equal((await cluster.client().get('key'))?.value, 'value')
})
