// A peer made of a real core and a plain list of blocks: it votes, leads and follows as the rules want it, without a shell.
import { readU64 } from '../../lib/base/bytes.ts'
import type { Cancel, Env } from '../../lib/base/env.ts'
import { defaultConfig } from '../../lib/raft/config.ts'
import { Core } from '../../lib/raft/core.ts'
import type { Input, Persist } from '../../lib/raft/doors.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import {
  type Base,
  type Block,
  type ChainedId,
  type HardState,
  type Index,
  lastOf,
  logOrigin,
  type MemberKey,
  type Term
} from '../../lib/raft/types.ts'
import { cutBlock } from '../../lib/record/block.ts'
import { blockHeaderBytes, draftRecord, recordAt, recordKind } from '../../lib/record/record.ts'
import type { Arrivals } from './arrivals.ts'

/** What became of a draft, as far as the peer that proposed it knows. */
export type Told = 'committed' | 'unknown' | 'not-applied'

interface Proposed {
  readonly index: Index
  readonly term: Term
  readonly told: (told: Told) => void
}

export class CorePeer {
  readonly key: MemberKey
  readonly core: Core
  /** The log as written, durable or not; and as durable. */
  blocks: Block[] = []
  readonly disk: { hard: HardState; blocks: Block[] } = { hard: { term: 0, vote: null }, blocks: [] }
  readonly #base: Base
  readonly #arrivals: Arrivals
  readonly #env: Env
  readonly #send: (envelope: Envelope) => void
  #inbox: Input[] = []
  #turnAsked = false
  #over = false
  #drafts: { readonly draft: Uint8Array; readonly told: (told: Told) => void }[] = []
  #proposed: Proposed[] = []
  #timer: Cancel | null = null
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(key: MemberKey, base: Base, arrivals: Arrivals, send: (envelope: Envelope) => void) {
    this.key = key
    this.#base = base
    this.#arrivals = arrivals
    this.#env = arrivals.env(key)
    this.#send = send
    const restored = {
      hard: this.disk.hard,
      base: logOrigin,
      last: logOrigin,
      terms: [],
      memberships: [{ index: 0, membership: base.membership }],
      mark: logOrigin,
      trusted: true,
      hollow: false,
      commit: 0
    }
    this.core = new Core({ self: key, restored, config: defaultConfig, seed: 7, now: arrivals.now })
    this.#ask()
  }

  /** What was given to it here has come to something. */
  get isAnswered(): boolean {
    return this.#drafts.length === 0 && this.#proposed.length === 0
  }

  get tail(): ChainedId {
    const last = this.blocks.at(-1)
    return last === undefined ? this.#base : { index: lastOf(last), term: last.term, chain: last.chain }
  }

  input(input: Input): void {
    this.#inbox.push(input)
    this.#ask()
  }

  /** Proposes a draft, if this peer leads in its next turn. */
  write(draft: Uint8Array, told: (told: Told) => void): void {
    this.#drafts.push({ draft, told })
    this.#ask()
  }

  #ask(): void {
    if (this.#turnAsked || this.#over) return
    this.#turnAsked = true
    this.#env.soon(() => {
      this.#turnAsked = false
      if (!this.#over) this.#turn()
    })
  }

  #turn(): void {
    const { core } = this
    const { now } = this.#arrivals
    const inputs = this.#inbox
    this.#inbox = []
    for (const input of inputs) core.step(input, now)
    this.#propose()
    const ready = core.ready()
    if (ready !== null) {
      if (ready.persist !== null) this.#persist(ready.persist)
      for (const envelope of ready.send) this.#send(envelope)
    }
    this.#replicate()
    this.#tell()
    this.#arm()
  }

  #propose(): void {
    const { status } = this.core
    const drafts = this.#drafts
    this.#drafts = []
    if (status.role !== 'leader' || !status.accepts) {
      for (const { told } of drafts) told('not-applied')
      return
    }
    if (status.owesNoop) this.#cut([draftRecord(recordKind.noop, new Uint8Array(0))])
    if (drafts.length === 0) return
    for (const [at, { told }] of drafts.entries()) {
      this.#proposed.push({ index: this.tail.index + 1 + at, term: status.term, told })
    }
    this.#cut(drafts.map(({ draft }) => draft))
  }

  #cut(drafts: readonly Uint8Array[]): void {
    const last = this.blocks.at(-1)
    const stamp = last === undefined ? 0 : readU64(last.bytes, blockHeaderBytes + recordAt.time)
    const time = Math.max(stamp, Math.floor(this.#arrivals.now))
    const block = cutBlock(0, this.core.status.term, this.tail, time, drafts)
    this.core.step({ kind: 'propose', block }, this.#arrivals.now)
    // The core hands it back in the `Ready` of this turn; until then it stands in no list.
    this.blocks.push(block)
  }

  #persist(persist: Persist): void {
    const { cut, blocks } = persist
    if (cut !== null) this.blocks = this.blocks.filter(block => lastOf(block) <= cut)
    for (const block of blocks) if (block.first > this.tail.index) this.blocks.push(block)
    this.#arrivals.add(`${this.key}: disk`, `${this.key}: written`, () => {
      const { disk } = this
      if (persist.hard !== null) disk.hard = persist.hard
      if (cut !== null) disk.blocks = disk.blocks.filter(block => lastOf(block) <= cut)
      disk.blocks.push(...blocks)
      this.input({ kind: 'persisted', mark: persist.mark })
    })
  }

  #replicate(): void {
    const { core } = this
    const { now } = this.#arrivals
    for (const peer of core.status.peers) {
      const due = core.due(peer, now)
      if (due === null) continue
      const blocks = due.entries ? this.blocks.filter(block => lastOf(block) >= due.next) : []
      if (blocks.length > 0 || due.must) this.#send(core.append(peer, blocks, now, Math.floor(now)))
    }
  }

  /** A record is committed where it stands at its term; where another stands, it never will be there. */
  #tell(): void {
    const { commit } = this.core.status
    this.#proposed = this.#proposed.filter(({ index, term, told }) => {
      const block = this.blocks.find(each => each.first <= index && index <= lastOf(each))
      if (block?.term !== term) told('unknown')
      else if (index <= commit) told('committed')
      else return true
      return false
    })
  }

  #arm(): void {
    const at = this.core.wakeAt()
    if (at >= this.#wakeAt) return
    this.#timer?.()
    this.#wakeAt = at
    this.#timer = this.#env.after(Math.max(1, at - this.#arrivals.now), () => {
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.input({ kind: 'time' })
    })
  }

  /** Nothing happens to it any more. */
  end(): void {
    this.#over = true
    this.#timer?.()
  }
}
