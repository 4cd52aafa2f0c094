// Mutants of replication and commitment: what is compared, cut, acknowledged, counted and called committed.
import { type Mutant, without } from './mutant.ts'

const restless = ['partition', 'isolate-leader', 'crash', 'delay', 'drop'] as const
const disorder = ['reorder', 'delay', 'duplicate', 'drop', 'partition', 'crash'] as const

const nextPastTheEnd = "assert(match < next && next <= view.last.index + 1, 'match < next <= last + 1')"
const chainCompared = 'block.first !== tail.index + 1 || block.previousChain !== tail.chain || block.term < tail.term'

export const replication: readonly Mutant[] = [
  {
    name: 'obeys-a-deposed-leader-while-it-leads',
    invariant: 'IS2',
    also: [],
    patches: [
      {
        file: 'lib/raft/core.ts',
        find: 'if (term < state.term) {',
        replace: "if (term < state.term && (message.kind !== 'append' || state.lead === null)) {"
      },
      {
        file: 'lib/raft/follower.ts',
        find: '  heardLeader(state, from)\n  if (append',
        replace: '  if (state.lead === null) heardLeader(state, from)\n  if (append'
      },
      {
        file: 'lib/raft/follower.ts',
        find: 'if (commit > log.commit) log.commitTo(commit)',
        replace: 'if (commit > log.commit && state.lead === null) log.commitTo(commit)'
      },
      without('lib/raft/invariants.ts', "assert(after.last.index >= before.last.index, 'a leader only appends')"),
      without('lib/raft/invariants.ts', "assert(after.durable >= before.durable, 'a leader never cuts')"),
      without('lib/raft/invariants.ts', nextPastTheEnd)
    ],
    by: { scenario: 'a-deposed-leader-is-not-obeyed' }
  },
  {
    name: 'compares-no-term-before-it-appends',
    invariant: 'IS3',
    also: ['IS8', 'IS9', 'IX1: a log is cut between two blocks'],
    patches: [
      { file: 'lib/raft/follower.ts', find: '!log.trail.holds(prev)', replace: 'prev.index > log.last.index' },
      { file: 'lib/log/memory-log.ts', find: chainCompared, replace: 'block.first !== tail.index + 1' },
      { file: 'lib/log/level-log.ts', find: chainCompared, replace: 'block.first !== tail.index + 1' }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'commits-an-older-term-by-counting',
    invariant: 'IS4',
    also: ['IS5'],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: 'if (index <= log.commit || log.trail.termAt(index) !== state.term) return',
        replace: 'if (index <= log.commit) return'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'counts-its-own-log-before-it-is-durable',
    invariant: 'IS4',
    also: ['ID1'],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: 'key === state.self ? log.durable : ',
        replace: 'key === state.self ? log.last.index : '
      }
    ],
    by: { depth: 'shallow', faults: ['slow-disk', 'crash'] }
  },
  {
    name: 'half-the-voters-commit',
    invariant: 'IS4',
    also: ['ID1'],
    patches: [
      {
        file: 'lib/raft/quorum.ts',
        find: 'return values[voters.length >> 1]!',
        replace: 'return values[(voters.length - 1) >> 1]!'
      }
    ],
    by: { depth: 'shallow', faults: restless, nodes: 4 }
  },
  {
    name: 'believes-what-an-earlier-start-has-acknowledged',
    invariant: 'IS7',
    also: ['IS4', 'IS5', 'ID1', 'IL3'],
    patches: [without('lib/raft/progress.ts', 'this.match = 0')],
    by: { depth: 'shallow', faults: ['bit-rot', 'isolate-leader', 'drop'] }
  },
  {
    name: 'lets-a-late-answer-lower-match',
    invariant: 'IS7',
    also: [],
    patches: [
      { file: 'lib/raft/progress.ts', find: 'if (news) this.match = match', replace: 'this.match = match' },
      without(
        'lib/raft/invariants.ts',
        "assert(peer.match >= earlier.match, 'match falls only when the peer has started anew')"
      )
    ],
    by: { depth: 'shallow', faults: disorder }
  },
  {
    name: 'lets-a-late-rejection-take-next-below-match',
    invariant: 'IS7',
    also: [],
    patches: [
      without('lib/raft/progress.ts', 'if (reject.index <= this.match) return'),
      {
        file: 'lib/raft/progress.ts',
        find: 'this.next = Math.max(this.match, shared?.index ?? 0) + 1',
        replace: 'this.next = (shared?.index ?? 0) + 1'
      },
      without('lib/raft/invariants.ts', nextPastTheEnd)
    ],
    by: { scenario: 'a-late-rejection-does-not-take-back-what-was-acknowledged' }
  },
  {
    name: 'takes-a-rejection-for-an-acknowledgement',
    invariant: 'IS7',
    also: ['IS4'],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: 'progress.acknowledged(reply.match)',
        replace: 'progress.acknowledged(reply.reject?.index ?? reply.match)'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'acknowledges-before-the-disk-has-it',
    invariant: 'IS8',
    also: ['IS7', 'IS4'],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'return Math.min(state.verified, state.log.durable)',
        replace: 'return state.verified'
      }
    ],
    by: { depth: 'shallow', faults: ['slow-disk', 'crash'] }
  },
  {
    name: 'acknowledges-what-it-has-not-compared',
    invariant: 'IS8',
    also: ['IS7', 'IS4'],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'return Math.min(state.verified, state.log.durable)',
        replace: 'return state.log.durable'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'keeps-what-conflicts',
    invariant: 'IS8',
    also: ['IS7', 'IS4', 'IS3'],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'if (log.trail.termAt(block.first) === block.term) {',
        replace: 'if (log.trail.termAt(block.first) === block.term || lastOf(block) <= log.last.index) {'
      },
      { file: 'lib/log/memory-log.ts', find: chainCompared, replace: 'block.first !== tail.index + 1' },
      { file: 'lib/log/level-log.ts', find: chainCompared, replace: 'block.first !== tail.index + 1' }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'takes-what-was-cut-for-durable',
    invariant: 'IS8',
    also: ['IS7', 'IS4'],
    patches: [
      without('lib/raft/log-state.ts', 'this.#durable = Math.min(this.#durable, index)'),
      {
        file: 'lib/raft/log-state.ts',
        find: 'return this.#durable',
        replace: 'return Math.min(this.#durable, this.#last.index)'
      }
    ],
    by: { depth: 'shallow', faults: [...restless, 'slow-disk'] }
  },
  {
    name: 'commits-what-it-has-not-compared',
    invariant: 'IS9',
    also: ['IS6'],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'const commit = Math.min(append.commit, state.verified)',
        replace: 'const commit = Math.min(append.commit, log.last.index)'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'lets-a-late-append-lower-its-commit-index',
    invariant: 'IS6',
    also: [],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'if (commit > log.commit) log.commitTo(commit)',
        replace: 'log.commitTo(commit)'
      },
      {
        file: 'lib/raft/log-state.ts',
        find: 'assert(index >= this.#commit && index <= this.#last.index,',
        replace: 'assert(index <= this.#last.index,'
      },
      without('lib/raft/invariants.ts', "assert(after.commit >= before.commit, 'the commit index never falls')")
    ],
    by: { depth: 'shallow', faults: disorder }
  },
  {
    name: 'lets-a-late-append-cut-what-was-promised',
    invariant: 'ID1',
    also: ['IP3', 'IS8', 'IS7', 'IS4', 'IS5', 'IL3', 'IL1'],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: "assert(lastOf(block) <= log.last.index, 'a block is held whole or not at all')",
        replace: `log.cut(Math.max(lastOf(block), log.commit))
      state.verified = Math.min(state.verified, log.last.index)`
      },
      without(
        'lib/raft/invariants.ts',
        "assert(after.verified >= before.verified, 'what was verified in a term stays so')"
      )
    ],
    by: { depth: 'shallow', faults: disorder }
  },
  {
    name: 'takes-a-write-for-done-when-it-begins',
    invariant: 'ID1',
    also: ['IP1', 'IS8', 'IS4'],
    patches: [
      {
        file: 'lib/node/node.ts',
        find: "      this.#input({ kind: 'persisted', mark: persist.mark })\n    })",
        replace: "    })\n    this.#input({ kind: 'persisted', mark: persist.mark })"
      }
    ],
    by: { depth: 'shallow', faults: ['slow-disk', 'crash'] }
  },
  {
    name: 'goes-on-after-an-error-of-the-disk',
    invariant: 'ID1',
    also: ['IP1', 'IS8', 'IS4', 'IX2', 'IX1: a block follows the end of the log'],
    patches: [
      {
        file: 'lib/node/node.ts',
        find: '      if (error !== null) {\n        this.#fail(error)',
        replace: '      if (error === undefined) {\n        this.#fail(error)'
      },
      // The log itself says so too.
      without('lib/node/node.ts', 'log.watch(failed)')
    ],
    by: { depth: 'deep', faults: ['io-error', 'full-disk'] }
  }
]
