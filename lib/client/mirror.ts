// A local copy of a part of the store, in the order of its keys: kept by a watch, over reconnects and lost history.
import type { Entry } from './entry.ts'
import type { Watch } from './watch.ts'
import type { Batch, Change } from './watch-options.ts'

/** All changes of one revision; after history was lost, all that has changed meanwhile. */
export type MirrorListener<V> = (changes: readonly Change<V>[], revision: number) => void

/** What `mirror` gives: it follows the store until it is closed. Keys are texts; two that are no UTF-8 may be one here. */
export interface Mirror<V> extends AsyncDisposable, Iterable<Entry<V>> {
  /** The copy is the state of the store at this revision. */
  readonly revision: number
  readonly size: number
  /** Why it follows no more; null while it does, and once it was closed. */
  readonly failure: unknown
  get(key: string): Entry<V> | null
  /** In the order of their keys, those that begin with `prefix`; not to be gone on with after the copy has changed. */
  entries(prefix?: string): IterableIterator<Entry<V>>
  /** `listener` is called after the copy has changed. What it throws ends the mirror. */
  on(event: 'change', listener: MirrorListener<V>): this
  off(event: 'change', listener: MirrorListener<V>): this
  close(): Promise<void>
}

export class OpenMirror<V> implements Mirror<V> {
  failure: unknown = null
  readonly #watch: Watch<V>
  readonly #listeners = new Set<MirrorListener<V>>()
  readonly #entries = new Map<string, Entry<V>>()
  /** In the order of the store. */
  #keys: string[] = []
  #revision = 0
  /** The present entries that have come so far, after history was lost and at the beginning. */
  #present: Map<string, Entry<V>> | null = new Map()

  /** `watch` begins with the present entries. */
  constructor(watch: Watch<V>) {
    this.#watch = watch
  }

  get revision(): number {
    return this.#revision
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): Entry<V> | null {
    return this.#entries.get(key) ?? null
  }

  *entries(prefix = ''): Generator<Entry<V>, undefined> {
    for (let at = placeOf(this.#keys, prefix); at < this.#keys.length; at++) {
      const key = this.#keys[at]!
      if (!key.startsWith(prefix)) return
      yield this.#entries.get(key)!
    }
  }

  [Symbol.iterator](): Generator<Entry<V>, undefined> {
    return this.entries()
  }

  on(_event: 'change', listener: MirrorListener<V>): this {
    this.#listeners.add(listener)
    return this
  }

  off(_event: 'change', listener: MirrorListener<V>): this {
    this.#listeners.delete(listener)
    return this
  }

  async close(): Promise<void> {
    await this.#watch.return?.()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Comes back once the copy is whole; from then on it follows by itself. Rejects with the reason where it never is. */
  async begin(): Promise<void> {
    while (this.#present !== null) {
      const next = await this.#watch.next()
      if (next.done === true) return
      this.#take(next.value)
    }
    void this.#follow()
  }

  async #follow(): Promise<void> {
    try {
      for await (const batch of this.#watch) this.#take(batch)
    } catch (error) {
      this.failure = error
      await this.close()
    }
  }

  #take({ revision, changes, reset, synced }: Batch<V>): void {
    if (reset === true) this.#present = new Map()
    else if (synced === true) this.#replace(revision)
    else if (this.#present === null) this.#change(revision, changes)
    else for (const change of changes) if (change.type === 'put') this.#present.set(change.entry.key, change.entry)
  }

  #change(revision: number, changes: readonly Change<V>[]): void {
    this.#revision = revision
    for (const { type, entry } of changes) {
      if (type === 'put') this.#put(entry)
      else this.#delete(entry.key)
    }
    this.#tell(changes)
  }

  /** What has come is all there is: what is not among it has been deleted. */
  #replace(revision: number): void {
    const present = this.#present ?? new Map<string, Entry<V>>()
    this.#present = null
    const changes: Change<V>[] = []
    for (const key of this.#keys) if (!present.has(key)) changes.push(deletionOf(key, revision))
    for (const [key, entry] of present) {
      if (this.#entries.get(key)?.modRevision !== entry.modRevision) changes.push({ type: 'put', entry })
    }
    this.#change(revision, changes)
  }

  #put(entry: Entry<V>): void {
    const { key } = entry
    if (!this.#entries.has(key)) {
      const at = placeOf(this.#keys, key)
      if (at === this.#keys.length) this.#keys.push(key)
      else this.#keys.splice(at, 0, key)
    }
    this.#entries.set(key, entry)
  }

  #delete(key: string): void {
    if (this.#entries.delete(key)) this.#keys.splice(placeOf(this.#keys, key), 1)
  }

  #tell(changes: readonly Change<V>[]): void {
    if (changes.length > 0) for (const listener of this.#listeners) listener(changes, this.#revision)
  }
}

function deletionOf(key: string, modRevision: number): Change<never> {
  const entry = { key, value: null, createRevision: 0, modRevision, version: 0, leaseId: 0 }
  return { type: 'delete', entry }
}

/** Of the first key that is not before this one. */
function placeOf(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(keys[middle]!, key)) low = middle + 1
    else high = middle
  }
  return low
}

/** In the order of the bytes of their UTF-8, which is that of their code points. */
function isBefore(a: string, b: string): boolean {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const one = a.charCodeAt(at)
    const other = b.charCodeAt(at)
    if (one !== other) return rankOf(one) < rankOf(other)
  }
  return a.length < b.length
}

/** Halves of surrogate pairs stand for code points above all others. */
function rankOf(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
