// What a peer is owed, and the append that pays it: entries, commit notice, heartbeat and read round share one message.
import { assert } from '../base/assert.ts'
import type { Due } from './doors.ts'
import type { Envelope } from './message.ts'
import type { Progress } from './progress.ts'
import type { CoreState, Leadership } from './state.ts'
import { type Block, lastOf, type MemberKey, type SnapshotMeta } from './types.ts'

export function dueFor(state: CoreState, peer: MemberKey, now: number): Due | null {
  const { lead, log } = state
  const progress = lead?.progress.get(peer)
  if (lead === null || progress === undefined) return null
  const entries = progress.mode === 'replicate' && progress.next <= log.last.index
  const must =
    now >= progress.beatAt ||
    now >= noticeAt(state, lead, progress) ||
    (progress.roundSent < lead.rounds.number && lead.rounds.asks(peer, now))
  return entries || must ? { next: progress.next, entries, must } : null
}

/** The append that pays what is due. `time`: the cluster time it tells. */
export function appendTo(
  state: CoreState,
  peer: MemberKey,
  blocks: readonly Block[],
  now: number,
  time: number
): Envelope {
  const { lead, log, config } = state
  const progress = lead?.progress.get(peer)
  assert(lead !== null && progress !== undefined, 'only a leader appends, and only to its peers')
  assert(blocks.length === 0 || progress.mode === 'replicate', 'blocks are sent once it is known where the logs meet')
  checkBlocks(state, blocks, progress.next)
  const next = blocks.length === 0 ? progress.next : lastOf(blocks.at(-1)!) + 1
  const index = blocks.length === 0 ? next - 1 : blocks[0]!.first - 1
  const { commit } = log
  const round = lead.rounds.number
  progress.sent(next, commit, round, now, config.heartbeatMs)
  const prev = { term: log.trail.termAt(index), index }
  assert(prev.term >= 0, 'the record before an append is in the log')
  return {
    from: state.self,
    to: peer,
    term: state.term,
    message: { kind: 'append', prev, blocks, commit, round, time }
  }
}

/** Tells a peer of a snapshot that it needs and this node has. */
export function announceTo(state: CoreState, peer: MemberKey, meta: SnapshotMeta): Envelope {
  const progress = state.lead?.progress.get(peer)
  assert(progress?.mode === 'snapshot' || progress?.hollow === true, 'a snapshot is for a peer that needs one')
  assert(meta.last.index >= state.log.base.index, 'a snapshot reaches up to the log at least')
  assert(meta.last.index <= state.log.commit, 'a snapshot holds only what is committed')
  return { from: state.self, to: peer, term: state.term, message: { kind: 'snapshot', meta } }
}

/** When the leader has something to do next: a heartbeat, a notice, a check of its quorum. */
export function leaderWakeAt(state: CoreState, lead: Leadership): number {
  let at = Math.min(lead.quorumCheckAt, lead.transfer?.giveUpAt ?? Number.POSITIVE_INFINITY)
  if (lead.rounds.spreadAt > state.now) at = Math.min(at, lead.rounds.spreadAt)
  for (const progress of lead.progress.values()) at = Math.min(at, progress.beatAt, noticeAt(state, lead, progress))
  for (const until of lead.leaving.values()) at = Math.min(at, until)
  return at
}

/** When a commit index that the peer has not been told leaves alone: after a silence without an append. */
function noticeAt(state: CoreState, lead: Leadership, progress: Progress): number {
  if (progress.mode !== 'replicate' || progress.commitSent >= Math.min(state.log.commit, progress.next - 1)) {
    return Number.POSITIVE_INFINITY
  }
  return Math.max(lead.commitAt, progress.sentAt) + state.config.commitNoticeMs
}

/** Blocks read from disk may be from before a cut: what leaves must be what the trail says this log holds. */
function checkBlocks(state: CoreState, blocks: readonly Block[], next: number): void {
  if (blocks.length === 0) return
  const { trail } = state.log
  let first = blocks[0]!.first
  assert(first <= next && lastOf(blocks.at(-1)!) >= next, 'blocks begin at or before next and end at or past it')
  for (const block of blocks) {
    assert(block.first === first, 'blocks are contiguous')
    assert(trail.termAt(block.first) === block.term, 'a block sent begins in this log')
    assert(trail.termAt(lastOf(block)) === block.term, 'a block sent ends in this log')
    first = lastOf(block) + 1
  }
}
