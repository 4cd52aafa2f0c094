// The log without a disk passes the suite of all logs, and a crash leaves of it what a disk might have.
import { t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import { foundingBase } from '../../lib/log/found-log.ts'
import type { Opened } from '../../lib/log/log.ts'
import { LogImage, MemoryLog } from '../../lib/log/memory-log.ts'
import { block, call, chainOf, endOf, founding, persist } from '../help/log-blocks.ts'
import { realEnv } from '../help/real-time.ts'
import { VirtualTime } from '../help/virtual-time.ts'
import { logSuite } from '../suite/log.ts'

const base = foundingBase(founding)

logSuite(
  t,
  async hotBytesMax => {
    const image = new LogImage(base)
    const env = { ...realEnv, after: (_: number, wake: () => void) => cancellable(wake) }
    return {
      life: async () => new MemoryLog({ image, env, hotBytesMax }),
      end: async () => undefined
    }
  },
  base,
  Number(process.env['FC_RUNS'] ?? 150)
)

function cancellable(wake: () => void): () => void {
  const immediate = setImmediate(wake)
  return () => clearImmediate(immediate)
}

t.test('a crash keeps what was durable and some of the rest, in order, a cut never without its block', async t => {
  const random = new Random(7)
  const lengths = new Set<number>()
  for (let run = 0; run < 200; run++) {
    const time = new VirtualTime(run)
    const image = new LogImage(base)
    const life = (): MemoryLog => new MemoryLog({ image, env: time.env('n1'), delayMs: () => 5 })
    const log = life()
    let opened: Opened | null = null
    log.open((_, result) => (opened = result))
    time.until(() => opened !== null)
    const blocks = chainOf(base, 1, 4)
    let written = 0
    log.write(persist({ hard: { term: 1, vote: null }, blocks }), () => written++)
    time.until(() => written === 1)
    const cut = endOf(blocks[1]!)
    const fresh = [block(cut, 2), block(endOf(block(cut, 2)), 2)]
    log.write(
      persist({ hard: { term: 2, vote: 'n1.00000000000000aa' }, cut: cut.index, blocks: fresh }),
      () => written++
    )
    log.crash(below => random.below(below))
    time.run(1000)
    t.equal(written, 1, 'a dead log answers nothing')
    const next = life()
    next.open((_, result) => (opened = result))
    opened = null
    time.until(() => opened !== null)
    const { restored, tail } = opened!
    t.equal(restored.trusted, true)
    t.ok(restored.hard.term === 2 || tail.term === 1, 'term and vote come first')
    const allowed = [endOf(blocks[3]!), endOf(fresh[0]!), endOf(fresh[1]!)].map(({ index, term }) => `${index}@${term}`)
    t.ok(allowed.includes(`${tail.index}@${tail.term}`))
    lengths.add(tail.index * 10 + tail.term)
  }
  t.equal(lengths.size, 3, 'each outcome has been seen')
})

t.test('a damaged image is not trusted, and the mark is not lowered by cuts', async t => {
  const image = new LogImage(base)
  const first = new MemoryLog({ image, env: realEnv })
  await call<Opened>(done => first.open(done))
  const blocks = chainOf(base, 1, 5)
  await call<void>(done => first.write(persist({ blocks }), done))
  await call<void>(done => first.close(done))
  image.blocks.splice(3)
  const second = new MemoryLog({ image, env: realEnv })
  const opened = await call<Opened>(done => second.open(done))
  t.equal(opened.restored.trusted, false)
  t.match(opened.findings, [/the log ends at 6@1, but 9@1 was promised/])
  await call<void>(done => second.write(persist({ cut: 1, blocks: [] }), done))
  t.equal(image.mark.index, 9)
  const fresh = block(endOf(blocks[0]!), 2)
  await call<void>(done => second.write(persist({ blocks: [fresh] }), done))
  t.match(image.mark, { index: 2, term: 2 }, 'a later term is more than was promised')
})

t.test('a cold read finds nothing of what was cut, although it is still on the disk', async t => {
  const time = new VirtualTime(1)
  const image = new LogImage(base)
  let delay = 1
  const life = (): MemoryLog => new MemoryLog({ image, env: time.env('n1'), delayMs: () => delay })
  const before = life()
  before.open(error => t.equal(error, null))
  time.run(10)
  const first = block(before.tail, 1)
  before.write(persist({ blocks: [first, block(endOf(first), 1)] }), () => {})
  time.run(10)
  const log = life()
  log.open(error => t.equal(error, null))
  time.run(10)
  delay = 5
  log.write(persist({ cut: 1, blocks: [block(endOf(first), 2)] }), () => {})
  delay = 1
  let read: unknown = null
  log.cold(1, 1000, (_, blocks) => {
    read = blocks
  })
  time.run(2)
  t.same(read, [first])
})
