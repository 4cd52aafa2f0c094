// A disk that dies at a chosen write: a LevelDB double and slots over an image from which the unsynced is lost.
import { AbstractIterator, AbstractLevel } from 'abstract-level'
import { compareBytes, toHex } from '../../lib/base/bytes.ts'
import type { Done, Env } from '../../lib/base/env.ts'
import type { Random } from '../../lib/base/random.ts'
import { MemoryDirectory } from '../../lib/log/memory-directory.ts'
import { MemorySlots, SlotImage } from '../../lib/log/memory-slots.ts'
import type { Slots } from '../../lib/log/slots.ts'
import { realEnv } from './real-time.ts'

type Entry = [Uint8Array, Uint8Array]
interface Operation {
  readonly type: 'put' | 'del'
  readonly key: Uint8Array
  readonly value?: Uint8Array
}
interface Range {
  readonly gte?: Uint8Array
  readonly lt?: Uint8Array
  readonly limit?: number
}

export class CrashDisk {
  readonly slots = new SlotImage()
  readonly folders = new Set<string>()
  durable = new Map<string, Entry>()
  /** Batches that no sync has covered: a power cut takes any of them, not only the last. */
  unsynced: (readonly Operation[])[] = []
  effects = 0
  /** Batches among them. */
  batches = 0
  /** Number of the write at which it dies; 0 for never. */
  dieAt = 0
  /** The write from which on it refuses, without dying; 0 for never. */
  failAt = 0
  readonly #random: Random
  #live = 1
  #died: (() => void) | null = null

  constructor(random: Random) {
    this.#random = random
  }

  /** What this life sees of the disk; all of it is dead after the next `crash`. */
  life(env: Env = realEnv): { level: () => CrashLevel; slots: Slots; directory: MemoryDirectory } {
    const number = this.#live
    const alive = (): boolean => this.#live === number
    return {
      level: () => new CrashLevel(this, alive),
      slots: new CrashSlots(this, new MemorySlots(this.slots, env), alive),
      directory: new MemoryDirectory(this.folders, env)
    }
  }

  /** Resolves when it has died at `dieAt`. */
  death(): Promise<void> {
    return new Promise(resolve => {
      this.#died = resolve
    })
  }

  /** Counts a write that is about to happen. False: it never returns; `kept` tells whether it reached the disk. */
  effect(): { readonly alive: boolean; readonly kept: boolean } {
    this.effects++
    if (this.effects === this.failAt) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
    if (this.effects !== this.dieAt) return { alive: true, kept: true }
    this.#died?.()
    return { alive: false, kept: this.#random.chance(0.5) }
  }

  crash(): void {
    this.#live++
    this.dieAt = 0
    const kept = this.unsynced.filter(() => this.#random.chance(0.5))
    this.unsynced = []
    for (const operations of kept) apply(this.durable, operations)
    this.slots.crash(below => this.#random.below(below))
  }

  sync(): void {
    for (const operations of this.unsynced) apply(this.durable, operations)
    this.unsynced = []
  }

  seen(): Map<string, Entry> {
    const seen = new Map(this.durable)
    for (const operations of this.unsynced) apply(seen, operations)
    return seen
  }
}

function apply(entries: Map<string, Entry>, operations: readonly Operation[]): void {
  for (const { type, key, value } of operations) {
    if (type === 'put') entries.set(toHex(key), [key, value!])
    else entries.delete(toHex(key))
  }
}

class CrashSlots implements Slots {
  readonly #disk: CrashDisk
  readonly #slots: MemorySlots
  readonly #alive: () => boolean

  constructor(disk: CrashDisk, slots: MemorySlots, alive: () => boolean) {
    this.#disk = disk
    this.#slots = slots
    this.#alive = alive
  }

  read(done: Done<readonly [Uint8Array | null, Uint8Array | null]>): void {
    this.#slots.read(done)
  }

  write(slot: 0 | 1, bytes: Uint8Array, sync: boolean, done: Done): void {
    if (!this.#alive()) return
    try {
      const { alive, kept } = this.#disk.effect()
      if (alive) return this.#slots.write(slot, bytes, sync, error => (this.#alive() ? done(error) : undefined))
      if (kept) this.#disk.slots.cached[slot] = bytes.slice()
    } catch (error) {
      setImmediate(done, error as Error)
    }
  }

  close(done: Done): void {
    this.#slots.close(done)
  }
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined)

export class CrashLevel extends AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array> {
  readonly #disk: CrashDisk
  readonly #alive: () => boolean

  constructor(disk: CrashDisk, alive: () => boolean) {
    super({ encodings: { view: true } }, { keyEncoding: 'view', valueEncoding: 'view' })
    this.#disk = disk
    this.#alive = alive
  }

  async _open(): Promise<void> {}

  async _close(): Promise<void> {}

  async _get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#disk.seen().get(toHex(key))?.[1]
  }

  async _getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const seen = this.#disk.seen()
    return keys.map(key => seen.get(toHex(key))?.[1])
  }

  async _batch(operations: Operation[], options: { sync?: boolean }): Promise<void> {
    if (!this.#alive()) return never()
    this.#disk.batches++
    const copies = operations.map(({ type, key, value }) => ({ type, key, ...(value && { value }) }))
    const { alive, kept } = this.#disk.effect()
    if (kept) this.#disk.unsynced.push(copies)
    if (!alive) return never()
    await new Promise(resolve => setImmediate(resolve))
    if (!this.#alive()) return never()
    if (options.sync === true) this.#disk.sync()
  }

  _iterator(options: Range): AbstractIterator<CrashLevel, Uint8Array, Uint8Array> {
    const entries = [...this.#disk.seen().values()]
      .filter(([key]) => options.gte === undefined || compareBytes(key, options.gte) >= 0)
      .filter(([key]) => options.lt === undefined || compareBytes(key, options.lt) < 0)
      .toSorted((a, b) => compareBytes(a[0], b[0]))
    return new CrashIterator(this, options, entries)
  }
}

class CrashIterator extends AbstractIterator<CrashLevel, Uint8Array, Uint8Array> {
  readonly #entries: Entry[]

  constructor(level: CrashLevel, options: Range, entries: Entry[]) {
    super(level, options)
    this.#entries = entries
  }

  async _next(): Promise<Entry | undefined> {
    const entry = this.#entries.shift()
    // abstract-level decodes in place.
    return entry && [entry[0], entry[1]]
  }
}
