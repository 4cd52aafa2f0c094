// The most recent blocks in memory, bounded in bytes: what followers are usually sent and machines usually apply.
import { type Block, type Index, lastOf } from '../raft/types.ts'

export class HotWindow {
  readonly bytesMax: number
  readonly #blocks: Block[] = []
  /** Blocks before it have been let go; they are taken out of the array in bulk. */
  #head = 0
  #bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Adds the block that follows the newest. */
  push(block: Block): void {
    this.#blocks.push(block)
    this.#bytes += block.bytes.length
  }

  /** Takes out all blocks above `index`. */
  cutAfter(index: Index): void {
    while (this.#blocks.length > this.#head && lastOf(this.#blocks[this.#blocks.length - 1]!) > index) {
      this.#bytes -= this.#blocks.pop()!.bytes.length
    }
  }

  /** Takes out all blocks at or below `index`. */
  dropThrough(index: Index): void {
    while (this.#head < this.#blocks.length && lastOf(this.#blocks[this.#head]!) <= index) this.#drop()
    this.#shrink()
  }

  /** Lets go of the oldest blocks while there are too many bytes, but of none above `durable`: no disk has those yet. */
  trim(durable: Index): void {
    while (this.#bytes > this.bytesMax && this.#head < this.#blocks.length) {
      if (lastOf(this.#blocks[this.#head]!) > durable) break
      this.#drop()
    }
    this.#shrink()
  }

  /** Blocks from the one that holds `from` until `bytesMax` is reached, at least one; null when that one is not here. */
  from(from: Index, bytesMax: number): readonly Block[] | null {
    const blocks = this.#blocks
    let at = this.#find(from)
    if (at === -1) return null
    const found = [blocks[at]!]
    let bytes = found[0]!.bytes.length
    for (at++; at < blocks.length; at++) {
      bytes += blocks[at]!.bytes.length
      if (bytes > bytesMax) break
      found.push(blocks[at]!)
    }
    return found
  }

  /** Place of the block that holds `index`, or -1. Asks the newest first, which is nearly always the one. */
  #find(index: Index): number {
    const blocks = this.#blocks
    let low = this.#head
    let high = blocks.length - 1
    if (high < low || index < blocks[low]!.first || index > lastOf(blocks[high]!)) return -1
    if (index >= blocks[high]!.first) return high
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (blocks[middle]!.first <= index) low = middle
      else high = middle - 1
    }
    return low
  }

  #drop(): void {
    this.#bytes -= this.#blocks[this.#head]!.bytes.length
    this.#head++
  }

  /** References to what was let go would keep it alive, so they are cut off once they are a quarter, or many. */
  #shrink(): void {
    if (this.#head === 0 || (this.#head < 64 && this.#head * 4 < this.#blocks.length)) return
    this.#blocks.splice(0, this.#head)
    this.#head = 0
  }
}
