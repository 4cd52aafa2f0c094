// Mutants of changes of the configuration: two majorities without a member in common, two changes at once, no way out.
import { type Mutant, without } from './mutant.ts'

const ofMany = { scenario: 'a-change-of-many-goes-through-a-joint-configuration' }
const halves = { scenario: 'neither-half-of-a-joint-configuration-decides-alone' }
const removal = { scenario: 'who-is-removed-leads-no-more-and-knows-it' }
const oneByOne = { scenario: 'changes-come-one-at-a-time' }
const restless = ['members', 'isolate-leader', 'partition', 'crash'] as const

export const membership: readonly Mutant[] = [
  {
    name: 'goes-from-one-configuration-to-the-next-at-once',
    invariant: 'IC1',
    also: [],
    patches: [
      {
        file: 'lib/raft/change.ts',
        find: 'if (same(now.voters, target.voters)) return target',
        replace: 'if (now.voters.length > 0) return target'
      }
    ],
    by: ofMany
  },
  {
    name: 'leaves-a-joint-configuration-before-it-is-committed',
    invariant: 'IC1',
    also: [],
    patches: [
      {
        file: 'lib/raft/reconfiguration.ts',
        find: '  if (memberships.index > log.commit) return null\n  if (memberships.current.outgoing',
        replace: '  if (memberships.current.outgoing'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'commits-by-the-incoming-half-alone',
    invariant: 'IC1',
    also: ['IS4', 'IS5'],
    patches: [
      {
        file: 'lib/raft/quorum.ts',
        find: 'return membership.outgoing === null ? value : Math.min(value, majorityValue(membership.outgoing, valueOf))',
        replace: 'return value'
      }
    ],
    by: halves
  },
  {
    name: 'elects-by-the-incoming-half-alone',
    invariant: 'IC1',
    also: ['IS1'],
    patches: [
      {
        file: 'lib/raft/quorum.ts',
        find: ' && (membership.outgoing === null || hasMajority(membership.outgoing, has))',
        replace: ''
      }
    ],
    by: halves
  },
  {
    name: 'begins-a-second-change-while-one-is-under-way',
    invariant: 'IC1',
    also: ['IL5'],
    patches: [
      {
        file: 'lib/raft/reconfiguration.ts',
        find: "return lead.change !== null || unfinished ? 'another change is under way' : null",
        replace: "return unfinished && memberships.current === null ? 'another change is under way' : null"
      }
    ],
    by: oneByOne
  },
  {
    name: 'changes-before-it-has-committed-in-its-term',
    invariant: 'IC1',
    also: [],
    patches: [
      without(
        'lib/raft/reconfiguration.ts',
        "if (log.trail.termAt(log.commit) !== state.term) return 'this leader has committed nothing in its term yet'"
      ),
      {
        file: 'lib/raft/reconfiguration.ts',
        find: 'if (lead === null || lead.transfer !== null || log.trail.termAt(log.commit) !== state.term) return null',
        replace: 'if (lead === null || lead.transfer !== null) return null'
      }
    ],
    by: { scenario: 'a-change-waits-for-the-first-commit-of-its-leader' }
  },
  {
    name: 'goes-on-by-a-configuration-that-was-cut',
    invariant: 'IC2',
    also: [],
    patches: [
      without('lib/raft/membership.ts', 'while (this.#history.length > 1 && this.index > index) this.#history.pop()'),
      without(
        'lib/raft/membership.ts',
        "assert(this.#history.length === 0 || this.index <= index, 'the configuration at the base is never cut')"
      ),
      without(
        'lib/raft/invariants.ts',
        "assert(view.membershipIndex <= last.index, 'the configuration in force is in the log')"
      )
    ],
    by: halves
  },
  {
    name: 'leaves-a-change-to-who-has-begun-it',
    invariant: 'IL1',
    also: [],
    patches: [
      {
        file: 'lib/raft/reconfiguration.ts',
        find: 'if (memberships.current.outgoing !== null) return finalStep(memberships.current)',
        replace: `if (memberships.current.outgoing !== null)
    return lead.change === null ? null : finalStep(memberships.current)`
      }
    ],
    by: { scenario: 'a-joint-configuration-is-led-out-of' }
  },
  {
    name: 'leads-on-after-its-own-removal',
    invariant: 'IC2',
    also: [],
    patches: [without('lib/raft/leader.ts', 'if (hasLeft(state)) resign(state, lead)')],
    by: removal
  },
  {
    name: 'does-not-tell-whom-it-has-removed',
    invariant: 'IL3',
    also: [],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: 'noteLeaving(state, lead, peers)',
        replace: 'for (const key of lead.progress.keys()) if (!peers.includes(key)) lead.progress.delete(key)'
      }
    ],
    by: removal
  },
  {
    name: 'makes-a-learner-a-voter-that-lacks-the-log',
    invariant: 'IL1',
    also: [],
    patches: [
      {
        file: 'lib/raft/change.ts',
        find: 'if (lacks > lacksMax) return',
        replace: 'if (lacks === Number.POSITIVE_INFINITY) return'
      }
    ],
    by: { scenario: 'a-learner-that-lags-is-no-voter-yet' }
  },
  {
    name: 'removes-whom-it-needs',
    invariant: 'IL1',
    also: [],
    patches: [
      {
        file: 'lib/raft/change.ts',
        find: 'if (hasQuorum(target, heard)) return null',
        replace: 'if (target.voters.some(heard)) return null'
      }
    ],
    by: { scenario: 'a-majority-of-those-that-are-left-is-heard' }
  }
]
