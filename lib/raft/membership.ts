// Which configuration is in force: the last one in the log, committed or not, with its predecessors for a roll-back.
import { assert } from '../base/assert.ts'
import type { Index, MemberKey, Membership, MembershipAt } from './types.ts'

const noMembership: Membership = { voters: [], outgoing: null, learners: [], members: [] }

/** A node uses a configuration as soon as its log holds it (thesis 4.1), and the one before again when it is cut. */
export class Memberships {
  #history: MembershipAt[]

  /** The configuration at the base, then each above it, in order of index. */
  constructor(history: readonly MembershipAt[]) {
    this.#history = [...history]
    for (let at = 1; at < this.#history.length; at++) {
      assert(this.#history[at]!.index > this.#history[at - 1]!.index, 'configurations are in order of index')
    }
  }

  get current(): Membership {
    return this.#history.at(-1)?.membership ?? noMembership
  }

  /** Where the current one stands in the log. */
  get index(): Index {
    return this.#history.at(-1)?.index ?? 0
  }

  /** The one before the current one, as long as that may still be cut: `commit` is below it. */
  replaced(commit: Index): Membership {
    const before = this.index > commit ? this.#history.at(-2) : undefined
    return before?.membership ?? noMembership
  }

  /** The one in force at `index`. */
  at(index: Index): Membership {
    return this.#history.findLast(entry => entry.index <= index)?.membership ?? noMembership
  }

  append(index: Index, membership: Membership): void {
    assert(this.#history.length === 0 || index > this.index, 'a configuration follows the one before it')
    this.#history.push({ index, membership })
  }

  /** All records above `index` are gone. */
  cut(index: Index): void {
    while (this.#history.length > 1 && this.index > index) this.#history.pop()
    assert(this.#history.length === 0 || this.index <= index, 'the configuration at the base is never cut')
  }

  /** All records at or below `base` are gone; what is in force there stays. */
  compact(base: Index): void {
    while (this.#history.length > 1 && this.#history[1]!.index <= base) this.#history.shift()
  }
}

/** Counts in elections and commits, in either half. */
export function isVoter(membership: Membership, key: MemberKey): boolean {
  return membership.voters.includes(key) || (membership.outgoing?.includes(key) ?? false)
}

/** All voters of both halves, each once. */
export function votersOf(membership: Membership): MemberKey[] {
  return [...new Set([...membership.voters, ...(membership.outgoing ?? [])])]
}

/** All who are replicated to, `self` excepted. */
export function peersOf(membership: Membership, self: MemberKey): MemberKey[] {
  const keys = new Set([...membership.voters, ...(membership.outgoing ?? []), ...membership.learners])
  keys.delete(self)
  return [...keys]
}
