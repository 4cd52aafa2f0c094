// One call of apply: decode, gather what the commands touch, read what is not in memory, then execute.
//
// Simple commands, across all records of the call, are executed in one go once all that they touch has been gathered. A
// command that looks for what it needs itself (a transaction, a range) begins when all before it has been executed, and what
// follows it is gathered when it has ended.
import type { Done } from '../base/env.ts'
import type { Batch, Outcomes } from '../machine/machine.ts'
import type { Packed } from '../record/pack.ts'
import type { Command } from '../wire/kv/commands.ts'
import { readCommands } from '../wire/kv/read-commands.ts'
import { answerBytesMax, asSimple, Execution, mayAnswerEntry, type SimpleCommand } from './execute.ts'
import { asFault } from './fault.ts'
import { Refused, Staging, type StagingParts, type Steps } from './staging.ts'
import { type ExpireCommand, stepsOf } from './steps.ts'
import { keyText, type Version } from './version.ts'

/** A value from disk up to this size is kept whether a command needs it or not. */
const smallValueBytes = 4096

export interface ApplyParts extends StagingParts {
  /** The machine version in force. */
  readonly version: number
  /** Why to give up, asked after each wait; null to go on. */
  readonly ended: () => Error | null
}

/** A record, and what has been gathered of it. */
interface Decoded {
  readonly batch: Batch
  /** Null where the record is malformed. */
  readonly commands: readonly (Command | ExpireCommand)[] | null
  /** The commands gathered: from this number up to that one, which is not simple where it is there. */
  from: number
  to: number
  keys: string[]
  /** What the table has for each key; undefined where only the disk knows. Nothing is written until all is executed. */
  known: (Version | undefined)[]
}

/**
 * Keys that only the disk knows, in the order in which commands first touch them, each with the record whose command may
 * answer with what is there; -1 where that is replaced first. A number does not count: a value too large to be kept
 * without need is none, and stays.
 */
type Missing = Map<string, number | null>

const expiry: readonly ExpireCommand[] = [{ op: 'expire' }]

export class ApplyCall {
  readonly #parts: ApplyParts
  readonly #records: readonly Decoded[]
  readonly #done: Done<readonly Outcomes[]>
  readonly #outcomes: Outcomes[] = []
  /** Where the next command stands that is to be executed; the execution of its record, once that has begun. */
  #record = 0
  #command = 0
  #execution: Execution | null = null
  /** Records up to here can be executed as far as they are gathered. */
  #end = 0
  #missing: Missing = new Map()
  /** What `missing` was found to be on disk, and what holds the keys that fence commands. */
  #loaded = new Map<string, Version | null>()

  constructor(parts: ApplyParts, batches: readonly Batch[], done: Done<readonly Outcomes[]>) {
    this.#parts = parts
    this.#records = batches.map(batch => {
      return { batch, commands: decode(batch, parts.version), from: 0, to: 0, keys: [], known: [] }
    })
    this.#done = done
    this.#gather()
  }

  /** True when all that the first commands touch is in memory: `run` may then answer inside the call. */
  get ready(): boolean {
    return this.#missing.size === 0
  }

  /** Something has been executed, and not all. */
  get halfway(): boolean {
    return this.#outcomes.length > 0 || this.#execution !== null
  }

  /** Executes all of it and answers. */
  run(): void {
    if (this.#missing.size > 0) this.#load()
    else this.#go()
  }

  #go(): void {
    do {
      const reason = this.#parts.ended()
      if (reason !== null) return this.#done(reason, [])
      this.#execute()
      if (this.#record === this.#records.length) return this.#done(null, this.#outcomes)
      if (this.#execution !== null && !this.#begin(this.#execution)) return
      this.#gather()
    } while (this.ready)
    this.#load()
  }

  /** Simple commands, as far as they are gathered. */
  #execute(): void {
    for (; this.#record < this.#end; this.#record++) {
      const decoded = this.#records[this.#record]!
      const { batch, commands } = decoded
      const execution = this.#execution ?? new Execution(this.#parts.table, batch)
      this.#execution = null
      if (commands === null) this.#outcomes.push(execution.refuse())
      else {
        execution.run(commands, decoded, this.#loaded)
        this.#command = decoded.to
        if (decoded.to < commands.length) {
          this.#execution = execution
          return
        }
        this.#outcomes.push(execution.finish())
      }
      this.#command = 0
    }
  }

  /** A command that looks for what it needs itself. False where it waits, and goes on later, or has failed. */
  #begin(execution: Execution): boolean {
    const { batch, commands } = this.#records[this.#record]!
    const number = this.#command++
    const staging = new Staging(this.#parts, batch, number)
    const steps = stepsOf(commands![number]!, staging)
    const step = (): boolean => {
      let next: ReturnType<Steps<Packed>['next']>
      try {
        next = steps.next()
      } catch (error) {
        if (error instanceof Refused) {
          execution.reject(number, error.code)
          return true
        }
        this.#done(asFault(error), [])
        return false
      }
      if (next.done === true) {
        execution.store(number, staging, next.value)
        return true
      }
      next.value(waited)
      return false
    }
    const waited = (error: Error | null): void => {
      const reason = error ?? this.#parts.ended()
      if (reason !== null) {
        // Closes what it has opened.
        steps.return(null)
        this.#done(reason, [])
      } else if (step()) {
        this.#gather()
        this.run()
      }
    }
    return step()
  }

  /** Gathers what the next commands touch, up to the first that is not simple. */
  #gather(): void {
    this.#missing = new Map()
    this.#loaded = new Map()
    this.#end = this.#record
    let from = this.#command
    while (this.#end < this.#records.length) {
      const decoded = this.#records[this.#end]!
      decoded.from = from
      this.#gatherRecord(decoded, this.#end)
      this.#end++
      if (decoded.commands !== null && decoded.to < decoded.commands.length) return
      from = 0
    }
  }

  #gatherRecord(decoded: Decoded, record: number): void {
    const { batch, commands, from } = decoded
    decoded.keys = []
    decoded.known = []
    decoded.to = from
    if (commands === null) return
    for (; decoded.to < commands.length; decoded.to++) {
      const skipped = batch.skip?.[decoded.to] === true
      const command = asSimple(commands[decoded.to]!)
      if (command === null && !skipped) return
      const key = command === null ? '' : keyText(command.key)
      const version = this.#parts.table.find(key)
      if (command !== null && !skipped) {
        if (version === undefined) this.#miss(key, command, record)
        if (command.op === 'put' || command.op === 'delete') this.#gatherFence(command.fencing?.key)
      }
      decoded.keys.push(key)
      decoded.known.push(version)
    }
  }

  #gatherFence(key: Uint8Array | undefined): void {
    if (key === undefined) return
    const text = keyText(key)
    const version = this.#parts.table.find(text)
    // Kept, because the table may let go of it while something else is read.
    if (version !== undefined) this.#loaded.set(text, version)
    else if (!this.#missing.has(text)) this.#missing.set(text, -1)
  }

  #miss(key: string, command: SimpleCommand, record: number): void {
    const known = this.#missing.get(key)
    if (known !== undefined && known !== null) return
    if (command.op !== 'put' && command.op !== 'delete') this.#missing.set(key, null)
    else this.#missing.set(key, mayAnswerEntry(command) ? record : -1)
  }

  /** Reads what is missing, and goes on. */
  #load(): void {
    const keys = Array.from(this.#missing.keys())
    const kept = new Map<number, number>()
    const take = (at: number, version: Version | null): boolean => {
      if (version !== null && !this.#keeps(version, this.#missing.get(keys[at]!) ?? -1, kept)) version.dropValue()
      this.#loaded.set(keys[at]!, version)
      return true
    }
    this.#parts.reader.read(keys, take, error => {
      if (error === null) this.#go()
      else this.#done(error, [])
    })
  }

  /**
   * Large values that no answer can carry are not kept: a record may touch thousands of them. What follows the record that
   * one is not kept for is gathered anew.
   */
  #keeps(version: Version, record: number, kept: Map<number, number>): boolean {
    if (record === -1) return version.length <= smallValueBytes
    const bytes = (kept.get(record) ?? 0) + version.length
    kept.set(record, bytes)
    if (bytes <= answerBytesMax || version.length <= smallValueBytes) return true
    this.#end = Math.min(this.#end, record + 1)
    return false
  }
}

/** Null where the record is malformed. */
function decode(batch: Batch, version: number): Decoded['commands'] {
  if (batch.kind === 'expiry') return expiry
  try {
    return readCommands(batch.commands, batch.count, version)
  } catch (error) {
    asFault(error)
    return null
  }
}
