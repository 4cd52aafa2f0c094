// One watch of a client, by the frames that it says and hears: credit, going on elsewhere, and what its consumer gets.
import { t } from 'tap'
import type { Connection } from '../../lib/client/connection.ts'
import type { Context } from '../../lib/client/context.ts'
import { Corner } from '../../lib/client/corner.ts'
import { json, utf8 } from '../../lib/client/encoding.ts'
import { OpenMirror } from '../../lib/client/mirror.ts'
import { Requests } from '../../lib/client/requests.ts'
import { aheadBytesMax, OpenWatch } from '../../lib/client/watch.ts'
import { type WatchOptions, watchTerms } from '../../lib/client/watch-options.ts'
import { Watches } from '../../lib/client/watches.ts'
import { Wheel } from '../../lib/client/wheel.ts'
import { pack } from '../../lib/record/pack.ts'
import { frameKind, readSmall } from '../../lib/wire/client.ts'
import { packEntry } from '../../lib/wire/kv/questions.ts'
import { packChange, readWatch } from '../../lib/wire/kv/watches.ts'
import { readWatchFrame, writeEntries, writeEvents, writeProgress } from '../../lib/wire/watch.ts'
import { microtasks } from '../help/client-rig.ts'
import { VirtualTime } from '../help/virtual-time.ts'

const clusterId = 'c'

/** A link to a node, as a watch uses it. */
class FakePath {
  readonly nodeId: string
  readonly welcome = { clusterId }
  readonly sent: Uint8Array[] = []

  constructor(nodeId: string) {
    this.nodeId = nodeId
  }

  send(frame: Uint8Array): void {
    this.sent.push(frame)
  }

  /** The frames since the last call. */
  take(): Uint8Array[] {
    return this.sent.splice(0)
  }
}

class Bed {
  readonly time = new VirtualTime()
  readonly requests = new Requests()
  readonly watches: Watches
  path: FakePath | null = new FakePath('n1')
  complaints = 0
  #turnAsked = false

  constructor() {
    const env = this.time.env('client')
    const links = { start: () => {}, complain: () => this.complaints++, lastFailure: '' }
    const takeTurn = (): void => {
      this.#turnAsked = true
    }
    const context = {
      env,
      links,
      requests: this.requests,
      wheel: new Wheel(env),
      takeTurn,
      ended: () => {},
      seenIndex: 0
    }
    this.watches = new Watches(context as unknown as Context)
  }

  watch(options: WatchOptions, codec: typeof utf8 | typeof json = utf8): OpenWatch {
    const corner = new Corner(new Uint8Array(0), codec)
    const watch = new OpenWatch(this.watches, corner, watchTerms(options, corner))
    watch.start()
    this.turn()
    return watch
  }

  turn(): void {
    this.#turnAsked = false
    this.watches.turn(this.path as unknown as Connection | null, this.time.now)
  }

  get turnAsked(): boolean {
    return this.#turnAsked
  }

  hear(frame: Uint8Array, from = this.path!): void {
    if (this.requests.shared(frame, from)) return
    this.requests.waiter(new DataView(frame.buffer, frame.byteOffset).getUint32(8))!.answered(frame, from)
  }

  breaks(to: FakePath | null): void {
    const lost = this.path
    this.path = to
    this.watches.lost(lost as unknown as Connection)
    this.turn()
  }
}

function entry(key: string, value: string | null, modRevision: number) {
  const rest = {
    createRevision: value === null ? 0 : modRevision,
    modRevision,
    version: value === null ? 0 : 1,
    leaseId: 0
  }
  return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value), ...rest }
}

function put(number: number, revision: number, key: string, value: string): Uint8Array {
  const change = packChange({ kind: 0, entry: entry(key, value, revision), previous: undefined })
  return writeEvents(revision, pack([change]), [{ number, places: null }])
}

function page(number: number, revision: number, entries: Record<string, string>, flags = {}): Uint8Array {
  const packed = Object.entries(entries).map(([key, value]) => packEntry(entry(key, value, revision)))
  return writeEntries({ number, anew: false, last: true, body: pack([revision, ...packed]), ...flags })
}

function asked(frame: Uint8Array) {
  const { number, fresh, credit, body } = readWatchFrame(frame)
  return { number, fresh, credit, ...readWatch(body) }
}

t.test('it asks once, and goes on elsewhere after what it has heard', async t => {
  const bed = new Bed()
  const watch = bed.watch({ prefix: 'a/' })
  const [first] = bed.path!.take().map(asked)
  t.match(first, { fresh: true, after: null, initial: false, credit: aheadBytesMax })
  bed.hear(writeProgress({ revision: 7, numbers: [1] }))
  t.equal(watch.revision, 7)
  bed.hear(put(1, 9, 'a/x', '1'))
  bed.breaks(null)
  bed.breaks(new FakePath('n2'))
  t.match(bed.path!.take().map(asked), [{ fresh: false, after: 9, scan: null }])
  bed.hear(put(1, 9, 'a/x', '1'))
  bed.hear(put(1, 8, 'a/x', '0'))
  bed.hear(put(1, 12, 'a/y', '2'))
  t.match(await watch.next(), { value: { revision: 9, changes: [{ type: 'put', entry: { key: 'a/x', value: '1' } }] } })
  t.match(await watch.next(), { value: { revision: 12 } }, 'nothing twice, nothing older')
})

t.test('what another link still says counts for nothing', async t => {
  const bed = new Bed()
  const watch = bed.watch({ key: 'k' })
  const old = bed.path!
  bed.hear(writeProgress({ revision: 3, numbers: [1] }))
  bed.breaks(new FakePath('n2'))
  bed.hear(put(1, 4, 'k', 'late'), old)
  bed.hear(writeProgress({ revision: 9, numbers: [1] }), old)
  t.equal(watch.revision, 3)
})

t.test('credit is given back as batches are taken, and never for more than waits', async t => {
  const bed = new Bed()
  const watch = bed.watch({ key: 'k', fromRevision: 2 })
  bed.path!.take()
  const value = 'x'.repeat(50_000)
  for (let revision = 2; revision < 7; revision++) bed.hear(put(1, revision, 'k', value))
  t.notOk(bed.turnAsked && bed.path!.take().length > 0, 'nothing was taken')
  await watch.next()
  bed.turn()
  t.strictSame(bed.path!.take(), [], 'not yet worth a frame')
  await watch.next()
  bed.turn()
  t.strictSame(bed.path!.take().map(readSmall), [{ number: 1, amount: 2 * (64 + 1 + 50_000) }])
  bed.breaks(new FakePath('n2'))
  t.match(bed.path!.take().map(asked), [{ after: 6, credit: aheadBytesMax - 3 * (64 + 1 + 50_000) }])
})

t.test('refused, it complains of a node that is out of touch, and tries again', async t => {
  const bed = new Bed()
  const watch = bed.watch({ key: 'k', fromRevision: 5 })
  bed.path!.take()
  const refused = { number: 1, code: 'UNAVAILABLE', fate: 'not-applied', text: '', retryAfterMs: 100 } as const
  watch.refused(refused, bed.path!)
  t.equal(bed.complaints, 1)
  bed.turn()
  t.strictSame(bed.path!.take(), [])
  bed.time.run(200)
  bed.turn()
  t.match(bed.path!.take().map(asked), [{ after: 4 }])
  watch.refused({ ...refused, code: 'COMPACTED' }, bed.path!)
  await t.rejects(watch.next(), { code: 'COMPACTED' })
  t.strictSame(await watch.next(), { done: true, value: undefined })
  t.equal(bed.requests.count, 0)
})

t.test('present entries: interrupted, they go on after the last key; begun anew, they count from there', async t => {
  const bed = new Bed()
  const watch = bed.watch({ prefix: '', initial: true })
  t.match(bed.path!.take().map(asked), [{ initial: true, fresh: true, scan: null }])
  bed.hear(page(1, 20, { a: '1', b: '2' }, { last: false }))
  bed.breaks(new FakePath('n2'))
  t.match(bed.path!.take().map(asked), [
    { initial: false, fresh: true, scan: { revision: 20, after: Buffer.from('b') } }
  ])
  bed.hear(page(1, 22, { b: '3' }, { anew: true }))
  bed.hear(put(1, 22, 'b', '3'))
  bed.hear(put(1, 23, 'c', '4'))
  const got = []
  for (let at = 0; at < 5; at++) got.push(((await watch.next()) as { readonly value: unknown }).value)
  t.match(got, [
    { revision: 20, changes: [{ entry: { key: 'a' } }, { entry: { key: 'b' } }] },
    { revision: 22, reset: true },
    { revision: 22, changes: [{ entry: { key: 'b', value: '3' } }] },
    { revision: 22, synced: true },
    { revision: 23, changes: [{ entry: { key: 'c' } }] }
  ])
})

t.test('how far it is: told where that was asked for, never twice in a row, never before it begins', async t => {
  const bed = new Bed()
  const watch = bed.watch({ key: 'k', fromRevision: 10, progress: '1s' })
  t.match(bed.path!.take().map(asked), [{ progressMs: 1000, after: 9 }])
  for (const revision of [9, 11, 12]) bed.hear(writeProgress({ revision, numbers: [1] }))
  t.match(await watch.next(), { value: { revision: 12, progress: true, changes: [] } })
  const silent = bed.watch({ key: 'k', fromRevision: 10 })
  bed.hear(writeProgress({ revision: 15, numbers: [1, 2] }))
  t.equal(silent.revision, 15)
})

t.test('it ends with `break`, with its signal, and with a value that cannot be read', async t => {
  const bed = new Bed()
  const watch = bed.watch({ key: 'k' })
  bed.path!.take()
  await watch.return()
  t.strictSame(
    bed.path!.take().map(frame => frame[4]),
    [frameKind.cancel]
  )
  t.strictSame(await watch.next(), { done: true, value: undefined })
  const controller = new AbortController()
  const aborted = bed.watch({ key: 'k', signal: controller.signal })
  const waiting = aborted.next()
  controller.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
  const unread = bed.watch({ key: 'k', fromRevision: 1 }, json)
  bed.hear(put(unread.number, 5, 'k', '{'))
  await t.rejects(unread.next(), { code: 'BAD_REQUEST' })
  t.equal(bed.requests.count, 0)
})

t.test('what cannot be asked is refused', async t => {
  const bed = new Bed()
  const bad: WatchOptions[] = [
    { fromRevision: 0 },
    { fromRevision: 1.5 },
    { key: '' },
    { key: 'k', prefix: 'p' },
    { prefix: 'p', from: 'a' },
    { from: 'b', to: 'a' },
    { from: 'b', to: 'b' },
    { filter: [] },
    { filter: ['puts' as never] },
    { lost: 'never' as never },
    { progress: '-1s' },
    { since: 5 } as never
  ]
  for (const options of bad) t.throws(() => bed.watch(options), { code: 'BAD_REQUEST' }, JSON.stringify(options))
  const other = bed.watch({ key: 'k', fromRevision: 5, clusterId: 'another' })
  await t.rejects(other.next(), { code: 'BAD_REQUEST', message: /another/ })
  t.strictSame(bed.path!.take(), [])
})

t.test('a mirror is whole at once, follows, and loses no deletion when history is lost', async t => {
  const bed = new Bed()
  const watch = bed.watch({ prefix: '', initial: true })
  const mirror = new OpenMirror<string>(watch)
  const whole = mirror.begin()
  bed.hear(page(1, 20, { a: '1', b: '2', '\u{10000}': 'high', '\uffff': 'low' }))
  await whole
  t.strictSame(
    Array.from(mirror, ({ key }) => key),
    ['a', 'b', '\uffff', '\u{10000}'],
    'in the order of their bytes'
  )
  const told: unknown[] = []
  mirror.on('change', (changes, revision) => {
    told.push([revision, ...changes.map(({ type, entry: { key } }) => `${type} ${key}`)])
  })
  bed.hear(put(1, 21, 'ab', '3'))
  const gone = packChange({ kind: 1, entry: entry('b', null, 22), previous: undefined })
  bed.hear(writeEvents(22, pack([gone]), [{ number: 1, places: null }]))
  await microtasks()
  t.strictSame(told.splice(0), [
    [21, 'put ab'],
    [22, 'delete b']
  ])
  t.strictSame(
    Array.from(mirror.entries('a'), ({ key, value }) => [key, value]),
    [
      ['a', '1'],
      ['ab', '3']
    ]
  )
  bed.hear(page(1, 30, { ab: '9', c: '5' }, { anew: true }))
  await microtasks()
  t.strictSame(told, [[30, 'delete a', 'delete \uffff', 'delete \u{10000}', 'put ab', 'put c']])
  t.equal(mirror.size, 2)
  t.equal(mirror.revision, 30)
  t.equal(mirror.get('ab')?.value, '9')
  t.equal(mirror.get('a'), null)
  await mirror.close()
  t.equal(mirror.failure, null)
})
