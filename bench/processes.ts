// Processes that a benchmark has started, and ends.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Ends them at once, and comes back when none is left. */
export async function killAll(children: readonly ChildProcess[]): Promise<void> {
  const ended = children.map(async child => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  })
  await Promise.all(ended)
}

export function pidsOf(children: readonly ChildProcess[]): number[] {
  return children.flatMap(({ pid }) => (pid === undefined ? [] : [pid]))
}
