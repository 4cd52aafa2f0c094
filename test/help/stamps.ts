// Cluster time as it stands in the log on the disk of a shallow node: the stamp of each record, in milliseconds.
import { readU64 } from '../../lib/base/bytes.ts'
import { recordOffsets } from '../../lib/record/block.ts'
import { recordAt } from '../../lib/record/record.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { blocksOf } from './scene.ts'

export function stampsOf(node: SimNode): number[] {
  const stamps: number[] = []
  for (const block of blocksOf(node)) {
    for (const at of recordOffsets(block).slice(0, block.count)) stamps.push(readU64(block.bytes, at + recordAt.time))
  }
  return stamps
}
