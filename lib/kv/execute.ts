// What each command does to the state, and what it answers: a function of the state, the record and nothing else.
//
// A command of one key is executed here, from what has been gathered for it. All others (`steps.ts`) look for what they need
// themselves, stage what they change, and come here to have it stored.
import { assert } from '../base/assert.ts'
import { type ErrorCode, numberOfCode } from '../base/errors.ts'
import type { Batch, Outcome, Outcomes } from '../machine/machine.ts'
import { mix } from '../machine/state-hash.ts'
import { type Packed, pack } from '../record/pack.ts'
import type { Command, DeleteCommand, NumberCommand, PutCommand } from '../wire/kv/commands.ts'
import type { Effect } from './generation.ts'
import { leaseIdAt } from './leases/staged-leases.ts'
import type { MemoryTable } from './memory-table.ts'
import { numberAfter, numberText, standsAlready } from './numbers.ts'
import type { Staging } from './staging.ts'
import type { ExpireCommand } from './steps.ts'
import { keyText, packVersion, presentOf, type Version } from './version.ts'

/**
 * The previous entries that the commands of one record may answer with. Counted is the value of each command with a
 * condition or a wish for the previous entry, whether it comes to that or not; beyond the bound a wish is TOO_LARGE and
 * a failed condition does not bring the entry.
 */
export const answerBytesMax = 4_194_304

const fenced = numberOfCode('FENCED')
const conditionFailed = numberOfCode('CONDITION_FAILED')
const leaseNotFound = numberOfCode('LEASE_NOT_FOUND')
const badRequest = numberOfCode('BAD_REQUEST')
const tooLarge = numberOfCode('TOO_LARGE')

const deletedNone = pack([0, null])
const deletedOne = pack([1, null])

/** Executed from what has been gathered for it. */
export type SimpleCommand = PutCommand | DeleteCommand | NumberCommand

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
export function mayAnswerEntry(command: SimpleCommand): boolean {
  return (command.op === 'put' || command.op === 'delete') && (command.previous || command.ifRevision !== null)
}

/** Null for a command that looks for what it needs itself. */
export function asSimple(command: Command | ExpireCommand): SimpleCommand | null {
  switch (command.op) {
    case 'put':
    case 'delete':
    case 'increment':
    case 'min':
    case 'max':
      return command
    default:
      return null
  }
}

/** What has been gathered for the commands of a record from number `from` up to `to`, all of them simple or to be skipped. */
export interface Gathered {
  readonly from: number
  readonly to: number
  /** Of each its key as text. */
  readonly keys: readonly string[]
  /** What the table had for each key; undefined where only the disk knew. */
  readonly known: readonly (Version | undefined)[]
}

/** What was found on disk. */
type Loaded = ReadonlyMap<string, Version | null>

/** Executes the commands of one record. */
export class Execution {
  readonly #table: MemoryTable
  readonly #batch: Batch
  readonly #revisionBefore: number
  #loaded: Loaded = new Map()
  /** Null as long as every command has been executed, has changed something and has nothing to say. */
  #each: (Outcome | null)[] | null = null
  /** Null as long as every command has done what it says. */
  #effects: Effect[] | null = null
  #answerBytes = 0
  #first = 0
  /** What the commands changed: their outcomes do not tell what was there before, nor whether it was all there. */
  #digest = 0

  constructor(table: MemoryTable, batch: Batch) {
    this.#table = table
    this.#batch = batch
    table.cause = batch.kind
    this.#revisionBefore = table.revision
    table.active.pin(batch.block)
  }

  run(commands: readonly (Command | ExpireCommand)[], { from, to, keys, known }: Gathered, loaded: Loaded): void {
    const { skip } = this.#batch
    this.#loaded = loaded
    for (let number = from; number < to; number++) {
      if (skip?.[number] === true) {
        this.#say(number, null)
        this.#effect(number, 0)
        continue
      }
      this.#execute(commands[number] as SimpleCommand, keys[number - from]!, known[number - from], number)
      if (this.#first === 0) this.#first = this.#table.revision
    }
  }

  /** A command that has staged what it changes: all of that gets one revision. */
  store(number: number, staging: Staging, answer: Packed): void {
    const { changes, leases } = staging
    this.#digest = mix(this.#digest, leases.store())
    if (changes.size > 0) this.#table.revision++
    this.#table.leases.together(() => {
      for (const { key, known, version } of changes.values()) {
        const target = { key, number, known, previous: presentOf(known) }
        if (version.deleted) this.#remove(target)
        else this.#write(target, version.bytes, version.at, version.length, version.leaseId)
      }
    })
    this.#say(number, { status: 0, revision: this.#table.revision, answer: pack(answer) })
    this.#effect(number, staging.effect)
    if (this.#first === 0) this.#first = this.#table.revision
  }

  /** A command that cannot do what it says: it has changed nothing. */
  reject(number: number, code: ErrorCode): void {
    this.#refuse(number, numberOfCode(code), null)
    if (this.#first === 0) this.#first = this.#table.revision
  }

  /** The record of a client that broke the language: nothing in it is executed, on any node. */
  refuse(): Outcomes {
    for (let number = 0; number < this.#batch.count; number++) {
      const skipped = this.#batch.skip?.[number] === true
      this.#say(number, skipped ? null : { status: badRequest, revision: this.#table.revision, answer: null })
    }
    this.#effects = []
    return this.finish()
  }

  /** All commands have been executed. */
  finish(): Outcomes {
    const { index, kind, count } = this.#batch
    if (this.#effects !== null && (count > 0 || kind === 'expiry')) {
      this.#table.active.addEffects({ index, revisionBefore: this.#revisionBefore, each: this.#effects })
    }
    const revision = this.#first === 0 ? this.#table.revision : this.#first
    return { revision, each: kind === 'expiry' ? null : this.#each, digest: this.#digest }
  }

  #execute(command: SimpleCommand, key: string, gathered: Version | undefined, number: number): void {
    let known: Version | null | undefined = gathered
    if (known === undefined || !known.newest) known = this.#table.find(key) ?? this.#loaded.get(key)
    assert(known !== undefined, 'what a command touches has been gathered')
    const target = { key, number, known, previous: presentOf(known) }
    switch (command.op) {
      case 'put':
        return this.#put(command, target)
      case 'delete':
        return this.#delete(command, target)
      default:
        return this.#number(command, target)
    }
  }

  #put(command: PutCommand, target: Target): void {
    const { value } = command
    const plain = command.ifRevision === null && !command.previous && command.fencing == null
    if (!plain && !this.#allowed(command, target)) return
    const { leaseId = 0, ttlMs = 0, previous } = command
    const { leases } = this.#table
    if (leaseId !== 0 && leases.find(leaseId) === undefined) return this.#refuse(target.number, leaseNotFound, null)
    const before = previous ? packVersion(target.previous, command.key) : null
    const own = ttlMs === 0 ? 0 : leaseIdAt(this.#batch.index, target.number)
    if (own !== 0) leases.grant(own, ttlMs, this.#batch.time, true)
    const answer = own !== 0 ? pack([before, own]) : previous ? pack([before]) : null
    const { bytes } = this.#batch.block
    assert(value.buffer === bytes.buffer, 'commands lie in their block')
    this.#table.revision++
    this.#write(target, bytes, value.byteOffset - bytes.byteOffset, value.length, leaseId + own)
    if (this.#each !== null || answer !== null)
      this.#say(target.number, { status: 0, revision: this.#table.revision, answer })
    if (this.#effects !== null) this.#effects.push(1)
  }

  #delete(command: DeleteCommand, target: Target): void {
    const { number, previous } = target
    if (!this.#allowed(command, target)) return
    if (previous === null) {
      this.#say(number, { status: 0, revision: this.#table.revision, answer: deletedNone })
      this.#effect(number, 0)
      return
    }
    const answer = command.previous ? pack([1, packVersion(previous, command.key)]) : deletedOne
    this.#table.revision++
    this.#remove(target)
    this.#say(number, { status: 0, revision: this.#table.revision, answer })
    if (this.#effects !== null) this.#effects.push(1)
  }

  #number(command: NumberCommand, target: Target): void {
    const { number, previous } = target
    const after = numberAfter(command, previous)
    if (after === null) return this.#refuse(number, badRequest, null)
    if (standsAlready(command, previous, after)) {
      this.#say(number, { status: 0, revision: this.#table.revision, answer: pack([after]) })
      this.#effect(number, 0)
      return
    }
    const text = numberText(after)
    this.#table.revision++
    this.#write(target, text, 0, text.length, previous?.leaseId ?? 0)
    this.#say(number, { status: 0, revision: this.#table.revision, answer: pack([after]) })
    this.#effect(number, text)
  }

  /** False where a condition fails or the answer would be too large; the refusal is said then. */
  #allowed(command: PutCommand | DeleteCommand, target: Target): boolean {
    const { number, previous } = target
    const { fencing = null } = command
    if (mayAnswerEntry(command)) this.#answerBytes += previous?.length ?? 0
    const fits = this.#answerBytes <= answerBytesMax
    if (fencing !== null) {
      const key = keyText(fencing.key)
      const holder = presentOf(this.#table.find(key) ?? this.#loaded.get(key) ?? null)
      if (holder?.createRevision !== fencing.token) {
        this.#refuse(number, fenced, null)
        return false
      }
    }
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

  /** Stores a value at the present revision of the store. */
  #write(target: Target, bytes: Uint8Array, at: number, length: number, leaseId: number): void {
    const { key, number, known, previous } = target
    const created = previous?.createRevision ?? 0
    const count = previous?.version ?? 0
    this.#table.leases.move(key, previous?.leaseId ?? 0, leaseId)
    const version = this.#table.write(key, known, this.#batch.index, number)
    version.hold(bytes, at, length)
    version.createRevision = created === 0 ? version.modRevision : created
    version.version = count + 1
    version.leaseId = leaseId
    this.#digest = mix(mix(changeOf(this.#digest, key, version, length), leaseId), sampleOf(bytes, at, length))
  }

  /** Deletes what is there, at the present revision of the store. */
  #remove({ key, number, previous }: Target): void {
    assert(previous !== null, 'what is deleted is there')
    this.#digest = changeOf(this.#digest, key, previous, previous.length)
    this.#table.leases.move(key, previous.leaseId, 0)
    this.#table.write(key, previous, this.#batch.index, number)
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
