// A machine of an application as its own model: what it answers one by one is what clients may be told.
import { AssertionError } from '../../base/assert.ts'
import { equalBytes } from '../../base/bytes.ts'
import type { CommandContext, MemoryMachine } from '../../machine/memory-machine.ts'
import { sessionIdBytes } from '../../record/record.ts'
import type { Model } from '../history/sequential-model.ts'

export interface MachineInput {
  readonly kind: 'command' | 'query'
  readonly bytes: Uint8Array
  /** Where the machine looks at it. Left out: index, time and serial are 0, and so is the session. */
  readonly context?: CommandContext
}

/** What the machine answered; null for nothing, `refused` for a throw. */
export type MachineAnswer = Uint8Array | null | 'refused'

/** What the machine has saved. */
export interface SavedState {
  readonly bytes: Uint8Array
  /** The bytes as text. */
  readonly key: string
}

const nowhere: CommandContext = { index: 0, time: 0, session: new Uint8Array(sessionIdBytes), serial: 0 }

/**
 * Equal states have to be saved as equal bytes: where they are not, the verdict is the same and comes later. Machines whose
 * answers depend on index, time or session need them in the inputs.
 */
export function machineModel(create: () => MemoryMachine): Model<SavedState, MachineInput, MachineAnswer> {
  return new MachineModel(create)
}

class MachineModel implements Model<SavedState, MachineInput, MachineAnswer> {
  readonly #create: () => MemoryMachine
  #machine: MemoryMachine
  /** The state that the machine is in, so that going on from there needs no loading; null: nobody knows. */
  #at: SavedState | null = null

  constructor(create: () => MemoryMachine) {
    this.#create = create
    this.#machine = create()
  }

  init(): SavedState {
    this.#machine = this.#create()
    this.#at = savedState(this.#machine)
    return this.#at
  }

  step(
    state: SavedState,
    { kind, bytes, context }: MachineInput,
    output: MachineAnswer | undefined
  ): SavedState | undefined {
    if (this.#at !== state) {
      this.#machine = this.#create()
      this.#machine.load(new Uint8Array(state.bytes))
      this.#at = state
    }
    // A copy, which the machine may keep or change.
    const input = new Uint8Array(bytes)
    if (kind === 'query') {
      const fits =
        output === undefined ||
        isSame(
          answerOf(() => this.#machine.query(input)),
          output
        )
      return fits ? state : undefined
    }
    const answer = answerOf(() => this.#machine.apply(input, context ?? nowhere) ?? null)
    if (answer === 'refused') return output === undefined || output === answer ? state : undefined
    this.#at = null
    if (output !== undefined && !isSame(answer, output)) return undefined
    const after = savedState(this.#machine)
    this.#at = after.key === state.key ? state : after
    return this.#at
  }

  keyOf({ key }: SavedState): string {
    return key
  }

  reads({ kind }: MachineInput): boolean {
    return kind === 'query'
  }

  kindOf({ bytes, context = nowhere }: MachineInput): string {
    const { index, time, session, serial } = context
    return `${index} ${time} ${serial} ${textOf(session)} ${textOf(bytes)}`
  }
}

function savedState(machine: MemoryMachine): SavedState {
  const bytes = machine.save()
  return { bytes, key: textOf(bytes) }
}

/** A throw refuses, and changes nothing; but a broken invariant is no refusal. */
function answerOf(ask: () => Uint8Array | null): MachineAnswer {
  try {
    return ask()
  } catch (error) {
    if (error instanceof AssertionError) throw error
    return 'refused'
  }
}

function isSame(answer: MachineAnswer, output: MachineAnswer): boolean {
  if (answer instanceof Uint8Array && output instanceof Uint8Array) return equalBytes(answer, output)
  return answer === output
}

/** A character for each byte. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}
