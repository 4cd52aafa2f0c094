// Who is to lead instead of this node: a voter that keeps up where this one does not, or one that is preferred to it.
//
// A hand-over is cheap for clients, as the successor is level before it stands; one that fails is not, for nothing is
// accepted while it is tried. So whom to ask is chosen with care, each once, and seldom again.
import type { Input, Raft } from '../raft/doors.ts'
import type { MemberKey } from '../raft/types.ts'
import type { Fitness, Health } from './fitness.ts'
import type { NodeLimits } from './limits.ts'
import type { Room } from './room.ts'

/** Of a node that names none. */
export const defaultPriority = 100

export interface SuccessionParts {
  readonly raft: Raft
  readonly limits: Pick<NodeLimits, 'diskStallMs' | 'giveWayMs' | 'giveWayAgainMs' | 'preferMs' | 'preferAgainMs'>
  readonly fitness: Fitness
  readonly room: Pick<Room, 'lacks' | 'has' | 'offers'>
  readonly priority: number
  /** The peer is linked, and its program can run what is in force. */
  readonly runs: (peer: MemberKey) => boolean
  readonly step: (input: Input) => void
  /** Something that an operator should know, in a sentence. */
  readonly found: (line: string) => void
}

/** A leader that is asked to give way, from its first try on. */
interface GivingWay {
  readonly since: number
  readonly asked: Set<MemberKey>
  /** When all had been asked, and in vain. */
  failedAt: number
  resignedAt: number
}

const retryMs = 1_000
/** Of a peer that was not heard for longer it is not known how it is. */
const silentMsMax = 300
/** In records: what a successor lacks of what is committed. */
const lackMax = 1_000

export class Succession {
  readonly #parts: SuccessionParts
  /** Of the members that have greeted this node. */
  readonly #priorities = new Map<MemberKey, number>()
  #unfit: string | null = null
  #givingWay: GivingWay | null = null
  #preferred: { readonly key: MemberKey; readonly since: number } | null = null
  #preferredAt = Number.NEGATIVE_INFINITY
  #lackedAt = Number.NEGATIVE_INFINITY

  constructor(parts: SuccessionParts) {
    this.#parts = parts
  }

  greeted(peer: MemberKey, priority: number): void {
    this.#priorities.set(peer, priority)
  }

  /** As last judged: why this node lets others lead. */
  get unfit(): string | null {
    return this.#unfit
  }

  get fitness(): Fitness {
    return this.#parts.fitness
  }

  health(now: number): Health {
    return { diskStallMs: this.fitness.diskStallMs(now), unfit: this.#unfit }
  }

  /** Looked at a few times a second. */
  look(now: number): void {
    const { raft, fitness, step, found } = this.#parts
    const reason = fitness.judge(now)
    if (reason !== this.#unfit) {
      if ((reason === null) !== (this.#unfit === null)) step({ kind: 'fit', fit: reason === null })
      if (reason !== null) found(`${reason}: another node is to lead`)
      this.#unfit = reason
    }
    if (raft.status.role !== 'leader') {
      this.#givingWay = null
      this.#preferred = null
    } else if (reason === null) {
      this.#givingWay = null
      if (this.#parts.room.lacks) this.#makeRoom(now)
      else this.#prefer(now)
    } else this.#giveWay(now)
  }

  /** The voter that is to take over where nobody is named, of those that can at once: preferred, then furthest ahead. */
  best(now: number): MemberKey | null {
    return this.#candidates(now)[0] ?? null
  }

  #giveWay(now: number): void {
    const { raft, limits, step } = this.#parts
    this.#givingWay ??= { since: now, asked: new Set(), failedAt: Number.POSITIVE_INFINITY, resignedAt: now }
    const giving = this.#givingWay
    // One is trying at this moment.
    if (!raft.status.accepts) return
    if (now - giving.failedAt >= limits.giveWayAgainMs) {
      giving.asked.clear()
      giving.failedAt = Number.POSITIVE_INFINITY
    }
    const to = this.#candidates(now).find(key => !giving.asked.has(key))
    if (to !== undefined) {
      giving.asked.add(to)
      step({ kind: 'transfer', to })
      return
    }
    if (giving.asked.size > 0) giving.failedAt = Math.min(giving.failedAt, now)
    if (now - giving.since < limits.giveWayMs || now - giving.resignedAt < retryMs) return
    giving.resignedAt = now
    step({ kind: 'resign' })
  }

  /** Where all disks fill alike nobody leads better; so only one that has told of its room is asked. */
  #makeRoom(now: number): void {
    const { raft, limits, room, step, found } = this.#parts
    this.#preferred = null
    if (!raft.status.accepts || now - this.#lackedAt < limits.giveWayAgainMs) return
    const to = this.#candidates(now).find(key => room.offers(key))
    if (to === undefined) return
    this.#lackedAt = now
    found('the disk is nearly full: another node is to lead')
    step({ kind: 'transfer', to })
  }

  #prefer(now: number): void {
    const { raft, limits, priority, room, step } = this.#parts
    const preferred = this.#candidates(now).find(candidate => this.#priorityOf(candidate) > priority) ?? null
    const key = preferred !== null && room.has(preferred) ? preferred : null
    if (key === null || !raft.status.accepts) {
      this.#preferred = null
      return
    }
    if (this.#preferred?.key !== key) this.#preferred = { key, since: now }
    if (now - this.#preferred.since < limits.preferMs || now - this.#preferredAt < limits.preferAgainMs) return
    this.#preferredAt = now
    step({ kind: 'transfer', to: key })
  }

  /**
   * Voters that could take over at once, the best first, those without room on their disks last. One whose disk stalls falls
   * behind, and is none.
   */
  #candidates(now: number): MemberKey[] {
    const { raft, limits, fitness, runs, room } = this.#parts
    const { status } = raft
    // Whose disk has taken what hangs here is known to do better.
    const hangs = fitness.diskStallMs(now) > limits.diskStallMs
    const able = status.membership.voters.filter(
      key =>
        key !== status.self &&
        runs(key) &&
        status.mode(key) === 'replicate' &&
        now - status.heardAt(key) < silentMsMax &&
        status.match(key) + lackMax >= status.commit &&
        (!hangs || status.match(key) > status.durable)
    )
    const better = (a: MemberKey, b: MemberKey): number =>
      Number(room.has(b)) - Number(room.has(a)) ||
      this.#priorityOf(b) - this.#priorityOf(a) ||
      status.match(b) - status.match(a)
    return able.toSorted(better)
  }

  #priorityOf(key: MemberKey): number {
    return this.#priorities.get(key) ?? defaultPriority
  }
}
