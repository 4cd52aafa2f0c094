// A second opinion: what must hold of a core at one instant, and between two instants of one life (paper figure 3).
import { assert } from '../base/assert.ts'
import type { CoreView } from './status.ts'
import { compareLogIds } from './types.ts'

/** What must hold at any instant. A breach stops the node. */
export function checkBasic(view: CoreView): void {
  const { base, last, commit, durable, term, role } = view
  assert(base.index <= commit && commit <= last.index, 'base <= commit <= last')
  assert(base.index <= durable && durable <= last.index, 'base <= durable <= last')
  assert(last.term <= term, 'no record is of a later term than the node')
  assert(compareLogIds(base, last) <= 0, 'the log ends at or after its base')
  assert(view.verified <= last.index, 'what is verified is in the log')
  assert(view.membershipIndex <= last.index, 'the configuration in force is in the log')
  checkTrail(view)
  const campaigning = role === 'pre-candidate' || role === 'candidate'
  assert(!campaigning || view.leader === null, 'who campaigns follows nobody')
  assert(role !== 'candidate' || view.vote === view.self, 'a candidate has voted for itself')
  assert(role !== 'candidate' || last.term < term, 'no log holds a record of a term before its leader is elected')
  assert(!campaigning || view.trusted, 'only who trusts its log campaigns')
  assert((role === 'leader') === (view.leader === view.self), 'who leads knows it, and nobody else is told so')
  if (role === 'leader') checkLeader(view)
  else assert(!view.accepts && view.peers.length === 0, 'only a leader accepts and replicates')
}

/** What must hold between two instants of one life of a core, `before` the earlier one. */
export function checkDelta(before: CoreView, after: CoreView): void {
  assert(after.term >= before.term, 'the term never falls')
  assert(after.commit >= before.commit, 'the commit index never falls')
  assert(after.base.index >= before.base.index, 'the base never falls')
  assert(after.trusted || !before.trusted, 'trust is not lost within a life')
  if (after.term > before.term) return
  assert(before.vote === null || after.vote === before.vote, 'a vote is given once in a term')
  assert(after.verified >= before.verified, 'what was verified in a term stays so')
  if (before.role !== 'leader') return
  assert(after.role !== 'candidate', 'who has led a term does not stand in it again')
  if (after.role !== 'leader') return
  assert(after.last.index >= before.last.index, 'a leader only appends')
  assert(after.durable >= before.durable, 'a leader never cuts')
  for (const peer of after.peers) {
    const earlier = before.peers.find(({ key }) => key === peer.key)
    if (earlier === undefined || earlier.boot !== peer.boot) continue
    assert(peer.match >= earlier.match, 'match falls only when the peer has started anew')
  }
}

function checkTrail({ base, last, starts }: CoreView): void {
  let before = base
  for (const start of starts) {
    assert(start.index > before.index && start.term >= before.term, 'terms rise along the log')
    before = start
  }
  assert(before.index <= last.index && before.term === last.term, 'the last record is of the last term')
}

function checkLeader(view: CoreView): void {
  assert(view.vote === view.self && view.hardDurable, 'a leader has its own vote on its disk')
  for (const { match, next, mode } of view.peers) {
    assert(match < next && next <= view.last.index + 1, 'match < next <= last + 1')
    assert(mode === 'probe' || next > view.base.index, 'what is sent is above the base')
  }
}
