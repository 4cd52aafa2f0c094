// Bounds the past by age and by bytes (`--history`): the leader orders it to be compacted, as a client of its own.
//
// An order carries the revision, so that all replicas let go of the same. Where `--log-max` has cut a log before that, nothing
// is ordered.
import { writeU64 } from '../base/bytes.ts'
import type { Cancel, Env } from '../base/env.ts'
import type { Node } from '../node/node.ts'
import { pack } from '../record/pack.ts'
import { commandHeadBytes, recordKind, sessionIdBytes, writeCommandHead } from '../record/record.ts'
import { packCommand } from '../wire/kv/commands.ts'
import type { MachineInUse } from './machine-in-use.ts'
import type { History } from './options.ts'

/** At most three orders a minute, and the past may be longer by that time. */
const lookMs = 20_000
const patienceMs = 5_000

export interface HistoryBoundParts {
  readonly env: Env
  readonly history: History
  /** Null while there is no life. */
  readonly node: () => Pick<Node, 'raft' | 'clusterTime' | 'write'> | null
  readonly machine: () => Pick<MachineInUse, 'compacted' | 'horizon'> | null
}

export class HistoryBound {
  readonly #parts: HistoryBoundParts
  #stop: Cancel = () => {}

  constructor(parts: HistoryBoundParts) {
    this.#parts = parts
  }

  start(): void {
    this.#stop = this.#parts.env.after(lookMs, () => {
      this.#look()
      this.start()
    })
  }

  stop(): void {
    this.#stop()
  }

  #look(): void {
    const { history, node, machine } = this.#parts
    const life = node()
    const inUse = machine()
    if (life === null || inUse?.horizon === undefined || life.raft.status.role !== 'leader') return
    const before = history.ageMs === null ? null : life.clusterTime - history.ageMs
    inUse.horizon({ before, bytes: history.bytes }, (error, revision) => {
      // What cannot be read now is looked at again, and damage is found by whoever looks for it.
      if (error !== null || revision <= inUse.compacted() || life !== node()) return
      life.write(this.#draft(revision, life.clusterTime), () => {})
    })
  }

  /** A session of its own for each: there are few of them, and none is needed again. */
  #draft(revision: number, time: number): Uint8Array {
    const { env } = this.#parts
    const commands = pack([packCommand({ op: 'compact', revision })])
    const draft = new Uint8Array(commandHeadBytes + commands.length)
    const session = new Uint8Array(sessionIdBytes)
    writeU64(session, 0, time)
    for (let at = 8; at < sessionIdBytes; at++) session[at] = env.random(256)
    writeCommandHead(draft, recordKind.command, { session, count: 1, serial: 1, floor: 0, notAfter: 0 }, patienceMs)
    draft.set(commands, commandHeadBytes)
    return draft
  }
}
