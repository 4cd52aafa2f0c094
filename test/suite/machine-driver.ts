// One machine of a suite at a time, driven with promises: records cut as a leader would, questions, flushes, snapshots.
import type { Test } from 'tap'
import type { Done } from '../../lib/base/env.ts'
import type { Batch, Outcomes, SnapshotSource, Source, StateMachine } from '../../lib/machine/machine.ts'
import type { Block, LogId } from '../../lib/raft/types.ts'
import { cutBlock } from '../../lib/record/block.ts'
import { blockHeaderBytes, commandHeadBytes, recordKind, writeCommandHead } from '../../lib/record/record.ts'

export interface MachineRig {
  /** A new machine over a place; one that it had before has been closed, or left as by a crash. */
  create(place?: string): StateMachine
  /** The machine ends as in a crash; where that cannot be played it is closed. */
  crash(machine: StateMachine): Promise<void>
  /** The packed commands of record `number`: each of them changes the state, and has an effect that the question shows. */
  commands(number: number): { readonly bytes: Uint8Array; readonly count: number }
  /** Bytes that are no commands of this machine. */
  readonly malformed: readonly Uint8Array[]
  /** Its answer differs after each command. */
  readonly question: Uint8Array
  /** A scan whose pages grow with each command. */
  readonly scan: Uint8Array
  /** Lets time pass until it holds. */
  until(condition: () => boolean): Promise<boolean>
  end(): Promise<void>
}

export class Driver {
  readonly #rig: MachineRig
  readonly #t: Test
  machine: StateMachine
  #index = 0

  constructor(t: Test, rig: MachineRig, place?: string) {
    this.#t = t
    this.#rig = rig
    this.machine = rig.create(place)
  }

  async call<T>(call: (done: Done<T>) => void): Promise<T> {
    const answers: { readonly error: Error | null; readonly result: T }[] = []
    call((error, result) => answers.push({ error, result }))
    this.#t.equal(answers.length, 0, 'nothing is answered inside the call')
    await this.#rig.until(() => answers.length > 0)
    const [answer] = answers
    if (answer === undefined) throw new Error('never answered')
    if (answer.error !== null) throw answer.error
    return answer.result
  }

  async open(): Promise<{ readonly durable: LogId; readonly sidecar: Uint8Array | null }> {
    const opened = await this.call<{ readonly durable: LogId; readonly sidecar: Uint8Array | null }>(done =>
      this.machine.open(done)
    )
    this.#index = opened.durable.index
    return opened
  }

  /** A new machine in the place of this one, which is closed in an orderly way. */
  async reopen(): Promise<{ readonly durable: LogId; readonly sidecar: Uint8Array | null }> {
    await this.call<void>(done => this.machine.close(done))
    this.machine = this.#rig.create()
    return await this.open()
  }

  get last(): LogId {
    return { term: 3, index: this.#index }
  }

  /** The batch of the record that comes next. */
  next(bytes: Uint8Array, count: number, skip: readonly boolean[] | null = null): Batch {
    const draft = new Uint8Array(commandHeadBytes + bytes.length)
    draft.set(bytes, commandHeadBytes)
    const head = { session: new Uint8Array(18), count, serial: this.#index * 100 + 1, floor: 0, notAfter: 0 }
    writeCommandHead(draft, recordKind.command, head, 0)
    const block: Block = cutBlock(0, 3, { term: 3, index: this.#index, chain: 0 }, 1000 + this.#index, [draft])
    this.#index++
    const at = blockHeaderBytes
    const commands = block.bytes.subarray(at + commandHeadBytes)
    return { index: this.#index, time: 1000 + this.#index, kind: 'command', commands, count, skip, block, at }
  }

  /** The batch of record `number` of the rig. */
  record(number: number): Batch {
    const { bytes, count } = this.#rig.commands(number)
    return this.next(bytes, count)
  }

  async apply(...batches: readonly Batch[]): Promise<readonly Outcomes[]> {
    return await this.call(done => this.machine.apply(batches, done))
  }

  async ask(): Promise<Uint8Array> {
    return new Uint8Array(await this.call<Uint8Array>(done => this.machine.query(this.#rig.question, done)))
  }

  async flush(sidecar: string): Promise<void> {
    await this.call<void>(done => this.machine.flush(this.last, new TextEncoder().encode(sidecar), done))
  }

  async pages(source: Source, bytesMax: number): Promise<Uint8Array[]> {
    const pages = []
    for (let last = false; !last; ) {
      const page = await this.call<{ readonly bytes: Uint8Array; readonly last: boolean }>(done => {
        source.page(bytesMax, done)
      })
      pages.push(new Uint8Array(page.bytes))
      last = page.last
    }
    source.close()
    return pages
  }

  /** The state as the last flush made it durable. */
  async freeze(): Promise<SnapshotSource> {
    const source = await this.call<SnapshotSource | null>(done => this.machine.snapshot(done))
    if (source === null) throw new Error('nothing was flushed')
    return source
  }

  async read(source: SnapshotSource, offset: number, bytesMax: number): Promise<Uint8Array> {
    return await this.call<Uint8Array>(done => source.read(offset, bytesMax, done))
  }

  /** All of it, in pieces of so many bytes. */
  async readAll(source: SnapshotSource, pieceBytes = 65_536): Promise<Uint8Array> {
    const pieces = []
    for (let at = 0; at < source.size; at += pieceBytes) pieces.push(await this.read(source, at, pieceBytes))
    return Buffer.concat(pieces)
  }

  /** Takes a snapshot in, in pieces of so many bytes. The machine is left as it is. */
  async restore(
    bytes: Uint8Array,
    pieceBytes = 65_536
  ): Promise<{ readonly last: LogId; readonly sidecar: Uint8Array }> {
    const sink = this.machine.restore()
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await this.call<void>(done => sink.write(bytes.subarray(at, at + pieceBytes), done))
    }
    return await this.call(done => sink.end(done))
  }

  async close(): Promise<void> {
    await this.call<void>(done => this.machine.close(done))
  }
}
