// One walk over the past for all watches of a link that need it: what each of them has not heard of yet.
import type { StrettoError } from '../../base/errors.ts'
import { asFault } from '../fault.ts'
import { type Centre, type PastChanges, portionBytesMax } from './parts.ts'
import { PackedRevision } from './ring.ts'
import type { Watch } from './watch.ts'

export interface WalkOwner {
  /** May more be sent? */
  open(): boolean
  /** Tells those of the watches that want to hear of it. */
  offer(revision: PackedRevision, watches: readonly Watch[]): void
  /** The walk is over. */
  walked(error: StrettoError | null): void
}

export class PastWalk {
  readonly #owner: WalkOwner
  readonly #changes: PastChanges
  #watches: readonly Watch[]
  #over = false

  /** @throws StrettoError COMPACTED */
  constructor({ parts, dispatched }: Centre, watches: readonly Watch[], owner: WalkOwner) {
    this.#owner = owner
    this.#watches = watches
    this.#changes = parts.past({
      after: Math.min(...watches.map(({ position }) => position)),
      upTo: dispatched,
      wants: key => this.#watches.some(watch => watch.holds(key)),
      previous: watches.some(({ previous }) => previous)
    })
    for (const watch of watches) watch.state = 'past'
  }

  next(): void {
    this.#changes.next(portionBytesMax, (error, { each, upTo, last }) => {
      if (this.#over) return
      if (error !== null) return this.#end(asFault(error))
      for (const { revision, cause, changes } of each) {
        if (!this.#owner.open()) return this.#end(null)
        this.#owner.offer(new PackedRevision(revision, cause, [...changes]), this.#watches)
      }
      this.#watches = this.#watches.filter(watch => this.#goesOn(watch, upTo))
      if (last || this.#watches.length === 0 || !this.#owner.open()) this.#end(null)
      else this.next()
    })
  }

  /** Nothing more is told. */
  close(): void {
    if (this.#over) return
    this.#over = true
    this.#changes.close()
  }

  /** All up to there has been looked at. False where the watch has ended, or has to wait for credit. */
  #goesOn(watch: Watch, upTo: number): boolean {
    if (watch.state !== 'past') return false
    if (watch.credit <= 0) watch.state = 'behind'
    else watch.position = Math.max(watch.position, upTo)
    return watch.state === 'past'
  }

  #end(error: StrettoError | null): void {
    this.close()
    for (const watch of this.#watches) if (watch.state === 'past') watch.state = 'behind'
    this.#owner.walked(error)
  }
}
