// A spectator of a simulated cluster that hears only what an operator would read.
import type { Spectator } from '../../lib/sim/cluster.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'

const ignore = (): void => {}

export function linesFound(found: (node: SimNode, line: string) => void): Spectator {
  return {
    sent: ignore,
    delivered: ignore,
    dropped: ignore,
    answered: ignore,
    looked: ignore,
    began: ignore,
    ended: ignore,
    found
  }
}
