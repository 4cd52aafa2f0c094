// What a leader remembers of nodes that ask to be members, as long as it leads: who knocks, and what operators said of them.
import type { Env } from '../base/env.ts'
import type { MemberKey, Membership, NodeId } from '../raft/types.ts'
import type { Knock } from '../wire/admin.ts'

/** A node that waits knocks several times in this time. */
const freshMs = 5_000
const knocksMax = 256

interface Heard extends Knock {
  readonly at: number
}

export class Knocks {
  readonly #env: Env
  readonly #heard = new Map<NodeId, Heard>()
  /** Members that let themselves in, and that no operator has added yet. */
  readonly #unclaimed = new Set<MemberKey>()
  readonly #learners = new Set<NodeId>()

  constructor(env: Env) {
    this.#env = env
  }

  heard({ id, incarnation, address, learner }: Knock): void {
    this.#heard.delete(id)
    this.#heard.set(id, { id, incarnation, address, learner, at: this.#env.now() })
    for (const oldest of this.#heard.keys()) {
      if (this.#heard.size <= knocksMax) break
      this.#heard.delete(oldest)
    }
  }

  /** The node of this id that has knocked last, if it still does. */
  of(id: NodeId): Knock | null {
    const heard = this.#heard.get(id)
    return heard === undefined || this.#env.now() - heard.at > freshMs ? null : heard
  }

  get all(): (Knock & { readonly ageMs: number })[] {
    const now = this.#env.now()
    return [...this.#heard.values()]
      .map(({ at, ...knock }) => ({ ...knock, ageMs: now - at }))
      .filter(({ ageMs }) => ageMs <= freshMs)
  }

  /** The first time that an operator adds a member that has let itself in. */
  claim(key: MemberKey): boolean {
    return this.#unclaimed.delete(key)
  }

  keepLearner(id: NodeId, keep: boolean): void {
    if (!keep) this.#learners.delete(id)
    else if (this.#learners.size < knocksMax) this.#learners.add(id)
  }

  staysLearner(id: NodeId): boolean {
    return this.#learners.has(id)
  }

  changed(before: Membership, after: Membership): void {
    for (const { key, id } of after.members) {
      if (before.members.some(member => member.key === key)) continue
      this.#heard.delete(id)
      if (this.#unclaimed.size < knocksMax) this.#unclaimed.add(key)
    }
    for (const { key, id } of before.members) {
      if (after.members.some(member => member.key === key)) continue
      this.#unclaimed.delete(key)
      if (!after.members.some(member => member.id === id)) this.#learners.delete(id)
    }
    for (const { key, id } of after.members) if (after.voters.includes(key)) this.#learners.delete(id)
  }
}
