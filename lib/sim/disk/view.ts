// What a power cut would leave of a node at this moment, for the checks of a simulation: asked after every event, kept up.
import { type BaseRecord, readBase } from '../../log/base-record.ts'
import { OpenError } from '../../log/faults.ts'
import { baseKey, blockBound, blocksEnd, type Card, readBlockKey } from '../../log/keys.ts'
import { readMemory, type SlotContent } from '../../log/memory.ts'
import type { SlotImage } from '../../log/memory-slots.ts'
import type { Memory } from '../../log/slots.ts'
import type { Base, ChainedId, HardState, Index, Term } from '../../raft/types.ts'
import { type Operation, type Row, type SimDatabase, textOf, type Watcher } from './sim-database.ts'

const baseText = textOf(baseKey())
const endText = textOf(blocksEnd())
const noHard: HardState = { term: 0, vote: null }
const noMark: ChainedId = { index: 0, term: 0, chain: 0 }

/** Of what is lost when all is lost that was not synced. It goes by the keys of blocks: their bytes are not looked at. */
export class DiskView implements Watcher {
  #database: SimDatabase
  #slots: SlotImage
  #read: readonly [Uint8Array | null, Uint8Array | null] | null = null
  #memory: Memory | null = null
  #base: Base | null = null
  #last: ChainedId | null = null

  constructor(database: SimDatabase, slots: SlotImage) {
    this.#database = database
    this.#slots = slots
    this.show(database, slots)
  }

  /** These are the node's from now on. */
  show(database: SimDatabase, slots: SlotImage): void {
    this.#database = database
    this.#slots = slots
    this.#read = null
    database.watcher = this
    this.rebuilt()
  }

  /** The newer sound slot; null when there is none, because none was written or both are damaged. */
  get memory(): Memory | null {
    const [first, second] = this.#slots.durable
    if (this.#read === null || this.#read[0] !== first || this.#read[1] !== second) {
      this.#read = [first, second]
      this.#memory = newer(first && readMemory(first), second && readMemory(second))
    }
    return this.#memory
  }

  get hard(): HardState {
    return this.memory?.hard ?? noHard
  }

  get mark(): ChainedId {
    return this.memory?.mark ?? noMark
  }

  /** Empty before the first start. */
  get incarnation(): string {
    return this.memory?.incarnation ?? ''
  }

  /** Null where no log was founded, or where its base record is damaged. */
  get base(): Base | null {
    return this.#base
  }

  /** Where the log ends: the last record that is reached from the base without a gap. */
  get last(): ChainedId | null {
    return this.#last
  }

  /** The record at `index`, where it is the base or ends a block of the log. */
  endAt(index: Index): { readonly term: Term; readonly chain: number } | null {
    if (this.#base === null || this.#last === null || index < this.#base.index || index > this.#last.index) return null
    if (index === this.#last.index) return this.#last
    if (index === this.#base.index) return this.#base
    return this.#blockEndAt(index)
  }

  /** The block of the log that holds `index`; null where none does. */
  blockOf(index: Index): { readonly card: Card; readonly row: Row } | null {
    if (this.#base === null || this.#last === null || index <= this.#base.index || index > this.#last.index) return null
    const pair = this.#database.durable.nextLowerPair(textOf(blockBound(index + 1)))
    const card = pair === undefined ? null : readBlockKey(pair[1].key)
    return pair === undefined || card === null || lastIn(card) < index ? null : { card, row: pair[1] }
  }

  /** Normally the block that begins at or below `index`, and last of all; after damage there may be others beside it. */
  #blockEndAt(index: Index): Card | null {
    const rows = this.#database.durable
    let text = textOf(blockBound(index + 1))
    let first: Index | null = null
    for (;;) {
      const pair = rows.nextLowerPair(text)
      const card = pair === undefined ? null : readBlockKey(pair[1].key)
      if (pair === undefined || card === null || (first !== null && card.first !== first)) return null
      if (lastIn(card) === index) return card
      text = pair[0]
      first = card.first
    }
  }

  changed({ text, key, value }: Operation): void {
    if (text === baseText) return this.#rebase(value)
    const card = readBlockKey(key)
    if (card === null || this.#base === null || this.#last === null) return
    if (value !== null) {
      if (card.first === this.#last.index + 1) this.#extend(this.#last)
    } else if (card.first > this.#base.index && card.first <= this.#last.index) {
      const before = card.first - 1
      const end = before === this.#base.index ? this.#base : this.#blockEndAt(before)
      if (end === null) this.#extend(this.#base)
      else this.#extend({ index: before, term: end.term, chain: end.chain })
    }
  }

  rebuilt(): void {
    this.#base = null
    this.#last = null
    this.#rebase(this.#database.durable.get(baseText)?.value ?? null)
  }

  #rebase(value: Uint8Array | null): void {
    const record: BaseRecord | OpenError | null = value === null ? null : readBase(value)
    if (record === null || record instanceof OpenError) {
      this.#base = null
      this.#last = null
      return
    }
    const { base } = record
    const end = this.endAt(base.index)
    this.#base = base
    // A base within the log leaves what follows it.
    if (end !== null && end.term === base.term && end.chain === base.chain) return
    this.#extend(base)
  }

  /** The log holds at least up to `from`; goes on as opening it would. */
  #extend({ index, term, chain }: ChainedId): void {
    let last: ChainedId = { index, term, chain }
    let pair = this.#database.durable.getPairOrNextHigher(textOf(blockBound(index + 1)))
    while (pair !== undefined && pair[0] < endText) {
      const card = readBlockKey(pair[1].key)
      if (card === null || card.first !== last.index + 1 || card.term < last.term) break
      last = { index: lastIn(card), term: card.term, chain: card.chain }
      pair = this.#database.durable.nextHigherPair(pair[0])
    }
    this.#last = last
  }
}

function lastIn({ first, count }: Card): Index {
  return first + count - 1
}

function newer(first: SlotContent, second: SlotContent): Memory | null {
  const a = first === 'newer' ? null : first
  const b = second === 'newer' ? null : second
  if (a === null || b === null) return (a ?? b)?.memory ?? null
  return (b.sequence > a.sequence ? b : a).memory
}
