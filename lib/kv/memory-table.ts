// The state in memory: what is not yet flushed, what is being flushed, and what is kept of the rest.
import { assert } from '../base/assert.ts'
import type { Index } from '../raft/types.ts'
import { type Effects, Generation } from './generation.ts'
import { LeaseTable } from './leases/lease-table.ts'
import { RowCache } from './row-cache.ts'
import { Version } from './version.ts'
import { type View, Views } from './views.ts'

/** Hears of each change as it is stored. */
export interface ChangeListener {
  /** The newest version of a key is about to be replaced: `previous`, null where there was none. */
  changing(previous: Version | null): void
  /** By this one, which its writer fills in before it writes anything else. */
  changed(version: Version): void
}

export class MemoryTable {
  /** Revision of the store: 1 when empty. Whoever writes raises it first, once for all changes of a command. */
  revision = 1
  /** The state cannot be read below this revision. */
  compacted = 0
  /** What the last order to compact said, the same on all replicas; 0 before the first. */
  ordered = 0
  /** Why changes are made: of the record that is being executed. */
  cause: 'command' | 'expiry' = 'command'
  /** Null while nobody watches. */
  listener: ChangeListener | null = null
  readonly cache: RowCache
  readonly leases = new LeaseTable()
  readonly #views = new Views()
  #active = new Generation(1)
  #frozen: Generation | null = null
  #flushes = 0

  constructor(cacheBytesMax: number) {
    this.cache = new RowCache(cacheBytesMax)
  }

  get active(): Generation {
    return this.#active
  }

  /** All that disk does not hold yet, newest first. */
  get generations(): readonly Generation[] {
    return this.#frozen === null ? [this.#active] : [this.#active, this.#frozen]
  }

  /** Bytes that only memory holds. */
  get unflushedBytes(): number {
    return this.#active.bytes + (this.#frozen?.bytes ?? 0) + this.leases.changedBytes
  }

  /** Counts the flushes that have ended: a row read from disk while it rose may be older than the state. */
  get flushes(): number {
    return this.#flushes
  }

  get viewCount(): number {
    return this.#views.count
  }

  /** Number of versions with older ones behind them, kept for views. */
  get keptCount(): number {
    return this.#views.keptCount
  }

  /** The newest version of a key, which may be a deletion; undefined: only the disk knows. */
  find(key: string): Version | undefined {
    return this.#active.versions.get(key) ?? this.#frozen?.versions.get(key) ?? this.cache.get(key)
  }

  /**
   * The version that is now the newest of its key, written at the present revision, to be filled in: at first a deletion.
   * `previous` is the one so far, null where there was none; what it says is gone when it is the same object.
   */
  write(key: string, previous: Version | null, index: Index, command: number): Version {
    const { listener } = this
    if (listener === null) return this.#write(key, previous, index, command)
    listener.changing(previous)
    const version = this.#write(key, previous, index, command)
    listener.changed(version)
    return version
  }

  #write(key: string, previous: Version | null, index: Index, command: number): Version {
    const active = this.#active
    const { revision } = this
    if (previous === null || previous.generation !== active.number) {
      const version = new Version(key, revision, index, command)
      // A deletion outside the active generation is in the history already.
      if (previous !== null && !previous.deleted) version.place = active.places.add(previous, 0)
      if (previous !== null) previous.newest = false
      active.add(version)
      return version
    }
    const place = active.places.add(previous, previous.place)
    let version = previous
    if (this.#views.count === 0 && previous.older === null) {
      version.overwrite(revision, index, command)
    } else {
      version = new Version(key, revision, index, command)
      previous.newest = false
      active.replace(version)
      this.#views.replace(version, previous)
    }
    version.place = place
    return version
  }

  /** What the commands of a record did, where that is told and not yet on disk. */
  effects(index: Index): Effects | undefined {
    return this.#active.effects.get(index) ?? this.#frozen?.effects.get(index)
  }

  /** The active generation, now never to change again; a new one takes its place. */
  freeze(): Generation {
    assert(this.#frozen === null, 'one generation is flushed at a time')
    this.#frozen = this.#active
    this.#frozen.leases = this.leases.takeChanged()
    this.#active = new Generation(this.#frozen.number + 1)
    return this.#frozen
  }

  /** The frozen generation is on disk, and its versions have moved to the cache. */
  flushed(): void {
    assert(this.#frozen !== null, 'a flush ends that has begun')
    this.#frozen = null
    this.#flushes++
  }

  /** The present state, to be read while it goes on changing; `closeView` lets it go. */
  openView(): View {
    const view = { revision: this.revision, generations: this.generations }
    this.#views.open(view)
    return view
  }

  closeView(view: View): void {
    this.#views.close(view)
  }
}
