// The store as the commands alone make it, and all that ever changed in it: what watches are judged by. No node sees it.
import type { Batch, Outcome, Outcomes } from '../../machine/machine.ts'
import type { Command } from '../../wire/kv/commands.ts'
import { readCommands } from '../../wire/kv/read-commands.ts'
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
}

export class GhostStore {
  /** By their revisions, from 2 on without a gap. */
  readonly revisions: GhostRevision[] = []
  readonly #entries = new Map<string, GhostEntry>()

  get revision(): number {
    return 1 + this.revisions.length
  }

  /** A record, in the order of the log, with what the first machine to execute it has answered. */
  execute({ kind, commands, count, skip }: Batch, { each }: Outcomes): void {
    if (kind !== 'command') return
    for (const [at, command] of commandsOf(commands, count).entries()) {
      const outcome = each === null ? null : each[at]
      if (skip?.[at] !== true && (outcome?.status ?? 0) === 0) this.#execute(command, outcome ?? null)
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

  #execute(command: Command, outcome: Outcome | null): void {
    const { op } = command
    if (op === 'put') this.#store(textOf(command.key), textOf(command.value))
    else if (op === 'delete') this.#delete(textOf(command.key))
    else if (op === 'increment') {
      const key = textOf(command.key)
      this.#store(key, String(Number(this.#entries.get(key)?.value ?? 0) + command.by))
    } else throw new Violation('IX1', `the ghost of the store does not know what ${op} does`)
    if (outcome !== null && outcome.revision !== this.revision) {
      throw new Violation('IA3', `${op} is answered with revision ${outcome.revision} instead of ${this.revision}`)
    }
  }

  #store(key: string, value: string): void {
    const previous = this.#entries.get(key) ?? null
    const modRevision = this.revision + 1
    const { createRevision = modRevision, version = 0 } = previous ?? {}
    const entry = { key, value, createRevision, modRevision, version: version + 1 }
    this.#entries.set(key, entry)
    this.revisions.push({ revision: modRevision, changes: [{ key, entry, previous }] })
  }

  #delete(key: string): void {
    const previous = this.#entries.get(key)
    if (previous === undefined) return
    this.#entries.delete(key)
    this.revisions.push({ revision: this.revision + 1, changes: [{ key, entry: null, previous }] })
  }
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
