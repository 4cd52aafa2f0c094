// Opens a log: walks over its keys, verifies what the state does not cover yet, cuts off what is broken, judges the rest.
import type { Done } from '../base/env.ts'
import {
  type Base,
  type Block,
  type ChainedId,
  type Index,
  type LogId,
  lastOf,
  type MembershipAt
} from '../raft/types.ts'
import { readBlock } from '../record/block.ts'
import { isStateName, nameOfState, readBase } from './base-record.ts'
import { Catalogue } from './catalogue.ts'
import type { Directory } from './directory.ts'
import { OpenError, openFault, refuse } from './faults.ts'
import { baseKey, blockBound, blockKey, blocksEnd, type Card, readBlockKey } from './keys.ts'
import { type Level, type LevelOperation, settle, synced } from './level.ts'
import type { Memory } from './slots.ts'
import { distrust, hollowness, text } from './trust.ts'

const what = 'the log'
const keysPerPage = 4096
const blocksPerPage = 256
const pageBytesMax = 8_388_608

/** Asks the machine, which it opens in the state directory that `base` names, for the last record its state contains. */
export type StateOf = (base: Base, done: Done<LogId>) => void

export interface Recovered {
  readonly base: Base
  readonly catalogue: Catalogue
  readonly memberships: readonly MembershipAt[]
  readonly trusted: boolean
  /** The state ends before the log begins. */
  readonly hollow: boolean
  /** Committed, for the state contains it; the base where the log is not trusted. */
  readonly commit: Index
  readonly findings: readonly string[]
  /** Blocks at or below it have been believed by their keys: the scrub reads them later. */
  readonly unverified: Index
  /** Keys of blocks below the base were met: they are still to be freed. */
  readonly leftovers: boolean
}

/**
 * The rule where something is broken: the log is the longest sound prefix, and all behind it is deleted in one synced
 * batch. Whether that is a harmless tail which was never promised, or a loss, the mark and the state tell: a prefix that
 * ends below either is untrusted. This holds for damage below the end of the state too; the log then ends before the
 * state does, and the leader brings the rest again.
 */
export class Recovery {
  readonly #level: Level
  readonly #directory: Directory
  readonly #memory: Memory
  readonly #stateOf: StateOf | null
  readonly #findings: string[] = []
  readonly #memberships: MembershipAt[] = []
  /** Keys of what does not belong to the log. */
  #rejected: Uint8Array[] = []
  #broken = false
  #leftovers = false
  #base!: Base
  #catalogue!: Catalogue
  #state: LogId | null = null
  #unverified: Index = 0
  readonly #done: Done<Recovered>

  constructor(level: Level, directory: Directory, memory: Memory, stateOf: StateOf | null, done: Done<Recovered>) {
    this.#level = level
    this.#directory = directory
    this.#memory = memory
    this.#stateOf = stateOf
    this.#done = done
  }

  run(): void {
    if (this.#memory.clusterId === null) {
      return this.#fail(new OpenError('unfounded', 'this node belongs to no cluster yet'))
    }
    settle(this.#level.get(baseKey()), (error, bytes) => {
      if (error) return this.#fail(error)
      if (bytes === undefined) return this.#fail(new OpenError('corrupt', 'the log has lost its base record'))
      const record = readBase(bytes)
      if (record instanceof OpenError) return this.#fail(record)
      if (record.clusterId !== this.#memory.clusterId) {
        return this.#fail(new OpenError('foreign-cluster', 'the log belongs to another cluster than this node'))
      }
      this.#base = record.base
      this.#catalogue = new Catalogue(this.#base)
      this.#memberships.push({ index: this.#base.index, membership: this.#base.membership })
      this.#clean()
    })
  }

  /** Removes the state directories that the base does not name: left over from before, or a snapshot half received. */
  #clean(): void {
    const inForce = nameOfState(this.#base.state)
    this.#directory.list((error, names) => {
      if (error) return this.#fail(error)
      const stale = names.filter(name => isStateName(name) && name !== inForce)
      const next = (error: Error | null): void => {
        if (error) return this.#fail(error)
        const name = stale.pop()
        if (name === undefined) return this.#askState()
        this.#directory.remove(name, next)
      }
      next(null)
    })
  }

  #askState(): void {
    if (this.#stateOf === null) return this.#walk()
    this.#stateOf(this.#base, (error, state) => {
      if (error) return this.#fail(error)
      this.#state = state
      this.#walk()
    })
  }

  /** First pass, keys alone: is the log without gaps? */
  #walk(): void {
    const options = { gte: blockBound(0), lt: blocksEnd(), fillCache: false, highWaterMarkBytes: pageBytesMax }
    const iterator = this.#level.keys(options)
    const page = (): void =>
      settle(iterator.nextv(keysPerPage), (error, keys) => {
        if (error) return this.#fail(error)
        if (keys.length === 0) return settle(iterator.close(), error => (error ? this.#fail(error) : this.#verify()))
        for (const key of keys) this.#meet(key)
        page()
      })
    page()
  }

  #meet(key: Uint8Array): void {
    const card = readBlockKey(key)
    const { tail } = this.#catalogue
    if (card !== null && card.first + card.count - 1 <= this.#base.index) {
      this.#leftovers = true
      return
    }
    if (card !== null && !this.#broken && card.first === tail.index + 1 && card.term >= tail.term) {
      this.#catalogue.push(card)
      return
    }
    if (!this.#broken) this.#break(this.#faultOf(card, tail))
    this.#rejected.push(key)
  }

  #faultOf(card: Card | null, tail: ChainedId): string {
    if (card === null) return `the key of a block after ${text(tail)} is damaged`
    if (card.first > tail.index + 1) return `the records from ${tail.index + 1} to ${card.first - 1} are missing`
    return `the block that begins at ${card.first} does not continue ${text(tail)}`
  }

  /** Second pass: reads each block above what both the state and the mark cover. */
  #verify(): void {
    const covered = this.#state === null ? 0 : Math.min(this.#state.index, this.#memory.mark.index)
    const catalogue = this.#catalogue
    let row = covered < this.#base.index + 1 ? catalogue.head : catalogue.rowOf(covered)
    if (row === -1) row = catalogue.end
    this.#unverified = row === catalogue.end ? catalogue.tail.index : catalogue.beforeOf(row).index
    if (row === catalogue.end) return this.#findSeams()
    const options = {
      gte: blockKey(catalogue.card(row)),
      lt: blocksEnd(),
      fillCache: false,
      highWaterMarkBytes: pageBytesMax
    }
    const iterator = this.#level.iterator(options)
    const page = (): void =>
      settle(iterator.nextv(blocksPerPage), (error, entries) => {
        if (error) return this.#fail(error)
        for (const [, bytes] of entries) {
          if (row >= catalogue.end) break
          this.#check(row, bytes)
          row++
        }
        if (entries.length > 0 && row < catalogue.end) return page()
        settle(iterator.close(), error => (error ? this.#fail(error) : this.#findSeams()))
      })
    page()
  }

  /** The blocks come in the order of their keys, so up to the first fault each is the one of its row. */
  #check(row: number, bytes: Uint8Array): void {
    const catalogue = this.#catalogue
    const card = catalogue.card(row)
    const block = readBlockOf(card, catalogue.beforeOf(row).chain, bytes)
    if (block !== null) {
      if (block.membership !== null) this.#memberships.push({ index: block.first, membership: block.membership })
      return
    }
    this.#break(damaged(card))
    this.#rejectFrom(row)
  }

  #rejectFrom(row: number): void {
    const catalogue = this.#catalogue
    for (let bad = row; bad < catalogue.end; bad++) this.#rejected.push(blockKey(catalogue.card(bad)))
    catalogue.cutAfter(catalogue.beforeOf(row).index)
  }

  /**
   * Of the blocks that were not read: those that bring a membership, and the first of each term. An overwritten block may
   * have come back in the place of another, and its key tells nothing of what it follows. Blocks of one term are of one
   * leader, which only appends, so two of them side by side belong together: histories meet where the term changes.
   */
  #findSeams(): void {
    const catalogue = this.#catalogue
    const rows: number[] = []
    for (let row = catalogue.head; row < catalogue.end && catalogue.idOf(row).index <= this.#unverified; row++) {
      if (catalogue.bringsMembership(row) || catalogue.beginsTerm(row)) rows.push(row)
    }
    const found: MembershipAt[] = []
    const page = (from: number): void => {
      const part = rows.slice(from, from + blocksPerPage)
      if (part.length === 0) {
        this.#memberships.splice(1, 0, ...found)
        return this.#repair()
      }
      settle(this.#level.getMany(part.map(row => blockKey(catalogue.card(row)))), (error, values) => {
        if (error) return this.#fail(error)
        const sound = part.every((row, number) => this.#fits(row, values[number], found))
        // What was found above the fault is gone with it.
        if (!sound) this.#memberships.length = 1
        page(sound ? from + part.length : rows.length)
      })
    }
    page(0)
  }

  /** The block in `row` is the one that its key tells of, and continues the one before; its membership goes to `found`. */
  #fits(row: number, bytes: Uint8Array | undefined, found: MembershipAt[]): boolean {
    const catalogue = this.#catalogue
    const card = catalogue.card(row)
    const before = catalogue.beforeOf(row)
    const block = bytes === undefined ? null : readBlockOf(card, before.chain, bytes)
    if (block !== null) {
      if (block.membership !== null) found.push({ index: block.first, membership: block.membership })
      return true
    }
    const other = bytes === undefined ? null : readBlock(bytes)
    const foreign = other !== null && other.previousChain !== before.chain
    this.#break(foreign ? this.#faultOf(card, before) : damaged(card))
    this.#rejectFrom(row)
    return false
  }

  #repair(): void {
    if (this.#rejected.length === 0) return this.#judge()
    const deletes = this.#rejected.map((key): LevelOperation => ({ type: 'del', key }))
    settle(this.#level.batch(deletes, synced), error => (error ? this.#fail(error) : this.#judge()))
  }

  #judge(): void {
    const { index } = this.#base
    const hollow = hollowness(this.#catalogue, this.#state)
    const reasons = distrust(this.#catalogue, this.#memory.mark, this.#state)
    this.#done(null, {
      base: this.#base,
      catalogue: this.#catalogue,
      memberships: this.#memberships,
      trusted: reasons.length === 0,
      hollow: hollow !== null,
      commit: reasons.length === 0 ? Math.max(this.#state?.index ?? index, index) : index,
      findings: [...this.#findings, ...reasons, ...(hollow === null ? [] : [hollow])],
      unverified: Math.min(this.#unverified, this.#catalogue.tail.index),
      leftovers: this.#leftovers
    })
  }

  #break(finding: string): void {
    this.#broken = true
    this.#findings.push(`${finding}: the log is cut off before it`)
  }

  #fail(error: Error): void {
    refuse(this.#done, openFault(what, error))
  }
}

function damaged({ first, count }: Card): string {
  return `the block of the records ${first} to ${first + count - 1} is damaged`
}

/** The block in `bytes` when it is sound, the one that `card` tells of, and follows `previousChain`; else null. */
export function readBlockOf(card: Card, previousChain: number, bytes: Uint8Array): Block | null {
  const block = readBlock(bytes)
  if (block === null || block.first !== card.first || lastOf(block) !== card.first + card.count - 1) return null
  if (block.term !== card.term || block.chain !== card.chain || block.previousChain !== previousChain) return null
  return (block.membership !== null) === card.membership ? block : null
}
