// One watch: what it wants to hear, and up to where it has heard everything.
import type { Source } from '../../machine/machine.ts'
import { type WatchRequest } from '../../wire/kv/watches.ts'
import { keyText } from '../version.ts'
import { holds, type Span } from './interest.ts'
import type { KeyChange, PackedRevision } from './ring.ts'

/**
 * `live`: hears of changes as they come. `behind`: has to catch up, and may be waiting for credit or its link. `past`: is
 * being told of the past. `present`: is being told of the present entries, or waits for its turn to be.
 */
export type WatchState = 'live' | 'behind' | 'past' | 'present' | 'ended'

/** Whoever brings a watch what it wants: the feed of its link. */
export interface Carrier {
  /** A live watch is to hear of this change of the revision at hand. */
  collect(watch: Watch, place: number): void
  /** All of this revision has been collected. */
  deliver(revision: PackedRevision): void
}

/** The present entries, as far as they have been told. */
export interface Telling {
  /** They are told as they were at this revision; 0 before that is known. */
  revision: number
  /** The last key that was told. */
  after: Uint8Array | null
  /** What the watch knew before does not count. */
  anew: boolean
  /** Null while it is not its turn. */
  source: Source | null
  /** The page that was told last, while its source is open. */
  page: Uint8Array | null
}

export class Watch implements Span {
  readonly number: number
  readonly carrier: Carrier
  readonly from: string
  readonly to: string | null
  readonly previous: boolean
  /** Where the past is gone it ends, and does not begin anew. */
  readonly whole: boolean
  readonly progressMs: number
  state: WatchState = 'behind'
  /**
   * All up to this revision has been told, or is not to be told. Of a live watch that is so for whatever its hub has
   * dispatched, too.
   */
  position = 0
  credit: number
  telling: Telling | null = null
  /** When it is to be told how far it is, in milliseconds of the Env's clock. */
  progressAt = 0
  /** Places of the changes of the revision at hand that it wants. */
  places: number[] = []
  readonly #puts: boolean
  readonly #deletes: boolean

  constructor(carrier: Carrier, number: number, request: WatchRequest, credit: number, progressMs: number) {
    this.carrier = carrier
    this.number = number
    this.from = keyText(request.from)
    this.to = request.to === null ? null : keyText(request.to)
    this.previous = request.previous
    this.whole = request.whole
    this.progressMs = progressMs
    this.credit = credit
    this.#puts = request.puts
    this.#deletes = request.deletes
  }

  holds(key: string): boolean {
    return holds(this, key)
  }

  /** Of a change of one of its keys: is it of a kind that it wants? */
  wants(change: KeyChange): boolean {
    return change.deleted ? this.#deletes : this.#puts
  }
}
