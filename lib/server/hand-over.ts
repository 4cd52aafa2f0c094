// The end of a node as its clients see it: a leader lets another take over, what was taken in is answered, nobody is cut off.
import type { Env } from '../base/env.ts'
import type { Node } from '../node/node.ts'

/** How long a leader that stops waits for another to take over, and how often it asks for that. */
const handOverMsMax = 1_500
const handOverAgainMs = 100
/** A node that stops serves on until it has had nothing to do for so long, and not longer than this. */
const quietMs = 25
const quietMsMax = 500
const lookMs = 5

/**
 * Comes when this node may go: another leads, and what was asked here is answered. Meanwhile clients find their way to the
 * new leader, and this node still passes on what they ask.
 */
export async function handOver(env: Env, node: Node): Promise<void> {
  const { status } = node.raft
  if (status.role === 'leader' && status.peers.length > 0) {
    let askedAt = Number.NEGATIVE_INFINITY
    await once(env, handOverMsMax, now => {
      if (status.role !== 'leader') return status.leader !== null
      if (status.accepts && now - askedAt >= handOverAgainMs) {
        askedAt = now
        node.transfer(null)
      }
      return false
    })
  }
  if (status.leader === null || status.leader === status.self) return
  let busyAt = env.now()
  await once(env, quietMsMax, now => {
    if (node.pendingBytes > 0 || node.waitingReads > 0) busyAt = now
    return now - busyAt >= quietMs
  })
}

/** Comes when it is so, or after so many milliseconds. */
function once(env: Env, ms: number, isSo: (now: number) => boolean): Promise<void> {
  const deadline = env.now() + ms
  return new Promise(resolve => {
    const look = (): void => {
      const now = env.now()
      if (isSo(now) || now >= deadline) resolve()
      else env.after(lookMs, look)
    }
    look()
  })
}
