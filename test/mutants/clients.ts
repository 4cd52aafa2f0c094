// Mutants of what clients are promised: reads that are not stale, writes whose fate is told truly.
import { inRounds, type Mutant, without } from './mutant.ts'

const restless = ['partition', 'isolate-leader', 'crash', 'delay', 'drop'] as const

export const clients: readonly Mutant[] = [
  {
    name: 'answers-a-read-before-the-state-is-there',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/node/reads.ts',
        find: 'if (index > applied || (read.enough !== null && !read.enough())) return true',
        replace: 'if (read.enough !== null && !read.enough()) return true'
      }
    ],
    by: { depth: 'shallow', faults: ['delay', 'slow'] }
  },
  {
    name: 'reads-on-a-follower-without-asking',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/node/node.ts',
        find: 'if (this.#reads.admit(terms, this,',
        replace:
          "const believed = this.raft.status.role === 'leader' ? terms : ({ ...terms, point: 'local' } as const)\n    if (this.#reads.admit(believed, this,"
      }
    ],
    by: { depth: 'shallow', faults: ['delay', 'partition'] }
  },
  {
    name: 'reads-without-asking-a-quorum',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/read-rounds.ts',
        find: 'if (!this.#underWay || !hasQuorum(membership, key => this.#answered.has(key))) return null',
        replace: 'if (!this.#underWay) return null'
      }
    ],
    by: { scenario: 'one-answer-too-few-confirms-no-read' }
  },
  {
    name: 'confirms-a-read-by-one-answer-too-few',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/read-rounds.ts',
        find: 'if (!this.#underWay || !hasQuorum(membership, key => this.#answered.has(key))) return null',
        replace: 'if (!this.#underWay || 2 * this.#answered.size < votersOf(membership).length - 1) return null'
      }
    ],
    by: { scenario: 'one-answer-too-few-confirms-no-read' }
  },
  {
    name: 'lets-an-earlier-answer-confirm-a-later-question',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/asked-reads.ts',
        find: 'while ((this.#asked[0]?.number ?? Number.POSITIVE_INFINITY) <= number)',
        replace: 'while (this.#asked.length > 0)'
      }
    ],
    by: { scenario: 'an-answer-confirms-only-what-was-asked-before-it' }
  },
  {
    name: 'answers-its-reads-as-it-steps-down',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: 'if (read.from === null) this.asked.add(read.number)',
        replace: 'if (read.from === null) this.reads.push({ ticket: read.number, index: this.log.commit })'
      }
    ],
    by: { depth: 'shallow', faults: ['isolate-leader', 'partition', 'stall', 'pause'] }
  },
  {
    name: 'calls-a-write-without-an-answer-not-applied',
    invariant: 'IO1',
    also: ['IK1'],
    patches: [
      {
        file: 'lib/client/writes.ts',
        find: 'this.#failAll(draft, operationId => timedOut(fate, operationId, why))',
        replace: "this.#failAll(draft, operationId => timedOut('not-applied', operationId, why))"
      }
    ],
    by: { depth: 'deep', faults: restless }
  },
  {
    name: 'takes-a-broken-link-for-a-refusal',
    invariant: 'IO1',
    also: ['IK1'],
    patches: [
      {
        file: 'lib/client/writes.ts',
        find: 'draft.path = null\n      draft.uncertain = true',
        replace: 'draft.path = null'
      }
    ],
    by: {
      depth: 'deep',
      faults: [],
      // All processes are killed, and are back when the patience of their clients is over.
      schedule: inRounds(5_000, 4, [
        { at: 0, kind: 'crash', node: 0, ms: 2_600, amount: 1 },
        { at: 0, kind: 'crash', node: 1, ms: 2_600, amount: 1 },
        { at: 0, kind: 'crash', node: 2, ms: 2_600, amount: 1 }
      ]),
      durationMs: 25_000
    }
  },
  {
    name: 'sends-a-write-again-under-another-name',
    invariant: 'IO1',
    also: ['IK1'],
    patches: [
      {
        file: 'lib/client/draft.ts',
        find: 'if (this.attempts > 0) this.bytes = new Uint8Array(this.bytes)',
        replace: `if (this.attempts > 0) {
      this.bytes = new Uint8Array(this.bytes)
      this.bytes[commandAt.session + 17] = this.attempts
    }`
      }
    ],
    by: { depth: 'deep', faults: ['reset', 'crash', 'partition'] }
  },
  {
    name: 'takes-the-loss-of-the-lead-for-a-refusal',
    invariant: 'IO1',
    also: ['IK1'],
    patches: [
      {
        file: 'lib/node/intake.ts',
        find: "refusal('NOT_LEADER', 'unknown', 'leadership was lost before the request was committed', 0)",
        replace: "refusal('NOT_LEADER', 'not-applied', 'leadership was lost before the request was committed', 0)"
      }
    ],
    by: {
      depth: 'deep',
      faults: [],
      // Nobody hears anybody until the leader has given up; then the records that it had to give up are committed.
      schedule: inRounds(5_000, 4, [
        { at: 0, kind: 'bridge', node: 0, ms: 2_600, amount: 0 },
        { at: 0, kind: 'bridge', node: 1, ms: 2_600, amount: 0 },
        { at: 0, kind: 'bridge', node: 2, ms: 2_600, amount: 0 }
      ]),
      durationMs: 25_000
    }
  },
  {
    name: 'answers-a-write-with-what-became-of-the-one-before',
    invariant: 'IO1',
    also: ['IK1', 'IA3', 'ID1'],
    patches: [
      {
        file: 'lib/server/client-port.ts',
        find: '  #paused = false\n',
        replace: '  #paused = false\n  #before: WriteResult | null = null\n'
      },
      {
        file: 'lib/server/client-port.ts',
        find: 'life.node.write(frame, result => this.#send(resultFrame(number, result)))',
        replace: `life.node.write(frame, result => {
      this.#send(resultFrame(number, this.#before ?? result))
      this.#before = result
    })`
      }
    ],
    by: { depth: 'deep', faults: ['delay', 'crash'] }
  },
  {
    name: 'forgets-its-callers-when-it-loses-the-lead',
    invariant: 'IL5',
    also: [],
    patches: [
      {
        file: 'lib/node/node.ts',
        find: 'this.#intake.leadershipLost(',
        replace: 'if (this.#over) this.#intake.leadershipLost('
      }
    ],
    by: { scenario: 'who-leads-no-more-answers-its-callers' }
  },
  {
    name: 'lets-reads-wait-for-ever',
    invariant: 'IL5',
    also: [],
    patches: [
      without('lib/raft/state.ts', 'for (const read of released) if (read.from === null) this.asked.add(read.number)'),
      { file: 'lib/node/reads.ts', find: 'if (read.deadline > now) return true', replace: 'if (now > 0) return true' }
    ],
    by: { scenario: 'who-leads-no-more-answers-its-callers' }
  },
  {
    name: 'lets-a-write-outlive-its-deadline',
    invariant: 'IL5',
    also: [],
    patches: [without('lib/client/draft.ts', 'this.#owner.lateDraft(this)')],
    by: { depth: 'deep', faults: restless }
  }
]
