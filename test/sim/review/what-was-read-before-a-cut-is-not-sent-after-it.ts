// A cold read takes its time, and meanwhile its records may be cut: what it brings is of an earlier log, and thrown away.

import { ClusterTime } from '../../../lib/machine/cluster-time.ts'
import { newCounters } from '../../../lib/node/counters.ts'
import { Replicator } from '../../../lib/node/replicator.ts'
import type { Block } from '../../../lib/raft/types.ts'
import { lastOf } from '../../../lib/raft/types.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { keyOf } from '../../help/core-cluster.ts'
import { endOf, persist } from '../../help/log-blocks.ts'
import { FakeLog, noopBlocks, quickLimits } from '../../help/node-parts.ts'
import { SimDiskBed } from '../../help/sim-disk-bed.ts'
import { Solo } from '../../help/solo-core.ts'

export function scenario(): void {
  for (let seed = 1; seed <= 8; seed++) fromDisk(seed)
  toPeer()
}

/** The log itself: it is asked for records that it cuts and overwrites before they have been read. */
function fromDisk(seed: number): void {
  const bed = new SimDiskBed(seed, { readMsMin: 20, readMsMax: 20 })
  const { log } = bed.openLog()
  const [first, ...old] = noopBlocks(log.tail, 1, [1, 1, 1])
  bed.call<void>(done => log.write(persist({ blocks: [first!, ...old] }), done))
  let read: readonly Block[] | null = null
  let answered = false
  log.cold(2, 10_000, (_, blocks) => {
    read = blocks
    answered = true
  })
  const fresh = noopBlocks(endOf(first!), 2, [1, 1])
  bed.call<void>(done => log.write(persist({ cut: 1, blocks: fresh }), done))
  bed.time.until(() => answered)
  const terms = (read as readonly Block[] | null)?.map(({ term }) => term) ?? []
  hold(!terms.includes(1), 'IS3', () => 'the log gives out what it has cut')
}

/**
 * A leader: it has asked for records of its first term that a peer lacks. Another cuts and overwrites them; it leads again,
 * the peer lacks the same indexes, and then the answer comes.
 */
function toPeer(): void {
  const solo = new Solo({ count: 3 })
  const log = new FakeLog()
  const clusterTime = new ClusterTime()
  const sent: Block[] = []
  solo.lead()
  clusterTime.lead(0, 0)
  const replicator = new Replicator(keyOf(2), {
    raft: solo.core,
    log,
    clusterTime,
    limits: quickLimits,
    counters: newCounters(),
    send: ({ message }) => message.kind === 'append' && sent.push(...message.blocks) >= 0,
    wake: () => {},
    damaged: () => {}
  })
  const old = noopBlocks(log.tail, 1, [1, 1, 1])
  for (const block of old) solo.step({ kind: 'propose', block })
  log.blocks.push(...old)
  replicator.feed(solo.now)
  solo.reply(2, 1)
  log.hotFrom = 100
  replicator.feed(solo.now)
  const [read] = log.coldReads
  hold(read?.from === 2, 'IX1', () => 'it does not ask its disk')

  const fresh = noopBlocks(endOf(old[0]!), 2, [1, 1])
  solo.append(3, 2, { term: 1, index: 1 }, fresh)
  log.blocks.splice(1, 2, ...fresh)
  log.cuts++
  solo.lead()
  const own = noopBlocks(endOf(fresh[1]!), 3, [1])
  for (const block of own) solo.step({ kind: 'propose', block })
  log.blocks.push(...own)
  replicator.feed(solo.now)
  solo.reply(2, 1, { reject: { index: 3, hint: { term: 1, index: 1 } } })
  solo.reply(2, 1)
  read!.done(null, old.slice(1))
  replicator.feed(solo.now)
  const stale = sent.filter(block => block.term === 1 && lastOf(block) > 1)
  hold(stale.length === 0, 'IS3', () => 'a leader sends what its log does not hold any more')
}
