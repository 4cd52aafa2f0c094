// Which configuration each node acts by, judged by its log alone; and that no two in a row can decide apart (IC1, IC2).
import { hasQuorum } from '../../raft/quorum.ts'
import type { Block, Index, MemberKey, Membership, Term } from '../../raft/types.ts'
import { lastOf } from '../../raft/types.ts'
import { Violation } from '../ghost/violation.ts'
import type { SimNode } from '../node/sim-node.ts'
import type { Seen } from './seen.ts'

interface Placed {
  readonly index: Index
  readonly membership: Membership
}

/** Log ids as one number each: indexes of a simulation stay below. */
const indexesMax = 67_108_864

export class Configurations {
  /** Every one that ever stood in a log, by index and term. */
  readonly #known = new Map<number, Membership>()
  /** In the log of each node as it is now, in order; the first is the one at the base. */
  readonly #logs = new Map<SimNode, Placed[]>()
  /** Those that are committed, in order. */
  readonly #committed: Placed[] = []
  /** Pairs whose quorums are known to meet. */
  readonly #met = new Set<string>()

  /** All that may be in force somewhere: the last in each log, and the one before it, which a cut would bring back. */
  get possible(): Membership[] {
    return [...this.#logs.values()].flatMap(placed => placed.slice(-2).map(({ membership }) => membership))
  }

  /** A life begins, with this configuration at its base and these blocks above it. */
  began({ node, log }: Seen, base: Membership): void {
    const placed: Placed[] = [{ index: log.base.index, membership: base }]
    for (const { first, term } of log.ends) {
      const membership = this.#known.get(nameOf(first, term))
      if (membership !== undefined) placed.push({ index: first, membership })
    }
    this.#logs.set(node, placed)
    // At the founding, and for who joins later, nobody has committed one yet.
    const expected = this.#committed.findLast(({ index }) => index <= log.base.index)
    if (expected !== undefined && textOf(expected.membership) !== textOf(base))
      throw new Violation(
        'IC2',
        `${node.id} begins with ${textOf(base)} at ${log.base.index}, where ${textOf(expected.membership)} is in force`
      )
  }

  /** The block that begins at `first` has been committed. */
  committed(first: Index, term: Term): void {
    const membership = this.#known.get(nameOf(first, term))
    if (membership !== undefined) this.#committed.push({ index: first, membership })
  }

  /** What counted for a record at `index`, by the log of this node, and all that came after it there; none without a log. */
  inForceSince(node: SimNode, index: Index): Membership[] {
    const placed = this.#logs.get(node) ?? []
    const at = placed.findLastIndex(each => each.index <= index)
    return at < 0 ? [] : placed.slice(at).map(({ membership }) => membership)
  }

  /** A block has come to the end of a log. */
  stored(seen: Seen, block: Block): void {
    const { membership, first, term } = block
    const { node } = seen
    const placed = this.#cutTo(node, lastOf(block) - block.count)
    if (membership === null) return
    this.#known.set(nameOf(first, term), membership)
    const before = placed.at(-1)!
    this.#judgeStep(node, before.membership, membership, first)
    placed.push({ index: first, membership })
    // Only where it was proposed: followers may learn of several at once, and late of their commit.
    const { status } = node.node!.raft
    if (status.role !== 'leader' || status.term !== term) return
    if (before.index > status.commit)
      throw new Violation(
        'IC1',
        `${node.id} proposes a configuration at ${first}, and the one at ${before.index} is not committed`
      )
    if (seen.endAt(status.commit)?.term !== term)
      throw new Violation(
        'IC1',
        `${node.id} proposes a configuration at ${first} before a record of its term is committed`
      )
  }

  /** The configuration in force is the last one in the log. */
  judge({ node, log }: Seen): void {
    const placed = this.#cutTo(node, log.last.index)
    const { membership } = node.node!.raft.status
    const expected = placed.at(-1)!.membership
    if (membership !== expected && textOf(membership) !== textOf(expected))
      throw new Violation('IC2', `${node.id} acts by ${textOf(membership)}, and its log says ${textOf(expected)}`)
  }

  #cutTo(node: SimNode, last: Index): Placed[] {
    const placed = this.#logs.get(node)!
    while (placed.length > 1 && placed.at(-1)!.index > last) placed.pop()
    return placed
  }

  #judgeStep(node: SimNode, before: Membership, after: Membership, index: Index): void {
    const name = `${textOf(before)} > ${textOf(after)}`
    if (before.voters.length === 0 || this.#met.has(name)) return
    const everybody = [...new Set([...votersOf(before), ...votersOf(after)])]
    for (let set = 0; set < 2 ** everybody.length; set++) {
      const chosen = (key: MemberKey): boolean => ((set >> everybody.indexOf(key)) & 1) === 1
      if (!hasQuorum(before, chosen) || !hasQuorum(after, key => !chosen(key))) continue
      throw new Violation(
        'IC1',
        `${node.id} stores at ${index} a configuration that can decide without the one before: ${name}`
      )
    }
    this.#met.add(name)
  }
}

function votersOf({ voters, outgoing }: Membership): readonly MemberKey[] {
  return [...voters, ...(outgoing ?? [])]
}

function nameOf(index: Index, term: Term): number {
  return term * indexesMax + index
}

function textOf({ voters, outgoing, learners }: Membership): string {
  return [voters, outgoing ?? [], learners].map(keys => keys.join()).join('|')
}
