// The log of one node as the ghost state knows it: where each of its blocks ends, without a payload.
import { type Block, type ChainedId, type Index, lastOf, type Term } from '../../raft/types.ts'
import { Violation } from './violation.ts'

/** One block as the ghost state knows it: what it is, without its bytes. */
export interface BlockEnd {
  readonly first: Index
  readonly last: Index
  readonly term: Term
  readonly previousChain: number
  readonly chain: number
}

export function endOf(block: Block): BlockEnd {
  const { first, term, previousChain, chain } = block
  return { first, last: lastOf(block), term, previousChain, chain }
}

export class GhostLog {
  /** What it begins after. */
  base: ChainedId = { index: 0, term: 0, chain: 0 }
  ends: BlockEnd[] = []

  get last(): ChainedId {
    const end = this.ends.at(-1)
    return end === undefined ? this.base : { index: end.last, term: end.term, chain: end.chain }
  }

  /** @throws Violation unless the block continues the log */
  put(block: BlockEnd): void {
    const { last } = this
    if (block.first !== last.index + 1 || block.previousChain !== last.chain || block.term < last.term) {
      const text = `a block from ${block.first} of term ${block.term} follows ${last.index}@${last.term}`
      throw new Violation('IS3', `a log with a gap, another past or a falling term: ${text}`)
    }
    this.ends.push(block)
  }

  reset(base: ChainedId, ends: readonly BlockEnd[]): void {
    this.base = base
    this.ends = [...ends]
  }

  /** The block that ends at `index`, or null. */
  endAt(index: Index): BlockEnd | null {
    const at = this.#find(index)
    const end = this.ends[at]
    return end !== undefined && end.last === index ? end : null
  }

  /** Blocks whose last record lies in (after, upTo]. */
  *within(after: Index, upTo: Index): Generator<BlockEnd> {
    for (let at = this.#find(after + 1); at < this.ends.length && this.ends[at]!.last <= upTo; at++)
      yield this.ends[at]!
  }

  /** How many different terms its records have. */
  get terms(): number {
    let terms = 0
    let before: Term = -1
    for (const { term } of this.ends) {
      if (term !== before) terms++
      before = term
    }
    return terms
  }

  /** The place of the first block that ends at or after `index`. */
  #find(index: Index): number {
    const { ends } = this
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ends[middle]!.last < index) low = middle + 1
      else high = middle
    }
    return low
  }
}
