// A machine for tests: adds numbers to named counters, and remembers every command it has executed.
import type { MemoryMachine } from '../../lib/machine/memory-machine.ts'
import { pack } from '../../lib/record/pack.ts'
import { commandHeadBytes, recordKind, writeCommandHead } from '../../lib/record/record.ts'

/** A command is a text; executing it appends it to the list, and answers the list's length. */
export class Tally implements MemoryMachine {
  #done: string[] = []

  apply(command: Uint8Array): Uint8Array {
    this.#done.push(Buffer.from(command).toString())
    return Buffer.from(String(this.#done.length))
  }

  query(): Uint8Array {
    return Buffer.from(JSON.stringify(this.#done))
  }

  save(): Uint8Array {
    return Buffer.from(JSON.stringify(this.#done))
  }

  load(bytes: Uint8Array): void {
    this.#done = JSON.parse(Buffer.from(bytes).toString()) as string[]
  }
}

export interface DraftOptions {
  /** Names the session; its opening time is 0. */
  readonly session: number
  readonly serial: number
  readonly floor?: number
  readonly number?: number
  readonly patienceMs?: number
}

/** A draft record with these commands. */
export function draftOf(commands: readonly string[], options: DraftOptions): Uint8Array {
  const { session, serial, floor = 0, number = 0, patienceMs = 5_000 } = options
  const draft = Uint8Array.from(
    pack(
      commands.map(command => Buffer.from(command)),
      commandHeadBytes
    )
  )
  const id = new Uint8Array(18)
  id[7] = 1
  id[17] = session
  writeCommandHead(
    draft,
    recordKind.command,
    { session: id, count: commands.length, serial, floor, notAfter: 0 },
    patienceMs
  )
  new DataView(draft.buffer).setUint32(12, number)
  return draft
}
