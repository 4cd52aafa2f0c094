// Values of the past: each stands in the log, or in what its record did where that does not spell it out.
import { readU16, readU32 } from '../../base/bytes.ts'
import type { Done } from '../../base/env.ts'
import { StrettoError } from '../../base/errors.ts'
import type { LogReader } from '../../machine/machine.ts'
import { type Block, type Index, lastOf } from '../../raft/types.ts'
import { recordOffsets } from '../../record/block.ts'
import { type Packed } from '../../record/pack.ts'
import { commandAt } from '../../record/record.ts'
import { type Command } from '../../wire/kv/commands.ts'
import { readCommands } from '../../wire/kv/read-commands.ts'
import { asFault } from '../fault.ts'
import type { MemoryTable } from '../memory-table.ts'
import { effectsKey, readEffects } from '../rows.ts'
import { levelFault, type StateLevel, settle } from '../state-level.ts'
import { keyText, type Version } from '../version.ts'

/** Blocks that are kept for the next look, and their bytes. */
const blocksMax = 16
const rowsAtOnce = 1024
const versionsAtOnce = 1024

/** What the commands of a record did, one place each; what is missing at the end changed nothing. */
export type EffectList = readonly Packed[]

/** False: no more is wanted. */
type Take = (version: Version, gone: boolean) => boolean

interface OpenBlock {
  readonly block: Block
  readonly offsets: readonly number[]
}

export class RecordReader {
  readonly #level: StateLevel
  readonly #table: MemoryTable
  #log: LogReader | null = null
  /** The one used last comes last. */
  #blocks: OpenBlock[] = []
  #decoded: { readonly block: Block; readonly index: Index; readonly commands: readonly Command[] } | null = null

  constructor(level: StateLevel, table: MemoryTable) {
    this.#level = level
    this.#table = table
  }

  lend(log: LogReader): void {
    this.#log = log
  }

  /** The log begins after it. */
  get base(): Index {
    return this.#log?.base ?? 0
  }

  /** The end of what would have to go of the log so that at most `bytes` follow. */
  endBefore(bytes: number): Index {
    return this.#log?.endBefore(bytes) ?? 0
  }

  /** Blocks from the one that holds `from`; null where the log has let go of it. Not answered inside the call. */
  blocks(from: Index, bytesMax: number, done: Done<readonly Block[] | null>): void {
    if (this.#log === null) done(new StrettoError('UNAVAILABLE', 'there is no log to read the past in'), null)
    else this.#log.read(from, bytesMax, done)
  }

  /**
   * Gives the effects of those of the records that have any, in memory or on disk. `indexes` in rising order, all applied. May
   * answer inside the call.
   */
  effects(indexes: readonly Index[], done: Done<ReadonlyMap<Index, EffectList>>): void {
    const found = new Map<Index, EffectList>()
    const missing: Index[] = []
    for (const index of indexes) {
      const effects = this.#table.effects(index)
      if (effects === undefined) missing.push(index)
      else found.set(index, effects.each)
    }
    this.#readEffects(missing, 0, found, error => done(error, found))
  }

  #readEffects(indexes: readonly Index[], from: number, found: Map<Index, EffectList>, done: Done): void {
    const part = indexes.slice(from, from + rowsAtOnce)
    if (part.length === 0) return done(null)
    const keys = part.map(effectsKey)
    const take = (rows: readonly (Uint8Array | undefined)[]): void => {
      try {
        for (const [number, row] of rows.entries()) {
          if (row !== undefined) found.set(part[number]!, readEffects(keys[number]!, row).each)
        }
      } catch (error) {
        return done(asFault(error))
      }
      this.#readEffects(indexes, from + rowsAtOnce, found, done)
    }
    settle(this.#level.getMany(keys), take, error => done(levelFault('read', error)))
  }

  /**
   * Gives each of the versions, which are in the order of their records (`byRecord`), its value, until `take` returns false.
   * `gone` says that the log has let go of the record. Does not answer inside the call where there is something to be read.
   */
  values(versions: readonly Version[], take: (version: Version, gone: boolean) => boolean, done: Done): void {
    this.#valuesFrom(versions, 0, take, done)
  }

  #valuesFrom(versions: readonly Version[], from: number, take: Take, done: Done): void {
    const part = versions.slice(from, from + versionsAtOnce)
    if (part.length === 0) return done(null)
    const indexes = [...new Set(part.map(({ index }) => index))]
    const next = (error: Error | null, stopped: boolean): void => {
      if (error !== null || stopped) done(error)
      else this.#valuesFrom(versions, from + versionsAtOnce, take, done)
    }
    this.effects(indexes, (error, effects) => {
      if (error === null) this.#valuesOf(part, 0, effects, take, next)
      else done(error)
    })
  }

  #valuesOf(
    versions: readonly Version[],
    from: number,
    effects: ReadonlyMap<Index, EffectList>,
    take: Take,
    done: Done<boolean>
  ): void {
    for (let number = from; number < versions.length; number++) {
      const version = versions[number]!
      // What the log has let go of may have lost its effects, too.
      const gone = version.index <= this.base
      const open = gone ? null : this.#find(version.index)
      if (open === null && !gone) {
        return this.#open(version.index, error => {
          if (error === null) this.#valuesOf(versions, number, effects, take, done)
          else done(error, true)
        })
      }
      try {
        if (open !== null) this.#fill(version, open, effects.get(version.index))
        if (!take(version, open === null)) return done(null, true)
      } catch (error) {
        return done(asFault(error), true)
      }
    }
    done(null, false)
  }

  #find(index: Index): OpenBlock | null {
    const at = this.#blocks.findLastIndex(({ block }) => block.first <= index && index <= lastOf(block))
    if (at === -1) return null
    const [open] = this.#blocks.splice(at, 1)
    this.#blocks.push(open!)
    return open!
  }

  #open(index: Index, done: Done): void {
    this.blocks(index, 0, (error, blocks) => {
      const block = blocks?.[0]
      if (error !== null || block === undefined) return done(error)
      this.#blocks.push({ block, offsets: recordOffsets(block) })
      if (this.#blocks.length > blocksMax) this.#blocks.shift()
      done(null)
    })
  }

  #fill(version: Version, { block, offsets }: OpenBlock, effects: EffectList | undefined): void {
    const { index, command: number } = version
    const at = offsets[index - block.first]!
    const effect = effects === undefined ? 1 : (effects[number] ?? 0)
    let value: Uint8Array | null = null
    if (effect === 1) {
      const command = this.#commandsAt(block, at, index)[number]
      if (command?.op === 'put') value = command.value
    } else if (effect instanceof Uint8Array) value = effect
    else if (Array.isArray(effect)) value = valueOfChange(effect as EffectList, version.key, block.bytes, at)
    if (value === null) throw new StrettoError('CORRUPT', `record ${index} did not bring what the history says`)
    // A copy, so that a small value does not pin its block.
    version.hold(new Uint8Array(value), 0, value.length)
  }

  #commandsAt(block: Block, at: number, index: Index): readonly Command[] {
    if (this.#decoded?.block !== block || this.#decoded.index !== index) {
      this.#decoded = { block, index, commands: commandsOf(block.bytes, at) }
    }
    return this.#decoded.commands
  }
}

export function byRecord(a: Version, b: Version): number {
  return a.index - b.index || a.command - b.command
}

/** The commands of the record at `at`, which has been executed. */
export function commandsOf(bytes: Uint8Array, at: number): readonly Command[] {
  const commands = bytes.subarray(at + commandAt.commands, at + readU32(bytes, at))
  return readCommands(commands, readU16(bytes, at + commandAt.count))
}

/** What a list of changes stores for `key`; null where it deletes it or does not name it. */
function valueOfChange(changes: EffectList, key: string, bytes: Uint8Array, at: number): Uint8Array | null {
  for (const each of changes) {
    const change = each as EffectList
    if (keyOf(change) === key) return storedBy(change, bytes, at)
  }
  return null
}

/** As text: in memory it is, on disk there are bytes. */
export function keyOf(change: EffectList): string {
  const [key] = change
  return typeof key === 'string' ? key : keyText(key as Uint8Array)
}

/** The value that one change of a list stores (`rows.ts`); null where it deletes. `at`: where the record begins in `bytes`. */
export function storedBy(change: EffectList, bytes: Uint8Array, at: number): Uint8Array | null {
  const [, value, length] = change
  if (typeof value === 'number') return bytes.subarray(at + value, at + value + (length as number))
  return value instanceof Uint8Array ? value : null
}
