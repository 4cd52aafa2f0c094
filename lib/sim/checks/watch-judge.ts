// Judges what one watch has been told, batch by batch, by all that ever changed. Codes as in INVARIANTS.md.
import type { Entry } from '../../client/entry.ts'
import type { Batch, Change } from '../../client/watch-options.ts'
import type { GhostChange, GhostEntry, GhostStore } from '../ghost/ghost-store.ts'
import { hold, Violation } from '../ghost/violation.ts'

export interface Watched {
  readonly from: string
  /** Exclusive; null for no end. */
  readonly to: string | null
  readonly types: readonly ('put' | 'delete')[]
  readonly previous: boolean
  readonly initial: boolean
  /** Nothing of this revision or an earlier one is to come. */
  readonly after: number
  /** It is to hear of all that comes after; else its beginning is not known before the first batch. */
  readonly exact: boolean
}

export class WatchJudge {
  /** All up to this revision has come. */
  revision: number
  readonly #ghost: GhostStore
  readonly #watched: Watched
  readonly #name: string
  readonly #compacted: () => number
  /** Where it begins is known. */
  #begun: boolean
  /** The present entries that have come so far; null where none are expected. */
  #present: Map<string, Entry<string>> | null
  #presentAt = 0

  /** `compacted`: up to where changes may be gone, on any node. */
  constructor(ghost: GhostStore, watched: Watched, name: string, compacted: () => number) {
    this.#ghost = ghost
    this.#compacted = compacted
    this.#watched = watched
    this.#name = name
    this.revision = watched.after
    this.#begun = watched.exact
    this.#present = watched.initial ? new Map() : null
  }

  /** @throws Violation */
  take(batch: Batch<string>): void {
    const { revision } = batch
    hold(revision <= this.#ghost.revision, 'IW5', () =>
      this.#text(`is told of revision ${revision}, which there is not`)
    )
    if (batch.reset === true) {
      const known = this.#presentAt === 0 ? this.revision : this.#presentAt
      hold(revision >= known, 'IW1', () => this.#text(`begins anew at ${revision} after ${known}`))
      hold(this.#compacted() > known, 'IW3', () => this.#text(`begins anew after ${known}, which is not compacted`))
      this.#present = new Map()
      this.#presentAt = 0
    } else if (batch.synced === true) this.#synced(revision)
    else if (batch.progress === true) this.#progressed(revision)
    else if (this.#present !== null) this.#presented(batch)
    else this.#changed(batch)
  }

  #presented({ revision, changes }: Batch<string>): void {
    const present = this.#present!
    hold(this.#presentAt === 0 || this.#presentAt === revision, 'IW5', () =>
      this.#text(`is told the state at ${this.#presentAt} and at ${revision} as one`)
    )
    this.#presentAt = revision
    for (const { type, entry } of changes) {
      hold(type === 'put' && !present.has(entry.key), 'IW2', () => this.#text(`is told ${entry.key} twice as present`))
      present.set(entry.key, entry as Entry<string>)
    }
  }

  #synced(revision: number): void {
    const present = this.#present
    if (present === null) throw new Violation('IW5', this.#text('is synced without present entries'))
    hold(this.#presentAt === 0 || this.#presentAt === revision, 'IW5', () =>
      this.#text(`is told the state at ${this.#presentAt}, and synced at ${revision}`)
    )
    hold(revision >= this.revision || this.#watched.initial, 'IW1', () =>
      this.#text(`is synced at ${revision} after ${this.revision}`)
    )
    const expected = [...this.#ghost.at(revision).values()].filter(({ key }) => this.#holds(key))
    hold(expected.length === present.size, 'IW5', () =>
      this.#text(`is told ${present.size} of ${expected.length} entries at ${revision}`)
    )
    for (const entry of expected) this.#same(entry, present.get(entry.key), revision)
    this.#present = null
    this.#begun = true
    this.revision = Math.max(revision, this.#watched.after)
  }

  #progressed(revision: number): void {
    hold(revision >= this.revision, 'IW1', () => this.#text(`is at ${revision} after ${this.revision}`))
    if (this.#begun) this.#complete(revision + 1, 'IW4')
    this.#begun = true
    this.revision = revision
  }

  #changed({ revision, changes }: Batch<string>): void {
    const last = this.revision
    hold(revision >= last, 'IW1', () => this.#text(`is told of revision ${revision} after ${last}`))
    hold(revision > last, 'IW2', () => this.#text(`is told of revision ${revision} again`))
    if (this.#begun) this.#complete(revision, 'IW3')
    this.#begun = true
    const expected = this.#wanted(revision)
    hold(expected.length === changes.length, 'IW5', () =>
      this.#text(`is told ${changes.length} of ${expected.length} changes of revision ${revision}`)
    )
    for (const [at, change] of changes.entries()) this.#sameChange(expected[at]!, change, revision)
    this.revision = revision
  }

  /** Nothing that it is to hear of lies between what it has heard and `revision`. */
  #complete(revision: number, invariant: string): void {
    for (let missed = this.revision + 1; missed < revision; missed++) {
      hold(this.#wanted(missed).length === 0, invariant, () =>
        this.#text(`has never heard of revision ${missed}, and is told of ${revision} after ${this.revision}`)
      )
    }
  }

  #wanted(revision: number): readonly GhostChange[] {
    const { types } = this.#watched
    const { changes } = this.#ghost.revisions[revision - 2] ?? { changes: [] }
    return changes.filter(({ key, entry }) => this.#holds(key) && types.includes(entry === null ? 'delete' : 'put'))
  }

  #sameChange(expected: GhostChange, change: Change<string>, revision: number): void {
    const { type, entry, previous } = change
    const isPut = expected.entry !== null
    const expired = !isPut && this.#ghost.revisions[revision - 2]!.expired
    hold('cause' in change === expired, 'IW5', () => this.#text(`hears of another cause of revision ${revision}`))
    hold(entry.key === expected.key && (type === 'put') === isPut, 'IW5', () =>
      this.#text(`is told that revision ${revision} is a ${type} of ${entry.key}`)
    )
    if (expected.entry === null)
      hold(entry.modRevision === revision, 'IW5', () => this.#text('hears of a deletion late'))
    else this.#same(expected.entry, entry, revision)
    if (!this.#watched.previous) return
    hold((previous ?? null) === null ? expected.previous === null : expected.previous !== null, 'IW5', () =>
      this.#text(`is told ${previous?.value} was there before revision ${revision}`)
    )
    if (expected.previous !== null) this.#same(expected.previous, previous ?? undefined, revision)
  }

  #same(expected: GhostEntry, told: Entry<string | null> | undefined, revision: number): void {
    const same =
      told?.value === expected.value &&
      told.createRevision === expected.createRevision &&
      told.modRevision === expected.modRevision &&
      told.version === expected.version
    hold(same, 'IW5', () =>
      this.#text(`is told ${JSON.stringify(told)} at ${revision}, not ${JSON.stringify(expected)}`)
    )
  }

  #holds(key: string): boolean {
    const { from, to } = this.#watched
    return key >= from && (to === null || key < to)
  }

  #text(what: string): string {
    return `${this.#name} ${what}`
  }
}
