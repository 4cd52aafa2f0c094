// Tells a watch the present entries, page by page, all as they were at one revision.
import type { Cancel } from '../../base/env.ts'
import { StrettoError } from '../../base/errors.ts'
import type { FeedSink } from '../../machine/feed.ts'
import { unpack } from '../../record/pack.ts'
import { readEntry } from '../../wire/kv/questions.ts'
import { keyAfter } from '../../wire/kv/watches.ts'
import { asFault } from '../fault.ts'
import { keyBytes } from '../version.ts'
import { type Centre, portionBytesMax } from './parts.ts'
import type { Telling, Watch } from './watch.ts'

export interface TellerOwner {
  readonly sink: FeedSink
  /** All has been told, as it was at the revision where the watch now stands. */
  told(): void
  /** It cannot be told. */
  failed(error: StrettoError): void
  /** Called once, before those two: nothing is held any more. */
  over(): void
}

export function newTelling(anew: boolean): Telling {
  return { revision: 0, after: null, anew, source: null, page: null }
}

/** One telling, from its turn to its end, or until it has stood still for too long. */
export class Teller {
  readonly #centre: Centre
  readonly #watch: Watch
  readonly #telling: Telling
  readonly #owner: TellerOwner
  #reading = false
  #stalled: Cancel | null = null

  constructor(centre: Centre, watch: Watch, owner: TellerOwner) {
    this.#centre = centre
    this.#watch = watch
    this.#telling = watch.telling!
    this.#owner = owner
    this.#open()
  }

  /** Goes on where it can. */
  pump(): void {
    const { source } = this.#telling
    if (source === null || this.#reading) return
    if (this.#watch.credit <= 0 || !this.#owner.sink.open) {
      this.#stalled ??= this.#centre.parts.env.after(this.#centre.limits.stallMs, () => this.#pause())
      return
    }
    this.#stalled?.()
    this.#stalled = null
    this.#reading = true
    source.page(Math.min(this.#watch.credit, portionBytesMax), (error, page) => {
      this.#reading = false
      if (this.#telling.source !== source) return
      if (error === null) this.#tell(page.bytes, page.last)
      else this.#fail(asFault(error))
    })
  }

  /** Lets go of everything. */
  close(): void {
    if (this.#telling.source === null) return
    this.#stalled?.()
    this.#telling.source.close()
    this.#telling.source = null
    this.#telling.page = null
    this.#owner.over()
  }

  #open(): void {
    const { parts } = this.#centre
    const { revision, after } = this.#telling
    const from = keyBytes(this.#watch.from)
    const to = this.#watch.to === null ? null : keyBytes(this.#watch.to)
    const rest = { limit: 0, reverse: false, keysOnly: false, atRevision: revision }
    if (revision === 0) this.#telling.revision = parts.table.revision
    this.#telling.source = parts.scan({ from: after === null ? from : keyAfter(after), to, ...rest })
  }

  #tell(body: Uint8Array, last: boolean): void {
    const { anew } = this.#telling
    this.#telling.anew = false
    this.#telling.page = body
    this.#watch.credit -= body.length
    this.#owner.sink.entries(this.#watch.number, { anew, last, body })
    if (!last) return this.pump()
    this.close()
    this.#watch.position = Math.max(this.#watch.position, this.#telling.revision)
    this.#owner.told()
  }

  /** Holds nothing while it waits: it goes on after the last key, as of the same revision. */
  #pause(): void {
    const { page } = this.#telling
    const last = page === null ? undefined : (unpack(page) as readonly never[]).slice(1).at(-1)
    if (last !== undefined) this.#telling.after = new Uint8Array(readEntry(last).key)
    this.close()
  }

  #fail(error: StrettoError): void {
    this.close()
    this.#owner.failed(error)
  }
}
