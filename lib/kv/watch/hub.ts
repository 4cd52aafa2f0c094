// All watches of a machine: told of each change as it is stored, it brings the changes of a turn to those who wait for them.
//
// While nobody watches, the table tells it nothing. Each change is copied once, into a ring; what a watch has to hear of is
// found by its key, and a revision goes to a link once, however many of its watches it is for.
import type { StrettoError } from '../../base/errors.ts'
import type { Feed, FeedSink } from '../../machine/feed.ts'
import type { ChangeListener } from '../memory-table.ts'
import type { Version } from '../version.ts'
import { Interest } from './interest.ts'
import { LinkFeed } from './link-feed.ts'
import { type Centre, type HubParts, type WatchLimits, watchLimits } from './parts.ts'
import { type Before, type Cause, Ring } from './ring.ts'
import { type Start, Turns } from './turns.ts'
import type { Carrier, Watch } from './watch.ts'

export class WatchHub implements ChangeListener, Centre {
  readonly parts: HubParts
  readonly limits: WatchLimits
  readonly live = new Interest<Watch>()
  ring: Ring
  dispatched: number
  readonly #feeds = new Set<LinkFeed>()
  readonly #walks: Turns
  readonly #tellings: Turns
  #count = 0
  /** Watches that want to know what stood there before. */
  #previousCount = 0
  /** What stands where a change is under way; undefined where it is not known. */
  #before: Before | null | undefined = undefined
  /** Stored, and still to be filled in by its writer. */
  #stored: Version | null = null
  #cause: Cause = 'command'
  #asked = false
  #sweeps = false
  #ended: StrettoError | null = null

  constructor(parts: HubParts, limits: WatchLimits = watchLimits) {
    this.parts = parts
    this.limits = limits
    this.#walks = new Turns(limits.walksMax)
    this.#tellings = new Turns(limits.tellingsMax)
    this.dispatched = parts.table.revision
    this.ring = new Ring(this.dispatched)
  }

  /** Watches that are open. */
  get count(): number {
    return this.#count
  }

  feed(sink: FeedSink): Feed {
    const feed = new LinkFeed(this, sink, () => this.#feeds.delete(feed))
    this.#feeds.add(feed)
    if (this.#ended !== null) feed.fail(this.#ended)
    return feed
  }

  /** The machine serves nothing any more: every watch ends. */
  close(error: StrettoError): void {
    if (this.#ended !== null) return
    this.#ended = error
    for (const feed of this.#feeds) feed.fail(error)
  }

  changing(previous: Version | null): void {
    this.#settle()
    this.#before = this.#previousCount > 0 ? beforeOf(previous) : undefined
  }

  changed(version: Version): void {
    this.#stored = version
    this.#cause = this.parts.table.cause === 'expiry' ? 'expired' : 'command'
    if (this.#asked) return
    this.#asked = true
    this.parts.env.soon(() => {
      this.#asked = false
      this.dispatch()
    })
  }

  /** Brings all that has been stored to those who wait for it. */
  dispatch(): void {
    this.#settle()
    const { ring } = this
    while (this.dispatched < ring.last) {
      const revision = ring.at(this.dispatched + 1)
      const carriers = new Set<Carrier>()
      for (const [place, change] of revision.changes.entries()) {
        this.live.find(change.key, watch => {
          if (!watch.wants(change)) return
          watch.carrier.collect(watch, place)
          carriers.add(watch.carrier)
        })
      }
      this.dispatched = revision.revision
      for (const carrier of carriers) carrier.deliver(revision)
      revision.unpack()
    }
    ring.trim(this.limits.ringBytesMax, this.dispatched)
  }

  inRing({ position, previous }: Watch): boolean {
    const { floor, previousFloor } = this.ring
    return position >= floor && (!previous || position >= previousFloor)
  }

  turn(kind: 'walk' | 'telling', start: Start): void {
    if (kind === 'walk') this.#walks.take(start)
    else this.#tellings.take(start)
  }

  added(watch: Watch): void {
    if (watch.previous) this.#previousCount++
    if (this.#count++ > 0) return
    const { table } = this.parts
    this.dispatched = table.revision
    this.ring = new Ring(this.dispatched)
    table.listener = this
    this.#sweep()
  }

  removed(watch: Watch): void {
    if (watch.previous) this.#previousCount--
    if (--this.#count > 0) return
    this.#stored = null
    this.ring = new Ring(this.dispatched)
    this.parts.table.listener = null
  }

  /** Takes in what was stored last, which its writer has filled in by now. */
  #settle(): void {
    const version = this.#stored
    if (version === null) return
    this.#stored = null
    const { key, deleted, modRevision, createRevision, leaseId } = version
    const value = deleted ? null : new Uint8Array(version.value)
    const previous = this.#before ?? null
    const change = { key, deleted, value, createRevision, version: version.version, leaseId, previous }
    this.ring.add(modRevision, this.#cause, change)
    if (this.#before === undefined) this.ring.previousFloor = modRevision
  }

  /** Tells watches how far they are, for as long as there are any. */
  #sweep(): void {
    if (this.#sweeps) return
    this.#sweeps = true
    const { env } = this.parts
    env.after(this.limits.sweepMs, () => {
      this.#sweeps = false
      if (this.#count === 0) return
      this.dispatch()
      const now = env.now()
      for (const feed of this.#feeds) feed.progress(now)
      this.#sweep()
    })
  }
}

/** A copy; undefined where the value is not in memory. */
function beforeOf(version: Version | null): Before | null | undefined {
  if (version === null || version.deleted) return null
  if (version.at + version.length > version.bytes.length) return undefined
  const { createRevision, modRevision, leaseId } = version
  return { value: new Uint8Array(version.value), createRevision, modRevision, version: version.version, leaseId }
}
