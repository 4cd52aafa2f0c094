// The watches of a client link: when they begin, who is refused, what a full link is spared, and how they end.
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Feed, FeedSink } from '../../lib/machine/feed.ts'
import { Watches, type WatchesParts } from '../../lib/server/watches.ts'
import { frameKind } from '../../lib/wire/client.ts'
import { writeWatch } from '../../lib/wire/watch.ts'
import { VirtualTime } from '../help/virtual-time.ts'

class FakeFeed implements Feed {
  readonly sink: FeedSink
  readonly begun: number[] = []
  readonly calls: string[] = []

  constructor(sink: FeedSink) {
    this.sink = sink
  }

  get count(): number {
    return this.begun.length
  }

  begin(number: number, _request: Uint8Array, credit: number): void {
    this.begun.push(number)
    this.calls.push(`begin ${number} with ${credit}`)
  }

  credit(number: number, bytes: number): void {
    this.calls.push(`credit ${number} ${bytes}`)
  }

  end(number: number): void {
    this.calls.push(`end ${number}`)
  }

  drained(): void {
    this.calls.push('drained')
  }

  close(): void {
    this.calls.push('close')
  }
}

class Bed {
  readonly time = new VirtualTime()
  readonly feeds: FakeFeed[] = []
  readonly reads: ((error: Error | null) => void)[] = []
  readonly refused: [number, string][] = []
  readonly sent: Uint8Array[] = []
  readonly node = {
    ageMs: 0,
    read: (_terms: unknown, done: (error: Error | null) => void) => void this.reads.push(done)
  }
  unsent = 0
  life: { node: unknown; machine: unknown } | null = { node: this.node, machine: this.machine() }
  readonly watches: Watches

  constructor() {
    const parts = { env: this.time.env('n1'), life: () => this.life } as unknown as WatchesParts
    const limits = { watchesMax: 3, watchBytesMax: 1000, outOfTouchMs: 2000 }
    this.watches = new Watches(parts, limits, {
      unsent: () => this.unsent,
      send: frame => void this.sent.push(frame),
      refuse: (number, error) => void this.refused.push([number, (error as StrettoError).code])
    })
  }

  machine() {
    return {
      feed: (sink: FeedSink): Feed => {
        const feed = new FakeFeed(sink)
        this.feeds.push(feed)
        return feed
      }
    }
  }

  begin(number: number, fresh = false): void {
    this.watches.begin(writeWatch({ number, fresh, credit: 100, body: new Uint8Array([0x90]) }))
  }
}

t.test('one that begins now waits for a read index, one that goes on does not', async t => {
  const bed = new Bed()
  bed.begin(1, true)
  bed.begin(2)
  t.strictSame(bed.feeds[0]!.begun, [2])
  t.ok(bed.watches.credit(1, 50))
  bed.reads[0]!(null)
  t.strictSame(bed.feeds[0]!.calls, ['begin 2 with 100', 'begin 1 with 150'])
  t.equal(bed.feeds.length, 1, 'one feed for the link')
  bed.begin(3, true)
  bed.reads[1]!(new StrettoError('TIMED_OUT', 'no leader'))
  bed.begin(4, true)
  t.ok(bed.watches.end(4), 'ended while it waited')
  bed.reads[2]!(null)
  t.strictSame(bed.feeds[0]!.begun, [2, 1])
  t.strictSame(bed.refused, [[3, 'TIMED_OUT']])
  t.throws(() => bed.begin(1), { code: 'BAD_REQUEST' })
  t.notOk(bed.watches.credit(9, 1))
  t.notOk(bed.watches.end(9))
})

t.test('refused: between two lives, out of touch, one too many, and where nothing can be watched', async t => {
  const bed = new Bed()
  const { life } = bed
  bed.life = null
  bed.begin(1)
  bed.life = life
  bed.node.ageMs = 2001
  bed.begin(2)
  bed.node.ageMs = 0
  for (const number of [3, 4, 5, 6]) bed.begin(number)
  t.strictSame(bed.refused, [
    [1, 'UNAVAILABLE'],
    [2, 'UNAVAILABLE'],
    [6, 'OVERLOADED']
  ])
  const plain = new Bed()
  plain.life = { node: plain.node, machine: {} }
  plain.begin(1)
  t.strictSame(plain.refused, [[1, 'BAD_REQUEST']])
})

t.test('a node that has lost touch with its leader ends its watches', async t => {
  const bed = new Bed()
  bed.begin(1)
  bed.begin(2, true)
  bed.node.ageMs = 1999
  bed.time.run(1000)
  t.strictSame(bed.refused, [])
  bed.node.ageMs = 2001
  bed.time.run(300)
  t.strictSame(bed.refused, [
    [1, 'UNAVAILABLE'],
    [2, 'UNAVAILABLE']
  ])
  t.ok(bed.feeds[0]!.calls.includes('end 1'))
  bed.reads[0]!(null)
  t.strictSame(bed.feeds[0]!.begun, [1])
})

t.test('a full link is told nothing until half of it has drained', async t => {
  const bed = new Bed()
  bed.begin(1)
  const [feed] = bed.feeds as [FakeFeed]
  t.ok(feed.sink.open)
  bed.unsent = 1001
  t.notOk(feed.sink.open)
  bed.unsent = 900
  bed.time.run(50)
  t.notOk(feed.sink.open)
  bed.unsent = 500
  bed.time.run(50)
  t.ok(feed.sink.open)
  t.equal(feed.calls.at(-1), 'drained')
  feed.sink.progress(7, [1])
  t.strictSame(
    bed.sent.map(frame => frame[4]),
    [frameKind.progress]
  )
})

t.test('the next life of the node has a feed of its own; the end of the link closes it', async t => {
  const bed = new Bed()
  bed.begin(1)
  bed.feeds[0]!.sink.ended(1, new StrettoError('UNAVAILABLE', 'over'))
  t.strictSame(bed.refused, [[1, 'UNAVAILABLE']])
  bed.life = { node: bed.node, machine: bed.machine() }
  bed.begin(1)
  t.equal(bed.feeds.length, 2)
  t.equal(bed.feeds[0]!.calls.at(-1), 'close')
  bed.watches.close()
  t.equal(bed.feeds[1]!.calls.at(-1), 'close')
  t.notOk(bed.feeds[1]!.sink.open)
})
