// One call of apply: decode, gather what the commands touch, read what is not in memory, then execute all in one go.
import type { Done } from '../base/env.ts'
import type { Batch, Outcomes } from '../machine/machine.ts'
import { type FirstCommand } from '../wire/kv/commands.ts'
import { readCommands } from '../wire/kv/read-commands.ts'
import { answerBytesMax, Execution, mayAnswerEntry } from './execute.ts'
import { asFault } from './fault.ts'
import type { MemoryTable } from './memory-table.ts'
import type { RowReader } from './row-reader.ts'
import { keyText, type Version } from './version.ts'

/** A value from disk up to this size is kept whether a command needs it or not. */
const smallValueBytes = 4096

interface Decoded {
  readonly batch: Batch
  /** Null where the record is malformed. */
  readonly commands: readonly FirstCommand[] | null
  readonly keys: readonly string[]
  /** What the table has for each key; undefined where only the disk knows. Nothing is written until all is executed. */
  readonly known: readonly (Version | undefined)[]
}

/**
 * Keys that only the disk knows, in the order in which commands first touch them, each with the record whose command may
 * answer with what is there; -1 where that is replaced first. An increment does not count: a value too large to be kept
 * without need is no number, and stays.
 */
type Missing = Map<string, number | null>

const noCommands: readonly FirstCommand[] = []

export class ApplyCall {
  readonly #table: MemoryTable
  readonly #reader: RowReader
  readonly #decoded: Decoded[] = []
  readonly #missing: Missing = new Map()
  /** Records that can be executed before another gathering: a value that a later one may need was not kept. */
  #executable: number
  /** What `missing` was found to be on disk. */
  readonly #loaded = new Map<string, Version | null>()

  constructor(table: MemoryTable, reader: RowReader, batches: readonly Batch[]) {
    this.#table = table
    this.#reader = reader
    this.#executable = batches.length
    for (const batch of batches) this.#decoded.push(this.#gather(batch))
  }

  /** True when all that the commands touch is in memory. */
  get ready(): boolean {
    return this.#missing.size === 0
  }

  /** Reads what is missing. */
  load(done: Done): void {
    const keys = [...this.#missing.keys()]
    const kept = new Map<number, number>()
    const take = (at: number, version: Version | null) => {
      if (version !== null && !this.#keeps(version, this.#missing.get(keys[at]!) ?? -1, kept)) version.dropValue()
      this.#loaded.set(keys[at]!, version)
      return true
    }
    this.#reader.read(keys, take, done)
  }

  /** Gives the outcomes of the first records, at least one; for those after them a call of their own is needed. */
  execute(): Outcomes[] {
    return this.#decoded.slice(0, this.#executable).map(({ batch, commands, keys, known }) => {
      const execution = new Execution(this.#table, this.#loaded, batch)
      return commands === null ? execution.refuse() : execution.run(commands, keys, known)
    })
  }

  #gather(batch: Batch): Decoded {
    const commands = decode(batch)
    const keys: string[] = []
    const known: (Version | undefined)[] = []
    if (commands === null) return { batch, commands, keys, known }
    for (const command of commands) {
      const key = keyText(command.key)
      const version = this.#table.find(key)
      if (version === undefined && batch.skip?.[keys.length] !== true) this.#miss(key, command)
      keys.push(key)
      known.push(version)
    }
    return { batch, commands, keys, known }
  }

  #miss(key: string, command: FirstCommand): void {
    const record = this.#missing.get(key)
    if (record !== undefined && record !== null) return
    if (command.op === 'increment') this.#missing.set(key, null)
    else this.#missing.set(key, mayAnswerEntry(command) ? this.#decoded.length : -1)
  }

  /** Large values that no answer can carry are not kept: a record may touch thousands of them. */
  #keeps(version: Version, record: number, kept: Map<number, number>): boolean {
    if (record === -1) return version.length <= smallValueBytes
    const bytes = (kept.get(record) ?? 0) + version.length
    kept.set(record, bytes)
    if (bytes <= answerBytesMax || version.length <= smallValueBytes) return true
    this.#executable = Math.min(this.#executable, record + 1)
    return false
  }
}

/** Null where the record is malformed. */
function decode(batch: Batch): readonly FirstCommand[] | null {
  // Nothing falls due yet: leases come with a later machine version.
  if (batch.kind === 'expiry') return noCommands
  try {
    return readCommands(batch.commands, batch.count, 1) as FirstCommand[]
  } catch (error) {
    asFault(error)
    return null
  }
}
