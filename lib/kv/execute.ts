// What each command does to the state, and what it answers: a function of the state, the record and nothing else.
import { assert } from '../base/assert.ts'
import { numberOfCode } from '../base/errors.ts'
import type { Batch, Outcome, Outcomes } from '../machine/machine.ts'
import { mix } from '../machine/state-hash.ts'
import { type Packed, pack } from '../record/pack.ts'
import { type DeleteCommand, type FirstCommand, type NumberCommand, type PutCommand } from '../wire/kv/commands.ts'
import type { Effect } from './generation.ts'
import type { MemoryTable } from './memory-table.ts'
import { packVersion, type Version } from './version.ts'

/**
 * The previous entries that the commands of one record may answer with. Counted is the value of each command with a
 * condition or a wish for the previous entry, whether it comes to that or not; beyond the bound a wish is TOO_LARGE and
 * a failed condition does not bring the entry.
 */
export const answerBytesMax = 4_194_304

const conditionFailed = numberOfCode('CONDITION_FAILED')
const badRequest = numberOfCode('BAD_REQUEST')
const tooLarge = numberOfCode('TOO_LARGE')

const deletedNone = pack([0, null])
const deletedOne = pack([1, null])

const integerPattern = /^(?:0|-?[1-9][0-9]*)$/
const integerLengthMax = 17

/** The key of a command, its number in the record, and what was there before. */
interface Target {
  readonly key: string
  readonly number: number
  /** The newest version, which may be a deletion; null where there never was one. */
  readonly known: Version | null
  /** The same, null for a deletion. */
  readonly previous: Version | null
}

/** May the command answer with the entry that was there before? */
export function mayAnswerEntry(command: FirstCommand): boolean {
  return command.op !== 'increment' && (command.previous || command.ifRevision !== null)
}

/** Executes the commands of one record. */
export class Execution {
  readonly #table: MemoryTable
  readonly #loaded: ReadonlyMap<string, Version | null>
  readonly #batch: Batch
  readonly #revisionBefore: number
  /** Null as long as every command has been executed, has changed something and has nothing to say. */
  #each: (Outcome | null)[] | null = null
  /** Null as long as every command has done what it says. */
  #effects: Effect[] | null = null
  #answerBytes = 0
  #first = 0
  /** What the commands changed: their outcomes do not tell what was there before, nor whether it was all there. */
  #digest = 0

  constructor(table: MemoryTable, loaded: ReadonlyMap<string, Version | null>, batch: Batch) {
    this.#table = table
    this.#loaded = loaded
    this.#batch = batch
    table.cause = batch.kind
    this.#revisionBefore = table.revision
  }

  /** `keys` are those of the commands as text; `known` is what the table had for them, undefined where `loaded` has it. */
  run(commands: readonly FirstCommand[], keys: readonly string[], known: readonly (Version | undefined)[]): Outcomes {
    const { skip, block } = this.#batch
    this.#table.active.pin(block)
    for (let number = 0; number < commands.length; number++) {
      if (skip?.[number] === true) {
        this.#say(number, null)
        this.#effect(number, 0)
        continue
      }
      this.#execute(commands[number]!, keys[number]!, known[number], number)
      if (this.#first === 0) this.#first = this.#table.revision
    }
    return this.#finish()
  }

  /** The record of a client that broke the language: nothing in it is executed, on any node. */
  refuse(): Outcomes {
    for (let number = 0; number < this.#batch.count; number++) {
      const skipped = this.#batch.skip?.[number] === true
      this.#say(number, skipped ? null : { status: badRequest, revision: this.#table.revision, answer: null })
    }
    this.#effects = []
    return this.#finish()
  }

  #finish(): Outcomes {
    const { index, count } = this.#batch
    if (this.#effects !== null && count > 0) {
      this.#table.active.addEffects({ index, revisionBefore: this.#revisionBefore, each: this.#effects })
    }
    const revision = this.#first === 0 ? this.#table.revision : this.#first
    return { revision, each: this.#each, digest: this.#digest }
  }

  #execute(command: FirstCommand, key: string, gathered: Version | undefined, number: number): void {
    let known: Version | null | undefined = gathered
    if (known === undefined || !known.newest) known = this.#table.find(key) ?? this.#loaded.get(key)
    assert(known !== undefined, 'what a command touches has been gathered')
    const target = { key, number, known, previous: known === null || known.deleted ? null : known }
    switch (command.op) {
      case 'put':
        return this.#put(command, target)
      case 'delete':
        return this.#delete(command, target)
      case 'increment':
        return this.#increment(command, target)
    }
  }

  #put(command: PutCommand, target: Target): void {
    const { value } = command
    const plain = command.ifRevision === null && !command.previous
    if (!plain && !this.#allowed(command, target)) return
    const answer = command.previous ? pack([packVersion(target.previous, command.key)]) : null
    const { bytes } = this.#batch.block
    assert(value.buffer === bytes.buffer, 'commands lie in their block')
    this.#store(target, bytes, value.byteOffset - bytes.byteOffset, value.length, 0)
    if (this.#each !== null || answer !== null)
      this.#say(target.number, { status: 0, revision: this.#table.revision, answer })
    if (this.#effects !== null) this.#effects.push(1)
  }

  #delete(command: DeleteCommand, target: Target): void {
    const { key, number, previous } = target
    if (!this.#allowed(command, target)) return
    if (previous === null) {
      this.#say(number, { status: 0, revision: this.#table.revision, answer: deletedNone })
      this.#effect(number, 0)
      return
    }
    const answer = command.previous ? pack([1, packVersion(previous, command.key)]) : deletedOne
    this.#digest = changeOf(this.#digest, key, previous, previous.length)
    this.#table.write(key, previous, this.#batch.index, number)
    this.#say(number, { status: 0, revision: this.#table.revision, answer })
    if (this.#effects !== null) this.#effects.push(1)
  }

  #increment(command: NumberCommand, target: Target): void {
    const { number, previous } = target
    const before = previous === null ? 0 : integerOf(previous)
    const after = before === null ? Number.NaN : before + command.by
    if (!Number.isSafeInteger(after)) return this.#refuse(number, badRequest, null)
    const text = Buffer.from(String(after), 'latin1')
    this.#store(target, text, 0, text.length, previous?.leaseId ?? 0)
    this.#say(number, { status: 0, revision: this.#table.revision, answer: pack([after]) })
    this.#effect(number, text)
  }

  /** False where the condition fails or the answer would be too large; the refusal is said then. */
  #allowed(command: PutCommand | DeleteCommand, target: Target): boolean {
    const { number, previous } = target
    if (mayAnswerEntry(command)) this.#answerBytes += previous?.length ?? 0
    const fits = this.#answerBytes <= answerBytesMax
    if (command.ifRevision !== null && command.ifRevision !== (previous?.modRevision ?? 0)) {
      this.#refuse(number, conditionFailed, fits ? [packVersion(previous, command.key)] : null)
      return false
    }
    if (command.previous && !fits) {
      this.#refuse(number, tooLarge, null)
      return false
    }
    return true
  }

  #store(target: Target, bytes: Uint8Array, at: number, length: number, leaseId: number): void {
    const { key, number, known, previous } = target
    const created = previous?.createRevision ?? 0
    const count = previous?.version ?? 0
    const version = this.#table.write(key, known, this.#batch.index, number)
    version.hold(bytes, at, length)
    version.createRevision = created === 0 ? version.modRevision : created
    version.version = count + 1
    version.leaseId = leaseId
    this.#digest = mix(mix(changeOf(this.#digest, key, version, length), leaseId), sampleOf(bytes, at, length))
  }

  #refuse(number: number, status: number, answer: Packed): void {
    this.#say(number, { status, revision: this.#table.revision, answer: answer === null ? null : pack(answer) })
    this.#effect(number, 0)
  }

  /** From the first command on that has something to say, every command has a place of its own. */
  #say(number: number, outcome: Outcome | null): void {
    if (this.#each === null) {
      this.#each = []
      for (let before = 0; before < number; before++) {
        this.#each.push({ status: 0, revision: this.#revisionBefore + 1 + before, answer: null })
      }
    }
    this.#each.push(outcome)
  }

  #effect(number: number, effect: Effect): void {
    this.#effects ??= Array.from({ length: number }, () => 1 as const)
    this.#effects.push(effect)
  }
}

/** Revision of creation and number of writes come from what was there before: an entry that was lost or altered shows here. */
function changeOf(digest: number, key: string, { createRevision, version }: Version, length: number): number {
  return mix(mix(mix(mix(digest, createRevision), version), length), endOf(key))
}

/** A few bytes of a value: a longer look at what the log's own CRC covers would cost more than it could find. */
function sampleOf(bytes: Uint8Array, at: number, length: number): number {
  if (length === 0) return 0
  return bytes[at]! | (bytes[at + (length >>> 1)]! << 8) | (bytes[at + length - 1]! << 16)
}

function endOf(key: string): number {
  const { length } = key
  return length | (key.charCodeAt(length - 1) << 16) | (key.charCodeAt(length - 2) << 24)
}

/** The safe integer that the value spells in decimal without needless signs; null for any other value. */
function integerOf(version: Version): number | null {
  if (version.length > integerLengthMax) return null
  const text = Buffer.from(version.value).toString('latin1')
  const value = Number(text)
  return integerPattern.test(text) && Number.isSafeInteger(value) ? value : null
}
