// Mutants of elections and terms: votes, candidacies, and what must be on the disk before a node speaks.
import { inRounds, type Mutant, without } from './mutant.ts'

const restless = ['partition', 'isolate-leader', 'crash', 'delay', 'drop'] as const

export const elections: readonly Mutant[] = [
  {
    name: 'wins-one-vote-short',
    invariant: 'IS1',
    also: ['IS5'],
    patches: [
      {
        file: 'lib/raft/quorum.ts',
        find: "if (hasQuorum(membership, key => granted.has(key))) return 'won'",
        replace: "if (2 * granted.size >= membership.voters.length - 1) return 'won'"
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'counts-pre-votes-as-votes',
    invariant: 'IS1',
    also: [],
    patches: [
      {
        file: 'lib/raft/candidate.ts',
        find: 'const asked = reply.pre ? state.term + 1 : state.term',
        replace: 'const asked = reply.pre && state.campaign?.pre !== false ? state.term + 1 : state.term'
      },
      {
        file: 'lib/raft/candidate.ts',
        find: 'campaign.pre !== reply.pre || campaign.round !== reply.round || ',
        replace: ''
      }
    ],
    by: { depth: 'shallow', faults: restless, nodes: 5 }
  },
  {
    name: 'half-the-voters-elect',
    invariant: 'IS1',
    also: ['IS5', 'IK1'],
    patches: [
      {
        file: 'lib/raft/quorum.ts',
        find: 'return 2 * count > voters.length',
        replace: 'return 2 * count >= voters.length'
      }
    ],
    by: { depth: 'shallow', faults: restless, nodes: 4 }
  },
  {
    name: 'votes-twice-in-a-term',
    invariant: 'IP2',
    also: ['IS1'],
    patches: [
      {
        file: 'lib/raft/voting.ts',
        find: 'if (term === state.term && state.vote !== null && state.vote !== from) {',
        replace: 'if (request.pre && term === state.term && state.vote !== null && state.vote !== from) {'
      },
      without(
        'lib/raft/invariants.ts',
        "assert(before.vote === null || after.vote === before.vote, 'a vote is given once in a term')"
      )
    ],
    by: { depth: 'shallow', faults: restless, nodes: 5 }
  },
  {
    name: 'forgets-its-vote-at-a-restart',
    invariant: 'IP2',
    also: ['IP3', 'IS1'],
    patches: [{ file: 'lib/raft/state.ts', find: 'this.vote = restored.hard.vote', replace: 'this.vote = null' }],
    by: { scenario: 'a-vote-does-not-live-in-the-log' }
  },
  {
    name: 'forgets-its-term-at-a-restart',
    invariant: 'IS6',
    also: ['IP3'],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: 'this.term = restored.hard.term',
        replace: 'this.term = restored.last.term'
      }
    ],
    by: { depth: 'shallow', faults: ['crash', 'crash-all', 'partition', 'isolate-leader'] }
  },
  {
    name: 'goes-back-to-an-earlier-term',
    invariant: 'IS6',
    also: [],
    patches: [
      {
        file: 'lib/raft/core.ts',
        find: 'if (term < state.term) {',
        replace: "if (term < state.term && message.kind !== 'append') {"
      },
      { file: 'lib/raft/core.ts', find: 'if (term > state.term) {', replace: 'if (term !== state.term) {' },
      { file: 'lib/raft/state.ts', find: 'if (term > this.term) {', replace: 'if (term !== this.term) {' },
      without('lib/raft/invariants.ts', "assert(after.term >= before.term, 'the term never falls')"),
      without('lib/raft/invariants.ts', "assert(last.term <= term, 'no record is of a later term than the node')"),
      {
        file: 'lib/raft/invariants.ts',
        find: 'if (after.term > before.term) return',
        replace: 'if (after.term !== before.term) return'
      }
    ],
    by: { depth: 'shallow', faults: [...restless, 'stall', 'reorder'] }
  },
  {
    name: 'votes-for-a-shorter-log',
    invariant: 'IS5',
    also: [],
    patches: [
      {
        file: 'lib/raft/voting.ts',
        find: "if (compareLogIds(request.last, state.log.last) < 0) return 'log'",
        replace: "if (request.last.term < state.log.last.term) return 'log'"
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'judges-logs-by-their-length-alone',
    invariant: 'IS5',
    also: [],
    patches: [
      {
        file: 'lib/raft/voting.ts',
        find: "if (compareLogIds(request.last, state.log.last) < 0) return 'log'",
        replace: "if (request.last.index < state.log.last.index) return 'log'"
      }
    ],
    by: { scenario: 'a-longer-log-of-an-older-term-does-not-win' }
  },
  {
    name: 'stands-with-a-damaged-log',
    invariant: 'IS5',
    also: [],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: 'if (!this.trusted || ',
        replace: 'if ('
      },
      without('lib/raft/invariants.ts', "assert(!campaigning || view.trusted, 'only who trusts its log campaigns')")
    ],
    by: {
      depth: 'shallow',
      faults: [],
      // One is deaf, one is damaged, and who leads is cut off: the first two to come back must not elect the damaged one.
      schedule: inRounds(5_000, 4, [
        { at: 0, kind: 'one-way', node: 2, ms: 1_500, amount: 0.2 },
        { at: 700, kind: 'bit-rot', node: 1, ms: 300, amount: 20 },
        { at: 750, kind: 'isolate-leader', node: 'leader', ms: 3_000, amount: 0.8 }
      ]),
      durationMs: 25_000
    }
  },
  {
    name: 'stands-again-in-the-same-term',
    invariant: 'IS10',
    also: [],
    patches: [
      {
        file: 'lib/raft/candidate.ts',
        find: '  state.term++',
        replace: '  if (state.vote !== state.self) state.term++'
      },
      without(
        'lib/raft/candidate.ts',
        "assert(compareLogIds(state.log.last, { term: state.term, index: 0 }) < 0, 'no log holds a term before its election')"
      ),
      without(
        'lib/raft/invariants.ts',
        "assert(role !== 'candidate' || last.term < term, 'no log holds a record of a term before its leader is elected')"
      ),
      without(
        'lib/raft/invariants.ts',
        "assert(after.role !== 'candidate', 'who has led a term does not stand in it again')"
      ),
      without(
        'lib/raft/invariants.ts',
        "assert(after.verified >= before.verified, 'what was verified in a term stays so')"
      )
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'speaks-before-its-term-is-durable',
    invariant: 'IP1',
    also: [],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: 'return !this.hardChanged && this.#persistedMark >= this.#hardMark',
        replace: 'return true'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'keeps-its-vote-from-the-disk',
    invariant: 'IP1',
    also: ['IP2', 'IP3'],
    patches: [without('lib/raft/voting.ts', 'state.hardChanged = true')],
    by: { depth: 'shallow', faults: restless, nodes: 5 }
  },
  {
    name: 'lets-what-waits-for-the-disk-leave-with-any-write',
    invariant: 'IP1',
    also: [],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: 'if (!this.hardDurable || this.#held.length === 0) return',
        replace: 'if (this.#held.length === 0) return'
      }
    ],
    by: { depth: 'shallow', faults: [...restless, 'slow-disk'] }
  },
  {
    name: 'leaves-term-and-vote-out-of-its-writes',
    invariant: 'IP1',
    also: [],
    patches: [
      {
        file: 'lib/raft/log-state.ts',
        find: '{ mark: ++this.#mark, hard, cut: this.#cut, blocks: this.#blocks, trust }',
        replace: '{ mark: ++this.#mark, hard: null, cut: this.#cut, blocks: this.#blocks, trust }'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'stands-while-it-leads',
    invariant: 'IX1',
    also: ['IX1: a leader does not campaign'],
    patches: [
      {
        file: 'lib/raft/core.ts',
        find: 'if (state.lead === null) tickFollower(state)\n        else tickLeader(state)',
        replace: 'tickFollower(state)\n        if (state.lead !== null) tickLeader(state)'
      }
    ],
    by: { depth: 'shallow', faults: [] }
  }
]
