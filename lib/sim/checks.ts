// What must hold after every event, judged by a ghost state that no node sees and no crash takes. Codes as in INVARIANTS.md.
import { assert } from '../base/assert.ts'
import { type Block, compareLogIds, type Index, lastOf, type MemberKey, type Term } from '../raft/types.ts'
import type { SimNode } from './sim-node.ts'

/** A broken invariant, with its code. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: string

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}

/** What was seen of one node last. */
interface Seen {
  term: Term
  commit: Index
  applied: Index
}

export class Checks {
  readonly #nodes: readonly SimNode[]
  readonly #seen = new Map<MemberKey, Seen>()
  /** Who ever led each term. */
  readonly #leaders = new Map<Term, MemberKey>()
  /** Chain value and term at the end of each block that was ever called committed, by anybody. */
  readonly #committed = new Map<Index, { readonly chain: number; readonly term: Term }>()
  #commit: Index = 0
  /** Up to where the log was first called committed in each term, by who was in that term. */
  readonly #commits = new Map<Term, Index>()

  constructor(nodes: readonly SimNode[]) {
    this.#nodes = nodes
  }

  /** The highest index that any node has ever called committed. */
  get commit(): Index {
    return this.#commit
  }

  afterEvent(): void {
    for (const node of this.#nodes) if (node.node !== null) this.#look(node)
  }

  /** A new life may begin with a lower commit index and an older state, but never below the term that was durable. */
  crashed(node: SimNode): void {
    const seen = this.#seen.get(node.key)
    if (seen === undefined) return
    seen.term = node.image.hard.term
    seen.commit = 0
    seen.applied = 0
  }

  #look(node: SimNode): void {
    const { status } = node.node!.raft
    const seen = this.#seenOf(node)
    if (status.term < seen.term)
      throw new Violation('IS6', `${node.key}: its term fell from ${seen.term} to ${status.term}`)
    seen.term = status.term
    if (status.role === 'leader') this.#judgeLeader(node, status.term)
    if (status.commit < seen.commit)
      throw new Violation('IS6', `${node.key}: its commit index fell to ${status.commit}`)
    if (status.commit > seen.commit) this.#judgeCommit(node, seen.commit, status.commit)
    seen.commit = status.commit
    const { applied } = node.node!
    if (applied < seen.applied) throw new Violation('IA1', `${node.key}: its applied index fell to ${applied}`)
    seen.applied = applied
    if (status.commit > status.last.index) throw new Violation('IA2', `${node.key}: it commits beyond its log`)
  }

  #judgeLeader(node: SimNode, term: Term): void {
    const known = this.#leaders.get(term)
    if (known === node.key) return
    if (known !== undefined) throw new Violation('IS1', `${known} and ${node.key} lead term ${term}`)
    this.#leaders.set(term, node.key)
    this.#judgeCompleteness(node, term)
  }

  /**
   * Leader completeness: what was committed in an earlier term stands in the log of each leader. A node that was held up may
   * learn of its election when a later leader has committed more already.
   */
  #judgeCompleteness(node: SimNode, term: Term): void {
    const { last } = node.node!.raft.status
    let commit = 0
    for (const [earlier, index] of this.#commits) if (earlier < term) commit = Math.max(commit, index)
    if (last.index < commit) {
      throw new Violation('IS5', `${node.key} leads with a log that ends at ${last.index}, and ${commit} is committed`)
    }
    const from = Math.max(1, node.image.base.index + 1)
    for (const block of this.#blocks(node, from, commit)) this.#judgeBlock(node, block, 'IS5')
  }

  /** State machine safety and the commit rule: the same records everywhere, and on the disks of a majority. */
  #judgeCommit(node: SimNode, from: Index, commit: Index): void {
    const blocks = this.#blocks(node, from + 1, commit)
    for (const block of blocks) {
      this.#judgeBlock(node, block, 'IS9')
      if (!this.#committed.has(lastOf(block)))
        this.#committed.set(lastOf(block), { chain: block.chain, term: block.term })
    }
    if (commit > this.#commit) {
      this.#judgeDurability(node, blocks.at(-1))
      this.#commit = commit
      this.#commits.set(node.node!.raft.status.term, commit)
    }
  }

  #judgeBlock(node: SimNode, block: Block, invariant: string): void {
    const ghost = this.#committed.get(lastOf(block))
    if (ghost === undefined || (ghost.chain === block.chain && ghost.term === block.term)) return
    throw new Violation(invariant, `${node.key} holds another record at ${lastOf(block)} than was committed`)
  }

  #judgeDurability(node: SimNode, block: Block | undefined): void {
    if (block === undefined) return
    const { membership } = node.node!.raft.status
    const id = { term: block.term, index: lastOf(block) }
    const holders = this.#nodes.filter(({ image }) => {
      const held = image.blocks.findLast(candidate => lastOf(candidate) === id.index)
      // What a damaged disk has lost it did hold when it said so: the mark tells.
      return held === undefined ? compareLogIds(image.mark, id) >= 0 : held.chain === block.chain
    })
    for (const voters of [membership.voters, membership.outgoing ?? membership.voters]) {
      const count = holders.filter(holder => voters.includes(holder.key)).length
      if (2 * count <= voters.length) {
        throw new Violation(
          'IS4',
          `${lastOf(block)} is called committed and is on the disks of ${count} of ${voters.length}`
        )
      }
    }
  }

  /** Whole blocks in [from, to] as the node's log has them: what it has not in memory is on its disk. */
  #blocks(node: SimNode, from: Index, to: Index): readonly Block[] {
    if (from > to) return []
    const log = node.log!
    const within = (block: Block): boolean => lastOf(block) >= from && lastOf(block) <= to
    const near = log.hot(from, Number.POSITIVE_INFINITY)
    if (near !== null) return near.filter(within)
    // The disk may still hold blocks that have been cut: they begin where memory does, or lie above the end of the log.
    const old = node.image.blocks.filter(block => lastOf(block) <= log.tail.index && log.hot(block.first, 1) === null)
    assert(old.length > 0, 'a log that is not in memory is on disk')
    return [...old, ...log.hot(lastOf(old.at(-1)!) + 1, Number.POSITIVE_INFINITY)!].filter(within)
  }

  #seenOf(node: SimNode): Seen {
    let seen = this.#seen.get(node.key)
    if (seen === undefined) {
      seen = { term: 0, commit: 0, applied: 0 }
      this.#seen.set(node.key, seen)
    }
    return seen
  }
}
