// The watches of one link: told what is new as it comes, and what they have missed once they can take it.
//
// Nothing is ever queued for a watch. One that has no credit, or whose link is full, keeps its place, and is behind; it catches
// up from the ring of the last changes, else from the past, else it begins anew with the present entries.
import { StrettoError } from '../../base/errors.ts'
import type { Feed, FeedSink, Receiver } from '../../machine/feed.ts'
import { readWatch } from '../../wire/kv/watches.ts'
import type { Centre } from './parts.ts'
import { PastWalk } from './past-walk.ts'
import { newTelling, Teller } from './present.ts'
import type { PackedRevision } from './ring.ts'
import { type Carrier, Watch } from './watch.ts'

const creditMax = 67_108_864
/** Work of one turn, milliseconds. */
const turnMs = 2
/** Revisions between two looks at the clock. */
const lookEach = 64
const progressMsMin = 100

export class LinkFeed implements Feed, Carrier {
  readonly sink: FeedSink
  readonly #centre: Centre
  readonly #watches = new Map<number, Watch>()
  /** Live watches that want to hear of the revision at hand. */
  #hits: Watch[] = []
  readonly #behind = new Set<Watch>()
  /** Of those that are being told the present entries, or wait for their turn to be. */
  readonly #tellers = new Map<Watch, Teller | 'waits'>()
  #walk: PastWalk | 'waits' | null = null
  #asked = false
  #closed = false
  readonly #gone: (feed: LinkFeed) => void

  constructor(centre: Centre, sink: FeedSink, gone: (feed: LinkFeed) => void) {
    this.#centre = centre
    this.sink = sink
    this.#gone = gone
  }

  get count(): number {
    return this.#watches.size
  }

  begin(number: number, bytes: Uint8Array, credit: number): void {
    const { parts, limits } = this.#centre
    const request = readWatch(bytes)
    if (this.#watches.has(number)) throw new StrettoError('BAD_REQUEST', 'two watches with one number')
    const progressMs = request.progressMs === 0 ? limits.progressMs : Math.max(progressMsMin, request.progressMs)
    const watch = new Watch(this, number, request, Math.min(credit, creditMax), Math.min(progressMs, limits.progressMs))
    this.#watches.set(number, watch)
    this.#centre.added(watch)
    watch.progressAt = parts.env.now() + watch.progressMs
    watch.position = request.after ?? 0
    if (request.initial || request.scan !== null) {
      watch.telling = newTelling(false)
      if (request.scan !== null) Object.assign(watch.telling, request.scan)
      this.#present(watch)
    } else if (request.after !== null) {
      this.#place(watch)
    } else {
      watch.position = parts.table.revision
      this.sink.progress(watch.position, [number])
      this.#place(watch)
    }
  }

  credit(number: number, bytes: number): void {
    const watch = this.#watches.get(number)
    if (watch === undefined) return
    watch.credit = Math.min(watch.credit + bytes, creditMax)
    if (watch.credit <= 0) return
    if (watch.state === 'behind') this.#catchUpSoon()
    if (watch.state === 'present') this.#present(watch)
  }

  end(number: number): void {
    const watch = this.#watches.get(number)
    if (watch !== undefined) this.#end(watch)
  }

  drained(): void {
    this.#catchUpSoon()
    for (const watch of this.#watches.values()) if (watch.state === 'present') this.#present(watch)
  }

  close(): void {
    this.#closed = true
    for (const watch of this.#watches.values()) this.#end(watch)
    if (this.#walk instanceof PastWalk) this.#walk.close()
    this.#gone(this)
  }

  /** The machine serves nothing any more. */
  fail(error: StrettoError): void {
    for (const { number } of this.#watches.values()) this.sink.ended(number, error)
    this.close()
  }

  collect(watch: Watch, place: number): void {
    if (watch.places.length === 0) this.#hits.push(watch)
    watch.places.push(place)
  }

  /** The live watches that were collected hear of this revision, all in one frame, or are behind from now on. */
  deliver(revision: PackedRevision): void {
    const hits = this.#hits
    this.#hits = []
    const receivers: Watch[] = []
    for (const watch of hits) {
      if (revision.revision <= watch.position) watch.places = []
      else if (this.#hears(watch, revision)) receivers.push(watch)
      else {
        watch.places = []
        watch.position = revision.revision - 1
        this.#fallBehind(watch)
      }
    }
    if (receivers.length > 0) this.#tell(revision, receivers)
  }

  /** Tells those of the watches that want to hear of it, and have not. */
  offer(revision: PackedRevision, watches: readonly Watch[]): void {
    const receivers: Watch[] = []
    for (const watch of watches) {
      if (watch.credit <= 0 || watch.position >= revision.revision || watch.state === 'ended') continue
      for (const [place, change] of revision.changes.entries()) {
        if (watch.holds(change.key) && watch.wants(change)) watch.places.push(place)
      }
      if (watch.places.length === 0) watch.position = revision.revision
      else receivers.push(watch)
    }
    if (receivers.length > 0) this.#tell(revision, receivers)
  }

  /** Tells how far they are to watches that have not heard of anything for long. */
  progress(now: number): void {
    if (!this.sink.open) return
    const { dispatched } = this.#centre
    const numbers: number[] = []
    for (const watch of this.#watches.values()) {
      if (watch.state !== 'live' || watch.progressAt > now || watch.position > dispatched) continue
      watch.progressAt = now + watch.progressMs
      numbers.push(watch.number)
    }
    if (numbers.length > 0) this.sink.progress(dispatched, numbers)
  }

  #hears(watch: Watch, { revision }: PackedRevision): boolean {
    if (watch.credit <= 0 || !this.sink.open) return false
    return !watch.previous || revision > this.#centre.ring.previousFloor
  }

  #tell(revision: PackedRevision, watches: readonly Watch[]): void {
    const now = this.#centre.parts.env.now()
    const withPrevious = watches.some(({ previous }) => previous)
    const whole = watches.every(({ places }) => places.length === revision.changes.length)
    const part = whole ? null : placesOf(watches)
    const moved = new Map(part?.map((place, at) => [place, at]))
    const receivers: Receiver[] = watches.map(({ number, places }) => {
      return { number, places: part === null ? null : places.map(place => moved.get(place)!) }
    })
    for (const watch of watches) {
      for (const place of watch.places) watch.credit -= revision.cost(place, watch.previous)
      watch.places = []
      watch.position = revision.revision
      watch.progressAt = now + watch.progressMs
    }
    const bytes = part === null ? revision.packed(withPrevious) : revision.packedPart(part, withPrevious)
    this.sink.events(revision.revision, bytes, receivers)
  }

  /** It has heard, or is not to hear, of anything up to its position. */
  #place(watch: Watch): void {
    if (watch.position < this.#centre.dispatched) return this.#fallBehind(watch)
    this.#behind.delete(watch)
    watch.state = 'live'
    this.#centre.live.add(watch)
  }

  #fallBehind(watch: Watch): void {
    if (watch.state === 'live') this.#centre.live.delete(watch)
    watch.state = 'behind'
    this.#behind.add(watch)
    if (watch.credit > 0) this.#catchUpSoon()
  }

  #catchUpSoon(): void {
    if (this.#asked || this.#closed || this.#behind.size === 0 || !this.sink.open) return
    this.#asked = true
    this.#centre.parts.env.soon(() => {
      this.#asked = false
      if (!this.#closed) this.#catchUp()
    })
  }

  #catchUp(): void {
    if (!this.sink.open) return
    const able = [...this.#behind].filter(watch => watch.state === 'behind' && watch.credit > 0)
    const near = able.filter(watch => this.#centre.inRing(watch))
    if (near.length > 0) this.#fromRing(near)
    if (near.length < able.length) this.#fromPast()
  }

  #fromRing(watches: readonly Watch[]): void {
    const { ring, dispatched, parts } = this.#centre
    const until = parts.env.now() + turnMs
    let at = Math.min(...watches.map(({ position }) => position))
    while (at < dispatched && this.sink.open) {
      const revision = ring.at(++at)
      this.offer(revision, watches)
      revision.unpack()
      if (at % lookEach === 0 && parts.env.now() > until) break
    }
    for (const watch of watches) if (watch.state === 'behind' && watch.position >= dispatched) this.#place(watch)
    if (at < dispatched) this.#catchUpSoon()
  }

  #fromPast(): void {
    if (this.#walk !== null) return
    this.#walk = 'waits'
    this.#centre.turn('walk', over => {
      this.#walk = null
      const far = this.#closed || !this.sink.open ? [] : this.#far()
      if (far.length === 0) return over()
      try {
        const walk = new PastWalk(this.#centre, far, {
          open: () => this.sink.open && !this.#closed,
          offer: (revision, watches) => this.offer(revision, watches),
          walked: error => {
            this.#walk = null
            over()
            if (error !== null) this.#walkFailed(far, error)
            this.#catchUpSoon()
          }
        })
        this.#walk = walk
        walk.next()
      } catch (error) {
        over()
        if (!(error instanceof StrettoError)) throw error
        this.#walkFailed(far, error)
      }
    })
  }

  /** Those that need the past, where it is still there; the others begin anew. */
  #far(): Watch[] {
    const { parts } = this.#centre
    return [...this.#behind].filter(watch => {
      if (watch.state !== 'behind' || watch.credit <= 0 || this.#centre.inRing(watch)) return false
      if (watch.position >= parts.table.compacted) return true
      this.#lose(watch)
      return false
    })
  }

  #walkFailed(watches: readonly Watch[], error: StrettoError): void {
    const left = watches.filter(({ state }) => state === 'behind' || state === 'past')
    if (error.code !== 'COMPACTED') {
      for (const watch of left) this.#fail(watch, error)
      return
    }
    const oldest = Math.min(...left.map(({ position }) => position))
    for (const watch of left) if (watch.position === oldest) this.#lose(watch)
  }

  /** What it has not heard of is gone. */
  #lose(watch: Watch): void {
    if (watch.whole) {
      const { compacted } = this.#centre.parts.table
      const text = `the changes after revision ${watch.position} have been compacted away: those after ${compacted} are there`
      return this.#fail(watch, new StrettoError('COMPACTED', text))
    }
    this.#behind.delete(watch)
    watch.telling = newTelling(true)
    this.#present(watch)
  }

  /** Begins to tell it the present entries, or goes on with that. */
  #present(watch: Watch): void {
    watch.state = 'present'
    const teller = this.#tellers.get(watch)
    if (teller === 'waits') return
    if (teller !== undefined) return teller.pump()
    if (watch.credit <= 0 || !this.sink.open) return
    this.#tellers.set(watch, 'waits')
    this.#centre.turn('telling', over => {
      if (watch.state !== 'present') return over()
      const begun = new Teller(this.#centre, watch, {
        sink: this.sink,
        told: () => this.#told(watch),
        failed: error => this.#cannotTell(watch, error),
        over: () => {
          this.#tellers.delete(watch)
          over()
        }
      })
      this.#tellers.set(watch, begun)
      begun.pump()
    })
  }

  #told(watch: Watch): void {
    watch.telling = null
    this.#place(watch)
  }

  #cannotTell(watch: Watch, error: StrettoError): void {
    const gone = error.code === 'COMPACTED' || error.code === 'FUTURE_REVISION'
    if (!gone || watch.whole) return this.#fail(watch, error)
    watch.telling = newTelling(true)
    this.#present(watch)
  }

  #fail(watch: Watch, error: StrettoError): void {
    this.sink.ended(watch.number, error)
    this.#end(watch)
  }

  #end(watch: Watch): void {
    this.#watches.delete(watch.number)
    this.#behind.delete(watch)
    if (watch.state === 'live') this.#centre.live.delete(watch)
    watch.state = 'ended'
    watch.places = []
    const teller = this.#tellers.get(watch)
    this.#tellers.delete(watch)
    if (teller instanceof Teller) teller.close()
    this.#centre.removed(watch)
  }
}

/** All places that any of them is to hear of, in order. */
function placesOf(watches: readonly Watch[]): number[] {
  const places = new Set<number>()
  for (const watch of watches) for (const place of watch.places) places.add(place)
  return [...places].sort((a, b) => a - b)
}
