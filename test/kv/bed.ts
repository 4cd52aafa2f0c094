// What the tests of the key-value machine share: a temporary LevelDB, records cut into blocks, and promises for answers.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClassicLevel } from 'classic-level'
import type { Done, Env } from '../../lib/base/env.ts'
import { KvMachine, type KvOptions } from '../../lib/kv/kv-machine.ts'
import { type StateLevel, stateLevel } from '../../lib/kv/state-level.ts'
import type { Batch, Outcomes, Source, StateMachine } from '../../lib/machine/machine.ts'
import type { Block, ChainedId, LogId } from '../../lib/raft/types.ts'
import { cutBlock, recordOffsets } from '../../lib/record/block.ts'
import { type Packed, pack, unpack } from '../../lib/record/pack.ts'
import { commandHeadBytes, draftRecord, recordKind, writeCommandHead } from '../../lib/record/record.ts'
import { type Command, type FirstCommand, kvVersionMax, packCommand } from '../../lib/wire/kv/commands.ts'
import { packRequest, packScan, type Request, type Scan } from '../../lib/wire/kv/questions.ts'
import type { MachineRig } from '../suite/machine-driver.ts'

export const env: Env = {
  now: () => performance.now(),
  after: (ms, wake) => {
    const timer = setTimeout(wake, ms)
    return () => clearTimeout(timer)
  },
  soon: turn => {
    setImmediate(turn)
  },
  random: below => Math.floor(Math.random() * below)
}

/** A folder of its own, removed by `remove`. */
export function temporaryFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'stretto-kv-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export function promised<T>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error === null ? resolve(result) : reject(error)))
  })
}

export interface RecordOptions {
  readonly skip?: readonly boolean[]
  readonly expiry?: boolean
}

/** Cuts records as a leader would, each of them one batch, one block a call. */
export class Records {
  #previous: ChainedId
  #time = 1000

  constructor(previous: ChainedId = { term: 1, index: 0, chain: 0 }) {
    this.#previous = previous
  }

  get last(): LogId {
    return { term: this.#previous.term, index: this.#previous.index }
  }

  /** One block of records; the commands are packed here, well-formed or not. */
  cut(records: readonly (readonly Packed[])[], options: RecordOptions = {}): Batch[] {
    const drafts = records.map(commands => {
      if (options.expiry === true) return draftRecord(recordKind.expiry, new Uint8Array(0))
      const packed = pack(commands)
      const draft = new Uint8Array(commandHeadBytes + packed.length)
      const head = { session: new Uint8Array(18), count: commands.length, serial: 1, floor: 0, notAfter: 0 }
      writeCommandHead(draft, recordKind.command, head, 0)
      draft.set(packed, commandHeadBytes)
      return draft
    })
    const block = cutBlock(0, this.#previous.term, this.#previous, this.#time++, drafts)
    this.#previous = { term: block.term, index: block.first + block.count - 1, chain: block.chain }
    return batchesOf(block, records, options)
  }

  commands(commands: readonly Command[], options: RecordOptions = {}): Batch {
    return this.cut([commands.map(packCommand)], options)[0]!
  }
}

function batchesOf(block: Block, records: readonly (readonly Packed[])[], options: RecordOptions): Batch[] {
  const offsets = recordOffsets(block)
  return records.map((commands, number) => ({
    index: block.first + number,
    time: 1000,
    kind: options.expiry === true ? 'expiry' : 'command',
    commands:
      options.expiry === true ? new Uint8Array(0) : block.bytes.subarray(offsets[number]! + 76, offsets[number + 1]),
    count: options.expiry === true ? 0 : commands.length,
    skip: options.skip ?? null,
    block,
    at: offsets[number]!
  }))
}

/** A machine over a folder, with promises. */
export class Bed {
  readonly level: ClassicLevel<Uint8Array, Uint8Array>
  readonly machine: KvMachine
  opened: { readonly durable: LogId; readonly sidecar: Uint8Array | null } | null = null

  constructor(path: string, options?: KvOptions, level = stateLevel(path)) {
    this.level = level
    this.machine = new KvMachine(level, env, options)
  }

  async open(): Promise<this> {
    this.opened = await promised(done => this.machine.open(done))
    this.machine.version(kvVersionMax)
    return this
  }

  apply(...batches: readonly Batch[]): Promise<readonly Outcomes[]> {
    return promised(done => this.machine.apply(batches, done))
  }

  flush(upTo: LogId, sidecar: Uint8Array = new Uint8Array(0)): Promise<void> {
    return promised(done => this.machine.flush(upTo, sidecar, done))
  }

  async ask(...requests: readonly Request[]): Promise<readonly Packed[]> {
    const bytes = pack(requests.map(packRequest))
    return unpack(await promised<Uint8Array>(done => this.machine.query(bytes, done))) as readonly Packed[]
  }

  async get(key: string, atRevision = 0): Promise<Plain | null> {
    const [, entry] = await this.ask({ op: 'get', key: bytes(key), atRevision })
    return plain(entry)
  }

  scan(scan: Partial<Scan>): Source {
    const whole = { from: bytes(''), to: null, limit: 0, reverse: false, keysOnly: false, atRevision: 0, ...scan }
    return this.machine.scan(packScan(whole))
  }

  async all(scan: Partial<Scan>, bytesMax = 65_536): Promise<Plain[]> {
    return (await readAll(this.scan(scan), bytesMax)).entries
  }

  close(): Promise<void> {
    return promised(done => this.machine.close(done))
  }
}

export interface KvRigParts {
  readonly level: (place: string) => StateLevel
  readonly env: Env
  /** What a crash does to the disk, where it can be played. */
  readonly crash?: () => void
  readonly remove: () => void
}

/** The machine as its suite takes it, over the same databases again and again. */
export function kvRig({ level, env, crash, remove }: KvRigParts): MachineRig {
  const open = new Set<StateMachine>()
  const close = async (machine: StateMachine): Promise<void> => {
    open.delete(machine)
    await promised<void>(done => machine.close(done))
  }
  return {
    create: (place = 'state-1') => {
      const machine = new KvMachine(level(place), env)
      open.add(machine)
      return machine
    },
    crash: async machine => {
      if (crash === undefined) return await close(machine)
      // It takes all that run on that disk.
      open.clear()
      crash()
    },
    commands: number => {
      const commands = [
        put(`key/${number}`, `value ${number}`),
        increment('n', number + 1),
        put('last', String(number))
      ]
      return { bytes: pack(commands.map(packCommand)), count: commands.length }
    },
    malformed: [pack([[99]]), pack([[1, bytes('a')]]), pack(null), new Uint8Array([0xc1])],
    question: pack([packRequest({ op: 'get', key: bytes('n'), atRevision: 0 })]),
    scan: packScan({ from: bytes(''), to: null, limit: 0, reverse: false, keysOnly: false, atRevision: 0 }),
    until: async condition => {
      while (!condition()) await new Promise(resolve => setImmediate(resolve))
      return true
    },
    end: async () => {
      for (const machine of open) await close(machine)
      remove()
    }
  }
}

export interface Plain {
  readonly key: string
  readonly value: string | null
  readonly create: number
  readonly mod: number
  readonly version: number
}

/** An entry as an answer holds it, with texts for bytes. */
export function plain(packed: Packed | undefined): Plain | null {
  if (packed === null || packed === undefined) return null
  const [key, value, create, mod, version] = packed as [Uint8Array, Uint8Array | null, number, number, number]
  return { key: text(key), value: value === null ? null : text(value), create, mod, version }
}

export async function readAll(source: Source, bytesMax: number) {
  const entries: Plain[] = []
  const sizes: number[] = []
  const revisions = new Set<number>()
  for (;;) {
    const page = await promised<{ readonly bytes: Uint8Array; readonly last: boolean }>(done =>
      source.page(bytesMax, done)
    )
    const [revision, ...found] = unpack(page.bytes) as [number, ...Packed[]]
    revisions.add(revision)
    sizes.push(page.bytes.length)
    for (const each of found) entries.push(plain(each)!)
    if (page.last) return { entries, sizes, revisions: [...revisions] }
  }
}

export function bytes(value: string): Buffer {
  return Buffer.from(value, 'latin1')
}

export function text(value: Uint8Array): string {
  return Buffer.from(value).toString('latin1')
}

export function put(key: string, value: string, rest: { ifRevision?: number; previous?: boolean } = {}): FirstCommand {
  const { ifRevision = null, previous = false } = rest
  return { op: 'put', key: bytes(key), value: bytes(value), ifRevision, previous }
}

export function del(key: string, rest: { ifRevision?: number; previous?: boolean } = {}): FirstCommand {
  const { ifRevision = null, previous = false } = rest
  return { op: 'delete', key: bytes(key), ifRevision, previous }
}

export function increment(key: string, by = 1): FirstCommand {
  return { op: 'increment', key: bytes(key), by }
}
