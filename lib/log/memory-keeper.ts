// Keeps what a node must not forget: writes changes of it into the two slots, in order, and lets nothing be lost halfway.
import { assert } from '../base/assert.ts'
import type { Cancel, Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { ChainedId, HardState, NodeId } from '../raft/types.ts'
import { OpenError, openFault, refuse, writeFault } from './faults.ts'
import { readMemory, slotBytesMax, writeMark, writeMemory } from './memory.ts'
import type { Memory, Slots } from './slots.ts'

/** A mark is synced this long after it was first written, so that with a slow disk too it is durable within 50 ms. */
const markSyncMs = 30

const what = 'the memory of this node'

/** What changes durably, at once. */
export interface MemoryChange {
  readonly clusterId?: string
  readonly hard?: HardState
  readonly mark?: ChainedId
}

/**
 * Reads the memory of a node, or makes one where none was ever written, and counts the start: the boot number is durable
 * when `done` comes. `identity.incarnation` is used for a new one only.
 * Errors: OpenError `amnesia`, `foreign-id`, `newer-format`, `io`.
 */
export function openMemory(
  slots: Slots,
  env: Env,
  identity: { readonly id: NodeId; readonly incarnation: string },
  done: Done<MemoryKeeper>
): void {
  slots.read((error, pair) => {
    if (error) return refuse(done, openFault(what, error))
    const start = choose(pair, identity)
    if (start instanceof OpenError) return slots.close(() => refuse(done, start))
    const keeper = new MemoryKeeper(slots, env, start)
    keeper.save({}, error => (error ? refuse(done, error) : done(null, keeper)))
  })
}

interface Start {
  readonly memory: Memory
  readonly sequence: number
  /** The slot to write first: not the one that was believed. */
  readonly slot: 0 | 1
}

function choose(
  pair: readonly [Uint8Array | null, Uint8Array | null],
  identity: { readonly id: NodeId; readonly incarnation: string }
): Start | OpenError {
  const first = pair[0] === null ? null : readMemory(pair[0])
  const second = pair[1] === null ? null : readMemory(pair[1])
  if (first === 'newer' || second === 'newer') {
    return new OpenError('newer-format', `${what} was written by a newer version of stretto`)
  }
  const chosen = second !== null && (first === null || second.sequence > first.sequence) ? second : first
  if (chosen === null) {
    // Making a memory ends with both slots written, so one that never was shows a start that was broken off: no promise.
    if (pair[0] !== null && pair[1] !== null) {
      return new OpenError('amnesia', `${what} cannot be read: it may return only as a new member (members replace)`)
    }
    const hard = { term: 0, vote: null }
    const memory = { ...identity, clusterId: null, boot: 1, hard, mark: { index: 0, term: 0, chain: 0 } }
    return { memory, sequence: 0, slot: 0 }
  }
  const { memory, sequence } = chosen
  if (memory.id !== identity.id) {
    return new OpenError('foreign-id', `the data directory belongs to node ${memory.id}, not to ${identity.id}`)
  }
  return { memory: { ...memory, boot: memory.boot + 1 }, sequence, slot: chosen === first ? 1 : 0 }
}

/** One per life of a node. The first error of a write is its last: all that waits, and all that comes, gets it. */
export class MemoryKeeper {
  readonly #slots: Slots
  readonly #env: Env
  /** As last written; only a save changes more of it than the mark. */
  readonly #slot = new Uint8Array(slotBytesMax)
  #memory: Memory
  #sequence: number
  /**
   * Where to write. It changes with each synced write and with no other: the slot that was last synced is left alone
   * until the other is, or a power cut might take both.
   */
  #target: 0 | 1
  #saves: Done[] = []
  #unwritten = false
  /** A synced write is owed although nobody waits for it. */
  #due = false
  #timer: Cancel | null = null
  #writing = false
  #closing: Done | null = null
  #closed = false
  #fault: StrettoError | null = null
  /** Called once with the error that ended this life, also when nobody was waiting. */
  onFault: ((error: StrettoError) => void) | null = null

  constructor(slots: Slots, env: Env, start: Start) {
    this.#slots = slots
    this.#env = env
    this.#memory = start.memory
    this.#sequence = start.sequence
    this.#target = start.slot
  }

  /** As it was last changed, durable or not. */
  get memory(): Memory {
    return this.#memory
  }

  /** Changes and syncs; `done` means durable. Marks are lowered by no other way. */
  save(change: MemoryChange, done: Done): void {
    if (this.#refused(done)) return
    this.#memory = { ...this.#memory, ...change }
    this.#saves.push(done)
    this.#pump()
  }

  /** Raises the mark: handed to the system at once, synced within 50 ms, nobody waits. `mark` is durable in the log. */
  promise(mark: ChainedId): void {
    if (this.#fault !== null || this.#closing !== null) return
    const now = this.#memory.mark
    if (now.index === mark.index && now.term === mark.term && now.chain === mark.chain) return
    this.#memory = { ...this.#memory, mark }
    this.#unwritten = true
    this.#arm()
    this.#pump()
  }

  /** Writes what is not yet synced and closes the slots. */
  close(done: Done): void {
    assert(this.#closing === null, 'the memory is closed once')
    this.#closing = done
    if (this.#timer !== null) this.#due = true
    this.#pump()
  }

  #refused(done: Done): boolean {
    const stopped = this.#closing === null ? null : new StrettoError('STOPPED', 'the log is closed')
    const error = this.#fault ?? stopped
    if (error !== null) this.#env.soon(() => done(error))
    return error !== null
  }

  #pump(): void {
    if (this.#writing) return
    const sync = this.#saves.length > 0 || this.#due
    if (this.#fault !== null || (!sync && !this.#unwritten)) {
      if (this.#closing !== null && !this.#closed) this.#end(this.#closing)
      return
    }
    if (sync) this.#disarm()
    const saves = this.#saves
    this.#saves = []
    this.#unwritten = false
    this.#writing = true
    this.#sequence++
    if (saves.length > 0) writeMemory(this.#slot, this.#memory, this.#sequence)
    else writeMark(this.#slot, this.#memory.mark, this.#sequence)
    this.#slots.write(this.#target, this.#slot, sync, error => {
      this.#writing = false
      if (error) return this.#fail(error, saves)
      if (sync) this.#target = this.#target === 0 ? 1 : 0
      // What was saved belongs into both slots, lest the damage of one bring back an older vote.
      if (saves.length > 0) this.#arm()
      for (const done of saves) done(null)
      this.#pump()
    })
  }

  #arm(): void {
    if (this.#timer !== null) return
    this.#timer = this.#env.after(markSyncMs, () => {
      this.#timer = null
      this.#due = true
      this.#pump()
    })
  }

  #disarm(): void {
    this.#timer?.()
    this.#timer = null
    this.#due = false
  }

  #fail(error: Error, saves: readonly Done[]): void {
    this.#disarm()
    const fault = writeFault(what, error)
    this.#fault = fault
    const waiting = [...saves, ...this.#saves]
    this.#saves = []
    for (const done of waiting) done(fault)
    this.onFault?.(fault)
    this.#pump()
  }

  #end(done: Done): void {
    this.#closed = true
    this.#disarm()
    this.#slots.close(error => done(error))
  }
}
