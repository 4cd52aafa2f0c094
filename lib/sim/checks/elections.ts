// Who ever led which term, and whom each member ever voted for: one leader a term, with the votes of a majority.
import type { MemberKey, Term } from '../../raft/types.ts'
import { Violation } from '../ghost/violation.ts'
import type { Seen } from './seen.ts'

export class Elections {
  readonly #leaders = new Map<Term, MemberKey>()
  /** Whom each member ever granted its vote in each term. */
  readonly #votes = new Map<string, MemberKey>()

  /** The highest term that anybody ever led. */
  get term(): Term {
    return Math.max(0, ...this.#leaders.keys())
  }

  /** How many terms had a leader. */
  get count(): number {
    return this.#leaders.size
  }

  /** This member acts as the leader of the term. True where that is news. */
  lead(seen: Seen, term: Term): boolean {
    const { key } = seen
    const known = this.#leaders.get(term)
    if (known === key) return false
    if (known !== undefined) throw new Violation('IS1', `${known} and ${key} lead term ${term}`)
    this.#leaders.set(term, key)
    this.#judge(seen, term)
    return true
  }

  /** A vote is on the disk before it is told, and is given to one only, for life. */
  vote(seen: Seen, to: MemberKey, term: Term): void {
    const { hard } = seen.node.durable
    if (hard.term !== term || hard.vote !== to)
      throw new Violation(
        'IP1',
        `${seen.node.id} votes for ${to} in ${term}, and its disk says ${hard.vote} in ${hard.term}`
      )
    const name = `${seen.key}@${term}`
    const known = this.#votes.get(name)
    if (known !== undefined && known !== to)
      throw new Violation('IP2', `${seen.node.id} votes for ${known} and for ${to} in term ${term}`)
    this.#votes.set(name, to)
  }

  /** A leader has the granted votes of a majority of each half of its configuration. */
  #judge(seen: Seen, term: Term): void {
    const { membership } = seen.node.node!.raft.status
    for (const voters of [membership.voters, membership.outgoing]) {
      if (voters === null) continue
      const granted = voters.filter(voter => this.#votes.get(`${voter}@${term}`) === seen.key).length
      const own = voters.includes(seen.key) && this.#votes.get(`${seen.key}@${term}`) === undefined ? 1 : 0
      if (own === 1) this.vote(seen, seen.key, term)
      if (2 * (granted + own) <= voters.length)
        throw new Violation('IS1', `${seen.node.id} leads term ${term} with ${granted + own} votes of ${voters.length}`)
    }
  }
}
