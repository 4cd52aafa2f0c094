// Mutants that lose nothing and get nowhere: no leader, elections without need, followers that never come level.
import { type Mutant, without } from './mutant.ts'

export const liveness: readonly Mutant[] = [
  {
    name: 'needs-every-voter',
    invariant: 'IL1',
    also: [],
    patches: [
      {
        file: 'lib/raft/quorum.ts',
        find: 'return 2 * count > voters.length',
        replace: 'return count === voters.length'
      },
      {
        file: 'lib/raft/quorum.ts',
        find: 'return values[voters.length >> 1]!',
        replace: 'return values[voters.length - 1]!'
      }
    ],
    by: { depth: 'shallow', faults: ['partition', 'crash', 'wiped-disk'] }
  },
  {
    name: 'elects-only-where-a-link-breaks',
    invariant: 'IL1',
    also: ['IL5'],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: 'this.electionAt = this.now + min + this.random.below(max - min + 1)',
        replace: 'this.electionAt = Number.POSITIVE_INFINITY'
      }
    ],
    by: { depth: 'shallow', faults: ['isolate-leader', 'partition'] }
  },
  {
    name: 'leads-on-without-being-heard',
    invariant: 'IL1',
    also: ['IL5'],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: 'if (state.now >= patientUntil) state.becomeFollower(state.term, null)',
        replace: 'if (state.now >= patientUntil) lead.quorumCheckAt = state.now + state.config.electionTimeoutMsMax'
      }
    ],
    by: { scenario: 'who-hears-nobody-leads-no-more' }
  },
  {
    name: 'beats-too-rarely',
    invariant: 'IL2',
    also: ['IL1'],
    patches: [
      {
        file: 'lib/raft/progress.ts',
        find: 'this.beatAt = now + heartbeatMs',
        replace: 'this.beatAt = now + 30 * heartbeatMs'
      }
    ],
    by: { depth: 'shallow', faults: [], clients: 1 }
  },
  {
    name: 'waits-no-longer-for-a-leader-it-hears',
    invariant: 'IL2',
    also: [],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'state.leaderHeardAt = state.now\n  state.resetElection()',
        replace: 'state.leaderHeardAt = state.now'
      }
    ],
    by: { depth: 'shallow', faults: [] }
  },
  {
    name: 'probes-again-where-it-was-refused',
    invariant: 'IL3',
    also: ['IL4', 'IL1'],
    patches: [without('lib/raft/progress.ts', 'this.next = Math.max(this.match, shared?.index ?? 0) + 1')],
    by: { depth: 'shallow', faults: ['partition', 'crash', 'drop'] }
  },
  {
    name: 'hears-no-refusal-while-it-replicates',
    invariant: 'IL3',
    also: ['IL1', 'IL5'],
    patches: [
      {
        file: 'lib/raft/progress.ts',
        find: 'if (reject.index <= this.match) return',
        replace: "if (reject.index <= this.match || this.mode === 'replicate') return"
      }
    ],
    by: { depth: 'shallow', faults: ['drop', 'partition'] }
  },
  {
    name: 'never-counts-down-what-is-in-flight',
    invariant: 'IL3',
    also: ['IL1', 'IL5'],
    patches: [
      without('lib/node/replicator.ts', 'this.#inFlightBytes -= append.bytes'),
      // Four megabytes would take a simulation too long.
      { file: 'lib/node/replicator.ts', find: 'limits.inFlightBytesMax - ', replace: '65_536 - ' }
    ],
    by: { depth: 'shallow', faults: [] }
  },
  {
    name: 'goes-back-one-record-at-a-time',
    invariant: 'IL4',
    also: ['IL3'],
    patches: [
      {
        file: 'lib/raft/progress.ts',
        find: 'trail.lastWithin(Math.min(reject.hint.index, reject.index - 1), reject.hint.term)',
        replace: 'trail.lastWithin(reject.index - 1, Number.MAX_SAFE_INTEGER)'
      }
    ],
    by: { depth: 'shallow', faults: ['crash', 'partition', 'isolate-leader'] }
  }
]
