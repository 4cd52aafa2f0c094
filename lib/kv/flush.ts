// Makes a frozen generation durable: one synced batch, built over several turns while commands go on being applied.
import type { Done, Env } from '../base/env.ts'
import type { Index } from '../raft/types.ts'
import type { Packed } from '../record/pack.ts'
import type { Effect, Generation } from './generation.ts'
import { keepEntries, type UnkeptRow } from './past/keep.ts'
import { placeOf } from './places.ts'
import type { RowCache } from './row-cache.ts'
import type { RowReader } from './row-reader.ts'
import {
  effectsKey,
  entryKey,
  generationKey,
  type Head,
  headKey,
  historyKey,
  leaseKey,
  leaseKeyKey,
  leaseSumKey,
  orderKey,
  writeEntry,
  writeGeneration,
  writeHead,
  writeLease,
  writeLeaseKey,
  writeLeaseSum,
  writeOrder,
  writePacked
} from './rows.ts'
import { levelFault, type StateLevel, settle } from './state-level.ts'
import { keyBytes, type Version } from './version.ts'

const turnMs = 2
/** Between two looks at the clock: about a tenth of a millisecond. */
const versionsPerLook = 32
/** Versions named in one row of the history. */
const placesMax = 1000

const noPlace: readonly number[] = []

export interface FlushParts {
  readonly level: StateLevel
  readonly env: Env
  readonly cache: RowCache
  readonly reader: RowReader
  /** The log lets go of records up to here, or has done so. */
  readonly keepUpTo: Index
  /** Revision of the newest generation on disk, 0 for none: it shows whether one is missing. */
  readonly previous: number
  /** What the last order to compact said, 0 for none. */
  readonly ordered: number
  /** Why to give up, asked before each turn of building; null to go on. */
  readonly ended: () => Error | null
}

/** One atomic durable step from the state before `generation` to the state at `head`. */
export class Flush {
  readonly #parts: FlushParts
  readonly #generation: Generation
  readonly #head: Head
  readonly #done: Done
  readonly #rows: Iterator<undefined>
  readonly #unkept: UnkeptRow[] = []
  readonly #batch

  constructor(parts: FlushParts, generation: Generation, head: Head, done: Done) {
    this.#parts = parts
    this.#generation = generation
    this.#head = head
    this.#done = done
    this.#rows = this.#addAll()
    this.#batch = parts.level.batch()
  }

  start(): void {
    this.#parts.env.soon(() => this.#turn())
  }

  #turn(): void {
    const { env, ended } = this.#parts
    const reason = ended()
    if (reason !== null) return this.#done(reason)
    const start = env.now()
    do {
      for (let number = 0; number < versionsPerLook; number++) {
        if (this.#rows.next().done === true) return this.#keep()
      }
    } while (env.now() - start < turnMs)
    env.soon(() => this.#turn())
  }

  /** In small steps. */
  *#addAll(): Generator<undefined, void> {
    for (const version of this.#generation.versions.values()) {
      this.#add(version)
      yield
    }
    for (const [id, lease] of this.#generation.leases.rows) {
      const rowKey = leaseKey(id)
      if (lease === null) this.#batch.del(rowKey)
      else this.#batch.put(rowKey, writeLease(rowKey, lease))
      yield
    }
  }

  #add(version: Version): void {
    const rowKey = entryKey(version.key)
    if (version.deleted) this.#batch.del(rowKey)
    else this.#batch.put(rowKey, writeEntry(rowKey, version))
    this.#moveLease(version, this.#addHistory(version))
    this.#parts.cache.put(version)
  }

  /** Gives the lease of the key as it stands on disk, 0 for none. */
  #addHistory(version: Version): number {
    let lease = 0
    let last = version.place
    let own = version.deleted ? placeOf(version) : noPlace
    let until = version.modRevision
    while (last !== 0 || own.length > 0) {
      const { numbers, before } = this.#generation.places.upTo(last, placesMax)
      const [oldest, , , oldestLease] = numbers
      // A version that is newer than all on disk has come and gone since the last flush.
      if (oldest !== undefined && oldest <= this.#parts.previous) lease = oldestLease!
      numbers.push(...own)
      const rowKey = historyKey(version.key, until)
      // The log is to let go of it, and its value is still in the row of the entry.
      if (before === 0 && last !== 0 && numbers[4]! <= this.#parts.keepUpTo) {
        this.#unkept.push({ key: version.key, rowKey, numbers })
      } else this.#batch.put(rowKey, writePacked(rowKey, numbers))
      until = numbers[0]!
      own = noPlace
      last = before
    }
    return lease
  }

  #moveLease({ key, leaseId }: Version, onDisk: number): void {
    if (leaseId === onDisk) return
    if (onDisk !== 0) this.#batch.del(leaseKeyKey(onDisk, key))
    if (leaseId === 0) return
    const rowKey = leaseKeyKey(leaseId, key)
    this.#batch.put(rowKey, writeLeaseKey(rowKey))
  }

  /** Writes the rows that need the value of an entry, which this flush is to replace. */
  #keep(): void {
    const { level, reader, ended } = this.#parts
    keepEntries(level, reader, this.#unkept, error => {
      const reason = error ?? ended()
      if (reason !== null) this.#done(reason)
      else this.#write()
    })
  }

  #write(): void {
    const { versions, effects, leases } = this.#generation
    for (const { index, revisionBefore, each } of effects.values()) {
      const rowKey = effectsKey(index)
      this.#batch.put(rowKey, writePacked(rowKey, [revisionBefore, each.map(packEffect)]))
    }
    const { revision, applied } = this.#head
    if (versions.size > 0) {
      const rowKey = generationKey(revision)
      this.#batch.put(rowKey, writeGeneration(rowKey, applied, this.#parts.previous))
    }
    if (this.#parts.ordered > 0) this.#batch.put(orderKey, writeOrder(this.#parts.ordered))
    if (leases.sum !== null) this.#batch.put(leaseSumKey, writeLeaseSum(leases.sum))
    this.#batch.put(headKey, writeHead(this.#head))
    settle(
      this.#batch.write({ sync: true }),
      () => this.#done(null),
      error => this.#done(levelFault('written', error))
    )
  }
}

function packEffect(effect: Effect): Packed {
  if (typeof effect === 'number' || effect instanceof Uint8Array) return effect
  return effect.map(([key, ...what]) => [keyBytes(key), ...what])
}
