// Elections: who stands first in a queue of candidates leads, and all others can see who that is.
import type { Entry } from './entry.ts'
import type { AcquireOptions, Held } from './held.ts'
import { type Arena, acquireLock } from './lock.ts'
import type { ReadOptions } from './options.ts'
import { inOrder } from './queue.ts'
import type { Range } from './ranges.ts'
import type { Watch } from './watch.ts'
import type { Change, WatchOptions } from './watch-options.ts'

/** Who leads, as a reader sees it. */
export interface Leader<V> {
  /** What it campaigned with. */
  readonly value: V
  readonly fencingToken: number
}

/** The corner of an election, with its values. */
export interface CandidateStore<V> {
  range(options: ReadOptions & { readonly prefix: string }): Range<V>
  watch(options: WatchOptions): Watch<V>
}

export class Election<V> {
  readonly #arena: Arena
  readonly #candidates: CandidateStore<V>
  readonly #encode: (value: V) => Uint8Array
  #held: Held | null = null

  constructor(arena: Arena, candidates: CandidateStore<V>, encode: (value: V) => Uint8Array) {
    this.#arena = arena
    this.#candidates = candidates
    this.#encode = encode
  }

  /** Resolves when this candidate leads. Errors as of `lock`. */
  async campaign(value: V, options: AcquireOptions = {}): Promise<Held> {
    const held = await acquireLock(this.#arena, options, this.#encode(value))
    this.#held = held
    return held
  }

  /** Gives up the leadership that this object campaigned for, if it has any. */
  async resign(): Promise<void> {
    const held = this.#held
    this.#held = null
    await held?.release()
  }

  /** Null where nobody leads. */
  async leader(options: ReadOptions = {}): Promise<Leader<V> | null> {
    const entries: Entry<V>[] = []
    for await (const entry of this.#candidates.range({ ...options, prefix: '' })) entries.push(entry)
    return leaderOf(inOrder(entries)[0])
  }

  /** Who leads now, null for nobody, and then each that follows; one after the other may be left out for a slow reader. */
  async *observe(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Leader<V> | null, void> {
    const candidates = new Map<string, Entry<V>>()
    let last: number | undefined
    let isKnown = false
    for await (const batch of this.#candidates.watch({ ...options, prefix: '', initial: true })) {
      if (batch.reset === true) {
        candidates.clear()
        isKnown = false
      }
      for (const change of batch.changes) take(candidates, change)
      if (batch.synced === true) isKnown = true
      if (!isKnown) continue
      const first = leaderOf(inOrder([...candidates.values()])[0])
      const token = first?.fencingToken ?? 0
      if (token === last) continue
      last = token
      yield first
    }
  }
}

function take<V>(candidates: Map<string, Entry<V>>, change: Change<V>): void {
  if (change.type === 'put') candidates.set(change.entry.key, change.entry)
  else candidates.delete(change.entry.key)
}

function leaderOf<V>(first: Entry<V> | undefined): Leader<V> | null {
  return first === undefined ? null : { value: first.value, fencingToken: first.createRevision }
}
