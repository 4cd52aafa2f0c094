// The store as the commands alone make it, and all that ever changed in it: what watches are judged by. No node sees it.
import type { Batch, Outcomes } from '../../machine/machine.ts'
import { commandCountMax } from '../../record/record.ts'
import type { Command, DeleteRangeCommand, Operation, PutCommand } from '../../wire/kv/commands.ts'
import { readCommands } from '../../wire/kv/read-commands.ts'
import { GhostLeases } from './ghost-leases.ts'
import { Violation } from './violation.ts'

/** Keys and values as latin1 text: one character a byte. */
export interface GhostEntry {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
}

export interface GhostChange {
  readonly key: string
  /** Null where it was deleted. */
  readonly entry: GhostEntry | null
  readonly previous: GhostEntry | null
}

export interface GhostRevision {
  readonly revision: number
  readonly changes: readonly GhostChange[]
  /** Leases fell due. */
  readonly expired: boolean
}

interface Stored {
  readonly key: string
  readonly value: string | null
}

export class GhostStore {
  /** By their revisions, from 2 on without a gap. */
  readonly revisions: GhostRevision[] = []
  readonly leases = new GhostLeases()
  readonly #entries = new Map<string, GhostEntry>()

  get revision(): number {
    return 1 + this.revisions.length
  }

  /** A record, in the order of the log, with what the first machine to execute it has answered. */
  execute({ index, time, kind, commands, count, skip }: Batch, { revision, each }: Outcomes): void {
    if (kind === 'expiry') {
      this.#deleteAll(this.leases.expire(time), true)
      this.#check('an expiry', revision)
      return
    }
    for (const [at, command] of commandsOf(commands, count).entries()) {
      const outcome = each === null ? null : each[at]
      if (skip?.[at] === true || (outcome?.status ?? 0) !== 0) continue
      this.#execute(command, index * commandCountMax + at, time)
      if (outcome !== null && outcome !== undefined) this.#check(command.op, outcome.revision)
    }
  }

  /** The entries as they were at a revision. */
  at(revision: number): Map<string, GhostEntry> {
    const entries = new Map<string, GhostEntry>()
    for (const { changes } of this.revisions.slice(0, revision - 1)) {
      for (const { key, entry } of changes) {
        if (entry === null) entries.delete(key)
        else entries.set(key, entry)
      }
    }
    return entries
  }

  /** Changes keys all at once; null deletes. Where nothing is changed there is no new revision. */
  add(values: readonly Stored[], expired = false): void {
    const modRevision = this.revision + 1
    const changes: GhostChange[] = []
    for (const { key, value } of values) {
      const previous = this.#entries.get(key) ?? null
      if (value === null && previous === null) continue
      const { createRevision = modRevision, version = 0 } = previous ?? {}
      const entry = value === null ? null : { key, value, createRevision, modRevision, version: version + 1 }
      if (entry === null) this.#entries.delete(key)
      else this.#entries.set(key, entry)
      changes.push({ key, entry, previous })
    }
    if (changes.length > 0) this.revisions.push({ revision: modRevision, changes, expired })
  }

  /** `id`: of a lease that it grants. */
  #execute(command: Command, id: number, time: number): void {
    switch (command.op) {
      case 'put':
        return this.#put(command, id, time)
      case 'delete':
        return this.#deleteAll([textOf(command.key)])
      case 'increment': {
        const key = textOf(command.key)
        return this.#store(key, String(Number(this.#entries.get(key)?.value ?? 0) + command.by))
      }
      case 'grant':
        return this.leases.grant(id, command.ttlMs, time)
      case 'renew':
        return this.leases.renew(command.leaseIds, time)
      case 'revoke':
        return this.#deleteAll(this.leases.revoke(command.leaseId))
      case 'deleteRange':
        return this.#deleteAll(this.#keysIn(command))
      case 'txn': {
        const stored = this.#storedBy(command)
        for (const { key } of stored) this.leases.move(key, 0)
        return this.add(stored)
      }
      default:
        return unknown(command.op)
    }
  }

  /** What the operations of a transaction without comparisons leave. */
  #storedBy(operation: Operation): readonly Stored[] {
    switch (operation.op) {
      case 'get':
      case 'range':
        return []
      case 'put':
        return [{ key: textOf(operation.key), value: textOf(operation.value) }]
      case 'delete':
        return [{ key: textOf(operation.key), value: null }]
      case 'deleteRange':
        return this.#keysIn(operation).map(key => ({ key, value: null }))
      case 'txn':
        if (operation.compares.length > 0) return unknown('a comparison')
        return operation.onTrue.flatMap(each => this.#storedBy(each))
      default:
        return unknown(operation.op)
    }
  }

  #keysIn({ from, to }: DeleteRangeCommand): string[] {
    const first = textOf(from)
    const last = to === null ? null : textOf(to)
    const keys = Array.from(this.#entries.keys()).filter(key => key >= first && (last === null || key < last))
    return keys.sort()
  }

  #check(what: string, revision: number): void {
    if (revision === this.revision) return
    throw new Violation('IA3', `${what} is answered with revision ${revision} instead of ${this.revision}`)
  }

  #put({ key, value, leaseId = 0, ttlMs = 0 }: PutCommand, id: number, time: number): void {
    const text = textOf(key)
    if (ttlMs !== 0) this.leases.grant(id, ttlMs, time, true)
    this.leases.move(text, ttlMs === 0 ? leaseId : id)
    this.#store(text, textOf(value))
  }

  #store(key: string, value: string): void {
    this.add([{ key, value }])
  }

  /** All of them at one revision. */
  #deleteAll(keys: readonly string[], expired = false): void {
    for (const key of keys) this.leases.move(key, 0)
    this.add(
      keys.map(key => ({ key, value: null })),
      expired
    )
  }
}

function unknown(what: string): never {
  throw new Violation('IX1', `the ghost of the store does not know what ${what} does`)
}

function commandsOf(bytes: Uint8Array, count: number): readonly Command[] {
  try {
    return readCommands(bytes, count)
  } catch {
    return []
  }
}

function textOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
