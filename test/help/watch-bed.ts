// A hub of watches over a store that the test changes, with links that it opens and closes, and a judge for each watch.
import { StrettoError } from '../../lib/base/errors.ts'
import { Corner } from '../../lib/client/corner.ts'
import { utf8 } from '../../lib/client/encoding.ts'
import { entryOf } from '../../lib/client/entry.ts'
import { type Batch, changeOf } from '../../lib/client/watch-options.ts'
import { Version } from '../../lib/kv/version.ts'
import { WatchHub } from '../../lib/kv/watch/hub.ts'
import type { HubParts, PastAsked, PastChanges, WatchLimits } from '../../lib/kv/watch/parts.ts'
import { watchLimits } from '../../lib/kv/watch/parts.ts'
import type { Feed, FeedSink, Receiver } from '../../lib/machine/feed.ts'
import type { Source } from '../../lib/machine/machine.ts'
import { type Packed, pack, unpack } from '../../lib/record/pack.ts'
import { WatchJudge } from '../../lib/sim/checks/watch-judge.ts'
import { type GhostEntry, GhostStore } from '../../lib/sim/ghost/ghost-store.ts'
import { packEntry, type Scan } from '../../lib/wire/kv/questions.ts'
import { costOfChange, packWatch, readChange } from '../../lib/wire/kv/watches.ts'
import { VirtualTime } from './virtual-time.ts'

export const corner = new Corner(new Uint8Array(0), utf8)

export interface Asked {
  readonly from: string
  readonly to: string | null
  readonly after?: number | null
  readonly initial?: boolean
  readonly previous?: boolean
  readonly types?: readonly ('put' | 'delete')[]
  readonly whole?: boolean
  readonly credit?: number
  readonly progressMs?: number
}

/** One watch, as its client sees it. */
export class HeardWatch {
  readonly asked: Asked
  readonly judge: WatchJudge
  readonly batches: Batch<string>[] = []
  credit: number
  ended: StrettoError | null = null

  constructor(asked: Asked, judge: WatchJudge) {
    this.asked = asked
    this.judge = judge
    this.credit = asked.credit ?? 100_000
  }

  take(batch: Batch<string>): void {
    this.batches.push(batch)
    this.judge.take(batch)
  }

  /** Revisions of changes, in the order in which they came. */
  get revisions(): number[] {
    return this.batches.filter(({ changes }) => changes.length > 0).map(({ revision }) => revision)
  }
}

export class BedLink implements FeedSink {
  open = true
  readonly watches = new Map<number, HeardWatch>()
  readonly feed: Feed
  frames = 0
  #begins = false
  readonly #bed: WatchBed

  constructor(bed: WatchBed) {
    this.#bed = bed
    this.feed = bed.hub.feed(this)
  }

  events(revision: number, packed: Uint8Array, receivers: readonly Receiver[]): void {
    if (!this.open) throw new Error('a link that is full is told of events')
    this.frames++
    const changes = (unpack(packed) as readonly Packed[]).map(readChange)
    for (const { number, places } of receivers) {
      const watch = this.watches.get(number)
      if (watch === undefined) throw new Error('a watch that is not there is told of events')
      if (watch.credit <= 0) throw new Error('a watch without credit is told of events')
      const { previous = false } = watch.asked
      const mine = places === null ? changes : places.map(place => changes[place]!)
      for (const { entry, previous: before } of mine) {
        watch.credit -= costOfChange(
          entry.key.length,
          entry.value?.length ?? 0,
          previous ? (before?.value?.length ?? 0) : 0
        )
      }
      watch.take({ revision, changes: mine.map(change => changeOf(change, corner, previous) as never) })
    }
  }

  entries(number: number, page: { readonly anew: boolean; readonly last: boolean; readonly body: Uint8Array }): void {
    const watch = this.watches.get(number)
    // One page may be on its way when the link fills.
    if (watch === undefined || watch.credit <= 0) throw new Error('entries for nobody')
    watch.credit -= page.body.length
    const [revision, ...entries] = unpack(page.body) as [number, ...Packed[]]
    if (page.anew) watch.take({ revision, changes: [], reset: true })
    const changes = entries.map(entry => ({ type: 'put' as const, entry: entryOf(entry, corner) as never }))
    if (changes.length > 0) watch.take({ revision, changes })
    if (page.last) watch.take({ revision, changes: [], synced: true })
  }

  progress(revision: number, numbers: readonly number[]): void {
    if (!this.open && !this.#begins) throw new Error('a link that is full is told how far it is')
    for (const number of numbers) this.watches.get(number)!.take({ revision, changes: [], progress: true })
  }

  ended(number: number, error: StrettoError): void {
    this.watches.get(number)!.ended = error
    this.watches.delete(number)
  }

  watch(asked: Asked): HeardWatch {
    const {
      from,
      to,
      after = null,
      initial = false,
      previous = false,
      types = ['put', 'delete'],
      whole = false
    } = asked
    const begins = after ?? (initial ? 0 : this.#bed.ghost.revision)
    const watched = { from, to, types, previous, initial, after: begins, exact: !initial }
    const number = ++this.#bed.numbers
    const heard = new HeardWatch(
      asked,
      new WatchJudge(this.#bed.ghost, watched, `watch ${number}`, () => this.#bed.table.compacted)
    )
    this.watches.set(number, heard)
    const request = packWatch({
      from: bytes(from),
      to: to === null ? null : bytes(to),
      initial,
      previous,
      puts: types.includes('put'),
      deletes: types.includes('delete'),
      whole,
      after,
      progressMs: asked.progressMs ?? 0,
      scan: null
    })
    // Where it begins is said at once.
    this.#begins = true
    this.feed.begin(number, request, heard.credit)
    this.#begins = false
    return heard
  }

  give(heard: HeardWatch, credit: number): void {
    for (const [number, watch] of this.watches) {
      if (watch !== heard) continue
      watch.credit += credit
      this.feed.credit(number, credit)
    }
  }

  end(heard: HeardWatch): void {
    for (const [number, watch] of this.watches) {
      if (watch !== heard) continue
      this.watches.delete(number)
      this.feed.end(number)
    }
  }

  opens(): void {
    this.open = true
    this.feed.drained()
  }
}

export class WatchBed {
  readonly time = new VirtualTime(1)
  readonly ghost = new GhostStore()
  readonly hub: WatchHub
  numbers = 0
  /** Walks over the past, and scans, that were begun. */
  walks = 0
  scans = 0
  readonly table: {
    revision: number
    compacted: number
    cause: 'command' | 'expiry'
    listener: HubParts['table']['listener']
  } = { revision: 1, compacted: 0, cause: 'command', listener: null }

  constructor(limits: Partial<WatchLimits> = {}) {
    const env = this.time.env('hub')
    this.hub = new WatchHub(
      { env, table: this.table, scan: asked => this.#scan(asked), past: asked => this.#past(asked) },
      { ...watchLimits, ...limits }
    )
  }

  link(): BedLink {
    return new BedLink(this)
  }

  /** Changes keys all at once; null deletes. What was there before is in memory unless `cold`. */
  commit(values: readonly { readonly key: string; readonly value: string | null }[], cold = false): void {
    const before = this.ghost.revision
    this.ghost.add(values, this.table.cause === 'expiry')
    if (this.ghost.revision === before) return
    this.table.revision = this.ghost.revision
    const { listener } = this.table
    for (const { key, entry, previous } of this.ghost.revisions.at(-1)!.changes) {
      if (listener === null) continue
      const old = previous === null ? null : versionOf(previous)
      if (cold) old?.dropValue()
      listener.changing(old)
      const version = new Version(key, this.table.revision, 1, 0)
      listener.changed(version)
      if (entry !== null) fill(version, entry)
    }
  }

  put(key: string, value: string): number {
    this.commit([{ key, value }])
    return this.table.revision
  }

  delete(key: string): number {
    this.commit([{ key, value: null }])
    return this.table.revision
  }

  /** All that is due within so many milliseconds happens. */
  run(ms = 0): void {
    this.time.run(ms)
  }

  #scan({ from, to, atRevision }: Scan): Source {
    this.scans++
    const revision = atRevision === 0 ? this.table.revision : atRevision
    const gone = revision < this.table.compacted
    const entries = [...this.ghost.at(revision).values()]
      .filter(({ key }) => key >= text(from) && (to === null || key < text(to)))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    return {
      page: (_bytesMax, done) => {
        this.time.env('scan').soon(() => {
          if (gone) return done(new StrettoError('COMPACTED', 'gone'), { bytes: new Uint8Array(0), last: true })
          const some = entries.splice(0, 2)
          done(null, { bytes: pack([revision, ...some.map(packed)]), last: entries.length === 0 })
        })
      },
      close: () => {}
    }
  }

  #past({ after, upTo, wants }: PastAsked): PastChanges {
    this.walks++
    if (after < this.table.compacted) throw new StrettoError('COMPACTED', 'gone')
    let at = after
    return {
      next: (_bytesMax, done) => {
        this.time.env('past').soon(() => {
          if (at < this.table.compacted) {
            return done(new StrettoError('COMPACTED', 'gone'), { each: [], upTo: 0, last: true })
          }
          const end = Math.min(upTo, at + 3)
          const each = this.ghost.revisions.slice(Math.max(0, at - 1), end - 1).flatMap(({ revision, changes }) => {
            const wanted = changes
              .filter(({ key }) => wants(key))
              .map(({ key, entry, previous }) => {
                const value = entry === null ? null : bytes(entry.value)
                const { createRevision = 0, version = 0 } = entry ?? {}
                const old = previous === null ? null : versionOf(previous)
                return { key, deleted: entry === null, value, createRevision, version, leaseId: 0, previous: old }
              })
            return wanted.length === 0 ? [] : [{ revision, cause: 'command' as const, changes: wanted }]
          })
          at = end
          done(null, { each, upTo: end, last: end === upTo })
        })
      },
      close: () => {}
    }
  }
}

function versionOf(entry: GhostEntry): Version {
  const version = new Version(entry.key, entry.modRevision, 1, 0)
  fill(version, entry)
  return version
}

function fill(version: Version, entry: GhostEntry): void {
  const value = bytes(entry.value)
  version.hold(value, 0, value.length)
  version.createRevision = entry.createRevision
  version.version = entry.version
}

function packed(entry: GhostEntry): Packed {
  const { key, value, createRevision, modRevision, version } = entry
  return packEntry({ key: bytes(key), value: bytes(value), createRevision, modRevision, version, leaseId: 0 })
}

function bytes(content: string): Uint8Array {
  return new Uint8Array(Buffer.from(content, 'latin1'))
}

function text(content: Uint8Array): string {
  return Buffer.from(content).toString('latin1')
}
