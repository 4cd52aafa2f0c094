// A process of the ceiling that `stretto bench` compares with: told its role, it answers with its port and serves until it is ended.
import { once } from 'node:events'
import type { Command } from 'commander'
import { serveFollower } from '../bench/ceiling/follower.ts'
import { serveLeader } from '../bench/ceiling/leader.ts'
import type { CeilingRole } from '../bench/ceiling.ts'
import { UsageError } from '../lib/server/usage-error.ts'

export function benchCeiling(command: Command): void {
  command.action(serveRole)
}

async function serveRole(): Promise<void> {
  if (process.send === undefined) throw new UsageError("this is a part of 'stretto bench' and does nothing by itself")
  process.on('SIGINT', () => {}) // Ctrl-C is for the benchmark, whose end is the end of this process
  const [order] = (await once(process, 'message')) as [CeilingRole]
  const port =
    order.role === 'follower'
      ? await serveFollower(order.log, order.state)
      : await serveLeader(order.log, order.state, order.followers)
  process.send(port)
  await once(process, 'disconnect')
  process.exit(0)
}
