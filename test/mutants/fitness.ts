// Mutants of fitness: a leader that keeps the lead with a hung disk, gives it to one no better, or gives it up for nothing.
import type { Mutant } from './mutant.ts'

const hangs = { scenario: 'a-leader-whose-disk-hangs-gives-way' }

export const fitness: readonly Mutant[] = [
  {
    name: 'keeps-the-lead-with-a-hung-disk',
    invariant: 'IL6',
    also: [],
    patches: [{ file: 'lib/node/succession.ts', find: '} else this.#giveWay(now)', replace: '}' }],
    by: hangs
  },
  {
    name: 'asks-one-whose-disk-hangs-as-well',
    invariant: 'IL6',
    also: [],
    patches: [
      {
        file: 'lib/node/succession.ts',
        find: '(!hangs || status.match(key) > status.durable)',
        replace: '(!hangs || status.match(key) <= status.durable)'
      }
    ],
    by: hangs
  },
  {
    name: 'steps-down-where-nobody-would-do-better',
    invariant: 'IL6',
    also: [],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: 'if (!hasQuorum(state.memberships.current, isAhead)) return',
        replace: 'isAhead(state.self)'
      }
    ],
    by: hangs
  },
  {
    name: 'stands-for-election-with-a-hung-disk',
    invariant: 'IL6',
    also: [],
    patches: [
      { file: 'lib/raft/state.ts', find: 'if (this.fit) return false', replace: 'if (this.term >= 0) return false' }
    ],
    by: hangs
  },
  {
    name: 'never-stands-where-it-has-been-held-up',
    invariant: 'IL6',
    also: ['IL1'],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: 'unfitTimeouts * this.config.electionTimeoutMsMax',
        replace: 'Number.POSITIVE_INFINITY'
      }
    ],
    by: hangs
  }
]
