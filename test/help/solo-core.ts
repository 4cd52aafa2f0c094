// One core alone with a test that plays all its peers: what it is told, and what it says.
import { defaultConfig, type RaftConfig } from '../../lib/raft/config.ts'
import { Core } from '../../lib/raft/core.ts'
import type { Input, Persist, Ready } from '../../lib/raft/doors.ts'
import type { Append, AppendReply, Envelope, Message, Vote } from '../../lib/raft/message.ts'
import {
  type Block,
  type HardState,
  type Index,
  type LogId,
  logOrigin,
  type Membership,
  type Term
} from '../../lib/raft/types.ts'
import { fakeBlock, keyOf, membershipOf } from './core-cluster.ts'

export interface SoloOptions {
  readonly count?: number
  readonly membership?: Membership
  readonly hard?: HardState
  /** The term of each record of the log, from index 1. */
  readonly log?: readonly Term[]
  readonly mark?: LogId
  readonly trusted?: boolean
  readonly config?: Partial<RaftConfig>
  readonly now?: number
}

export const self = keyOf(1)

export class Solo {
  now: number
  readonly core: Core
  /** False: writes stay under way until `flush`. */
  autoFlush = true
  readonly persists: Persist[] = []
  readonly readies: Ready[] = []
  #flushed = 0

  constructor(options: SoloOptions = {}) {
    const log = options.log ?? []
    const membership = options.membership ?? membershipOf(Array.from({ length: options.count ?? 3 }, (_, at) => at + 1))
    const terms = log.map((term, at) => ({ term, index: at + 1 })).filter(({ term }, at) => log[at - 1] !== term)
    const last = log.length === 0 ? logOrigin : { term: log.at(-1)!, index: log.length }
    this.now = options.now ?? 0
    const restored = {
      hard: options.hard ?? { term: last.term, vote: null },
      base: logOrigin,
      last,
      terms,
      memberships: [{ index: 0, membership }],
      mark: options.mark ?? last,
      trusted: options.trusted ?? true,
      hollow: false,
      commit: 0
    }
    const config = { ...defaultConfig, ...options.config }
    this.core = new Core({ self, restored, config, seed: 1, now: this.now })
  }

  /** Steps an input, ends the turn, and returns what leaves (appends to peers apart: see `appends`). */
  step(input: Input): Envelope[] {
    this.core.step(input, this.now)
    return this.turn()
  }

  turn(): Envelope[] {
    const ready = this.core.ready()
    if (ready === null) return []
    this.readies.push(ready)
    const sent = [...ready.send]
    if (ready.persist !== null) {
      this.persists.push(ready.persist)
      if (this.autoFlush) sent.push(...this.flush())
    }
    return sent
  }

  flush(mark = this.persists.at(-1)?.mark ?? this.#flushed): Envelope[] {
    if (mark <= this.#flushed) return []
    this.#flushed = mark
    return this.step({ kind: 'persisted', mark })
  }

  hear(from: number, term: Term, message: Message): Envelope[] {
    return this.step({ kind: 'receive', envelope: { from: keyOf(from), to: self, term, message } })
  }

  vote(from: number, term: Term, last: LogId, options: { pre?: boolean; force?: boolean } = {}): Envelope[] {
    const message: Vote = { kind: 'vote', pre: options.pre ?? false, force: options.force ?? false, round: 7, last }
    return this.hear(from, term, message)
  }

  append(from: number, term: Term, prev: LogId, blocks: readonly Block[], commit: Index = 0, round = 0): Envelope[] {
    const message: Append = { kind: 'append', prev, blocks, commit, round, time: 0 }
    return this.hear(from, term, message)
  }

  /** A peer acknowledges. */
  reply(from: number, match: Index, options: Partial<AppendReply> = {}): Envelope[] {
    const message: AppendReply = { kind: 'append-reply', match, reject: null, round: 0, leaseMs: 0, ...options }
    return this.hear(from, this.core.status.term, message)
  }

  /** The election timer fires. */
  timeout(): Envelope[] {
    this.now = Math.max(this.now, this.core.wakeAt())
    return this.step({ kind: 'time' })
  }

  /** Wins an election with the votes of these members. */
  lead(voters: readonly number[] = [2]): void {
    let asked = this.timeout()
    for (const pre of [true, false]) {
      const request = asked.find(({ message }) => message.kind === 'vote' && message.pre === pre)
      if (request === undefined) return
      const round = (request.message as Vote).round
      asked = voters.flatMap(voter =>
        this.hear(voter, request.term, { kind: 'vote-reply', pre, round, granted: true, reason: null })
      )
    }
  }

  /** A leader's block of `count` records. */
  propose(count = 1, membership: Membership | null = null): Block {
    const { term, last } = this.core.status
    const block = fakeBlock({ index: last.index, chain: 0 }, term, 0, count, membership)
    this.step({ kind: 'propose', block })
    return block
  }

  /** What a leader sends to a peer now, without blocks; null when nothing is due. */
  send(to: number, blocks: readonly Block[] = []): Append | null {
    const due = this.core.due(keyOf(to), this.now)
    if (due === null || (blocks.length === 0 && !due.must)) return null
    return this.core.append(keyOf(to), blocks, this.now, 0).message as Append
  }

  get commit(): Index {
    return this.core.status.commit
  }
}

/** A block of `count` records of `term` that follows `index`. */
export function blockAfter(index: Index, term: Term, count = 1, membership: Membership | null = null): Block {
  return fakeBlock({ index, chain: 0 }, term, 0, count, membership)
}
