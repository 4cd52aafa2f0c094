// What exactly-once costs: nanoseconds per record and per command of the plain path, over a machine that does nothing.
// Run: npx tsx bench/micro/replicated-machine.ts
import { writeU64 } from '../../lib/base/bytes.ts'
import { type Batch, type Outcomes, type StateMachine } from '../../lib/machine/machine.ts'
import { ReplicatedMachine } from '../../lib/machine/replicated-machine.ts'
import { type Block, type ChainedId, logOrigin } from '../../lib/raft/types.ts'
import { blockBytesMax, cutBlock } from '../../lib/record/block.ts'
import { commandHeadBytes, recordKind, sessionIdBytes, writeCommandHead } from '../../lib/record/record.ts'

const commandBytes = 300
const blocksPerCall = 4
const rounds = 9

/** Answers at the next turn of the loop below: what a real machine does costs extra. */
class Nothing implements StateMachine {
  readonly unflushedBytes = 0
  readonly turns: (() => void)[] = []
  #revision = 1

  open(done: Parameters<StateMachine['open']>[0]): void {
    this.turns.push(() => done(null, { durable: logOrigin, sidecar: null }))
  }

  check(): null {
    return null
  }

  apply(batches: readonly Batch[], done: Parameters<StateMachine['apply']>[1]): void {
    const outcomes: Outcomes[] = []
    for (const batch of batches) {
      outcomes.push({ revision: this.#revision + 1, each: null })
      this.#revision += batch.count
    }
    this.turns.push(() => done(null, outcomes))
  }

  query(): never {
    throw new Error('nothing to ask')
  }

  scan(): never {
    throw new Error('nothing to read')
  }

  flush(_: unknown, __: unknown, done: Parameters<StateMachine['flush']>[2]): void {
    this.turns.push(() => done(null))
  }

  snapshot(): never {
    throw new Error('nothing to send')
  }

  restore(): never {
    throw new Error('nothing to take in')
  }

  compacted(): void {}

  close(): void {}
}

interface Load {
  readonly name: string
  readonly commands: number
  readonly sessions: number
  /** Records of a session that wait for their answer: how far the floor lags behind. */
  readonly inFlight: number
  readonly records: number
}

function cutLog(load: Load): Block[] {
  const { commands, sessions, inFlight, records } = load
  const drafts: Uint8Array[] = []
  for (let number = 0; number < records; number++) {
    const session = new Uint8Array(sessionIdBytes)
    writeU64(session, 0, 1)
    writeU64(session, 10, number % sessions)
    const turn = Math.floor(number / sessions)
    const draft = new Uint8Array(commandHeadBytes + Math.min(commands * commandBytes, 65_536))
    const floor = Math.max(0, turn - inFlight) * commands
    const head = { session, count: commands, serial: turn * commands + 1, floor, notAfter: 0 }
    writeCommandHead(draft, recordKind.command, head, 0)
    drafts.push(draft)
  }
  const blocks: Block[] = []
  let previous: ChainedId = { term: 1, index: 0, chain: 0 }
  for (let at = 0; at < drafts.length; ) {
    let end = at
    for (let bytes = 0; end < drafts.length && (bytes === 0 || bytes + drafts[end]!.length <= blockBytesMax); end++) {
      bytes += drafts[end]!.length
    }
    const block = cutBlock(0, 1, previous, 1000, drafts.slice(at, end))
    previous = { term: 1, index: block.first + block.count - 1, chain: block.chain }
    blocks.push(block)
    at = end
  }
  return blocks
}

function measure(blocks: readonly Block[]): number {
  const inner = new Nothing()
  const machine = new ReplicatedMachine(inner)
  machine.open(() => {})
  inner.turns.shift()!()
  const begun = performance.now()
  for (let at = 0; at < blocks.length; at += blocksPerCall) {
    machine.apply(blocks.slice(at, at + blocksPerCall), error => {
      if (error !== null) throw error
    })
    for (let turn = inner.turns.shift(); turn !== undefined; turn = inner.turns.shift()) turn()
  }
  return performance.now() - begun
}

const loads: readonly Load[] = [
  { name: '1 command, 1 session', commands: 1, sessions: 1, inFlight: 256, records: 100_000 },
  { name: '1 command, 256 sessions', commands: 1, sessions: 256, inFlight: 16, records: 100_000 },
  { name: '1 command, 10,000 sessions', commands: 1, sessions: 10_000, inFlight: 1, records: 100_000 },
  { name: '100 commands, 16 sessions', commands: 100, sessions: 16, inFlight: 16, records: 8_000 }
]

for (const load of loads) {
  const blocks = cutLog(load)
  const times = Array.from({ length: rounds }, () => measure(blocks)).toSorted((a, b) => a - b)
  const perRecord = (times[rounds >> 1]! * 1e6) / load.records
  const perCommand = perRecord / load.commands
  console.log(`${load.name}: ${perRecord.toFixed(0)} ns per record, ${perCommand.toFixed(1)} ns per command`)
}
