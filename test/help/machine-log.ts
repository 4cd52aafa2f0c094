// A log for machines: sessions, records and blocks as a leader would have cut them, and a machine that counts its effects.
import { toHex, writeU64 } from '../../lib/base/bytes.ts'
import type { Done } from '../../lib/base/env.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Answer } from '../../lib/machine/answer.ts'
import { type CommandContext, fromMemoryMachine, type MemoryMachine } from '../../lib/machine/memory-machine.ts'
import { ReplicatedMachine, type ReplicatedMachineOptions } from '../../lib/machine/replicated-machine.ts'
import { sessionLimits } from '../../lib/machine/session-table.ts'
import { MemoryVault } from '../../lib/machine/vault.ts'
import type { Block, ChainedId } from '../../lib/raft/types.ts'
import { cutBlock } from '../../lib/record/block.ts'
import { pack } from '../../lib/record/pack.ts'
import { commandHeadBytes, draftRecord, recordKind, sessionIdBytes, writeCommandHead } from '../../lib/record/record.ts'
import { VirtualTime } from './virtual-time.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function textBytes(text: string): Uint8Array {
  return encoder.encode(text)
}

/** The id of a session opened at that cluster time. */
export function sessionOf(opened: number, name: number): Uint8Array {
  const id = new Uint8Array(sessionIdBytes)
  writeU64(id, 0, opened)
  writeU64(id, 10, name)
  return id
}

export interface CommandRecord {
  readonly session: Uint8Array
  readonly serial: number
  readonly commands: readonly string[]
  readonly floor?: number
  readonly notAfter?: number
}

export function commandDraft(record: CommandRecord): Uint8Array {
  const { session, serial, commands, floor = 0, notAfter = 0 } = record
  const body = pack(commands.map(textBytes))
  const draft = new Uint8Array(commandHeadBytes + body.length)
  draft.set(body, commandHeadBytes)
  writeCommandHead(draft, recordKind.command, { session, count: commands.length, serial, floor, notAfter }, 0)
  return draft
}

export function resolveDraft(session: Uint8Array, serials: readonly number[], floor = 0): Uint8Array {
  const draft = new Uint8Array(commandHeadBytes + 8 * serials.length)
  serials.forEach((serial, number) => writeU64(draft, commandHeadBytes + 8 * number, serial))
  writeCommandHead(draft, recordKind.resolve, { session, count: serials.length, serial: 0, floor, notAfter: 0 }, 0)
  return draft
}

export function noopDraft(): Uint8Array {
  return draftRecord(recordKind.noop, new Uint8Array(0))
}

export function expiryDraft(): Uint8Array {
  return draftRecord(recordKind.expiry, new Uint8Array(0))
}

/** Cuts blocks that follow each other. */
export class MachineLog {
  readonly blocks: Block[] = []
  #previous: ChainedId = { term: 1, index: 0, chain: 0 }

  /** One block, all stamped `time`. */
  cut(time: number, ...drafts: readonly Uint8Array[]): Block {
    const block = cutBlock(0, this.#previous.term, this.#previous, time, drafts)
    this.#previous = { term: block.term, index: block.first + block.count - 1, chain: block.chain }
    this.blocks.push(block)
    return block
  }

  /** Blocks from here on are of that term. */
  term(term: number): void {
    this.#previous = { ...this.#previous, term }
  }

  /** The blocks that hold anything above `index`. */
  above(index: number): Block[] {
    return this.blocks.filter(block => block.first + block.count - 1 > index)
  }
}

/**
 * Counts what it executes, by (session, serial). Commands: `plain`, `say:N` answers N bytes, `refuse` throws. Everything
 * else is refused as a command it cannot read.
 */
export class Tally implements MemoryMachine {
  effects = new Map<string, number>()
  order: string[] = []
  last: CommandContext | null = null

  apply(command: Uint8Array, context: CommandContext): Uint8Array | null {
    const text = decoder.decode(command)
    if (text === 'refuse') throw new StrettoError('CONDITION_FAILED', 'as asked')
    if (text !== 'plain' && !/^say:\d+$/.test(text)) throw new TypeError('not a command')
    const name = `${toHex(context.session)}:${context.serial}`
    this.effects.set(name, (this.effects.get(name) ?? 0) + 1)
    this.order.push(name)
    this.last = context
    return text === 'plain' ? null : new Uint8Array(Number(text.slice(4))).fill(this.order.length)
  }

  query(question: Uint8Array): Uint8Array {
    if (decoder.decode(question) !== 'order') throw new TypeError('not a question')
    return textBytes(this.order.join(' '))
  }

  save(): Uint8Array {
    return textBytes(JSON.stringify([[...this.effects], this.order]))
  }

  load(bytes: Uint8Array): void {
    const [effects, order] = JSON.parse(decoder.decode(bytes)) as [[string, number][], string[]]
    this.effects = new Map(effects)
    this.order = order
  }

  count(session: Uint8Array, serial: number): number {
    return this.effects.get(`${toHex(session)}:${serial}`) ?? 0
  }
}

/** A replica without Raft: a counting machine behind sessions, over a vault that outlives it. */
export class Replica {
  readonly time = new VirtualTime()
  readonly vault = new MemoryVault(this.time.env('vault'))
  readonly #options: ReplicatedMachineOptions
  tally = new Tally()
  machine: ReplicatedMachine

  constructor(options: ReplicatedMachineOptions = { versionMax: 1, sessions: sessionLimits }) {
    this.#options = options
    this.machine = this.#open()
  }

  /** Calls, and lets events happen until the answer is there. */
  call<T>(call: (done: Done<T>) => void): T {
    let answer: { readonly error: Error | null; readonly result: T } | null = null
    call((error, result) => {
      answer = { error, result }
    })
    if (answer !== null) throw new Error('answered inside the call')
    this.time.until(() => answer !== null)
    if (answer === null) throw new Error('never answered')
    const { error, result } = answer as { readonly error: Error | null; readonly result: T }
    if (error !== null) throw error
    return result
  }

  apply(...blocks: readonly Block[]): readonly Answer[] {
    return this.call(done => this.machine.apply(blocks, done))
  }

  flush(): void {
    this.call(done => this.machine.flush(done))
  }

  /** As after a crash: what was not flushed is gone. */
  restart(): void {
    this.tally = new Tally()
    this.machine = this.#open()
  }

  #open(): ReplicatedMachine {
    const inner = fromMemoryMachine(this.tally, this.vault, this.time.env('machine'))
    const machine = new ReplicatedMachine(inner, this.#options)
    this.call(done => machine.open(done))
    return machine
  }
}
