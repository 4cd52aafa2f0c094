// Blocks to a LevelDB database, each a value, as the product's log lays them down: what waits is merged into the next sync.
import { ClassicLevel } from 'classic-level'
import { writeU64 } from '../../lib/base/bytes.ts'
import type { Block } from '../../lib/raft/types.ts'

export class BlockDisk {
  readonly #level: ClassicLevel<Uint8Array, Uint8Array>
  readonly #synced: (last: number) => void
  #waiting: Block[] = []
  #writing = false

  private constructor(level: ClassicLevel<Uint8Array, Uint8Array>, synced: (last: number) => void) {
    this.#level = level
    this.#synced = synced
  }

  /** `synced` hears the index of the last record that is on disk, each time there is more. */
  static async open(folder: string, synced: (last: number) => void): Promise<BlockDisk> {
    const level = new ClassicLevel<Uint8Array, Uint8Array>(folder, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      compression: false
    })
    await level.open()
    return new BlockDisk(level, synced)
  }

  append(block: Block): void {
    this.#waiting.push(block)
    if (!this.#writing) void this.#write()
  }

  async #write(): Promise<void> {
    this.#writing = true
    while (this.#waiting.length > 0) {
      const blocks = this.#waiting
      this.#waiting = []
      const batch = this.#level.batch()
      for (const block of blocks) batch.put(keyOf(block.first), block.bytes)
      await batch.write({ sync: true })
      const last = blocks.at(-1)!
      this.#synced(last.first + last.count - 1)
    }
    this.#writing = false
  }
}

function keyOf(first: number): Uint8Array {
  const key = new Uint8Array(8)
  writeU64(key, 0, first)
  return key
}
