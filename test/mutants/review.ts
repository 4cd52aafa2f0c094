// Mutants that a directed scenario finds: each switches off one safety rule, in a story in which that rule alone saves the day.
import { type Mutant, without } from './mutant.ts'

export const review: readonly Mutant[] = [
  {
    name: 'believes-a-mark-by-its-index-alone',
    invariant: 'IP3',
    also: ['IS5', 'ID1'],
    patches: [
      {
        file: 'lib/log/trust.ts',
        find: 'if (held === null || held.term !== mark.term || held.chain !== mark.chain) {',
        replace: 'if (held === null) {'
      }
    ],
    by: { scenario: 'overwritten-blocks-that-come-back-are-not-believed' }
  },
  {
    name: 'believes-old-blocks-by-their-keys-alone',
    invariant: 'IS9',
    also: ['IP3', 'IS5', 'IS8', 'IS3'],
    patches: [
      {
        file: 'lib/log/recovery.ts',
        find: 'if (catalogue.bringsMembership(row) || catalogue.beginsTerm(row)) rows.push(row)',
        replace: 'if (catalogue.bringsMembership(row)) rows.push(row)'
      }
    ],
    by: { scenario: 'an-overwritten-block-that-comes-back-alone-is-not-served' }
  },
  {
    name: 'remembers-term-and-vote-as-its-log-does',
    invariant: 'IP3',
    also: ['IP2', 'IS1', 'IS6'],
    patches: [
      {
        file: 'lib/log/level-log.ts',
        find: 'const sweepKeysMax = 1024',
        replace: `const sweepKeysMax = 1024
const hardKey = new Uint8Array([3, 0, 0])
let hardFound: HardState = { term: 0, vote: null }`
      },
      {
        file: 'lib/log/level-log.ts',
        find: '        done(null, this.#start(recovered))',
        replace: `        settle(this.#level.get(hardKey), (_, bytes) => {
          hardFound = bytes === undefined ? { term: 0, vote: null } : JSON.parse(Buffer.from(bytes).toString())
          done(null, this.#start(recovered))
        })`
      },
      {
        file: 'lib/log/level-log.ts',
        find: 'const { hard, mark, clusterId } = this.#memory.memory\n',
        replace: 'const { mark, clusterId } = this.#memory.memory\n    const hard = hardFound\n'
      },
      {
        file: 'lib/log/level-log.ts',
        find: '    const lowers = low !== null && this.#trusted',
        replace: `    if (hard !== null) {
      jobs[0]!.operations.push({ type: 'put', key: hardKey, value: Buffer.from(JSON.stringify(hard)) })
    }
    const lowers = low !== null && this.#trusted`
      }
    ],
    by: { scenario: 'a-vote-does-not-live-in-the-log' }
  },
  {
    name: 'reads-its-memory-whatever-its-check-value',
    invariant: 'IP2',
    also: ['IP3', 'IS1', 'IS6'],
    patches: [
      without('lib/log/memory.ts', 'if (crc32(slot.subarray(at.format, length)) !== readU32(slot, at.crc)) return null')
    ],
    by: { scenario: 'a-node-without-its-memory-never-votes-again' }
  },
  {
    name: 'cuts-below-its-mark',
    invariant: 'IL1',
    also: [],
    patches: [
      {
        file: 'lib/log/level-log.ts',
        find: 'const lowers = low !== null && this.#trusted && low.index < this.#memory.memory.mark.index',
        replace: 'const lowers = false'
      }
    ],
    by: { scenario: 'a-cut-that-is-right-is-no-alarm' }
  },
  {
    name: 'gives-no-vote-while-it-is-untrusted',
    invariant: 'IL1',
    also: [],
    patches: [
      {
        file: 'lib/raft/voting.ts',
        find: "if (compareLogIds(request.last, state.log.last) < 0) return 'log'",
        replace: "if (!state.trusted || compareLogIds(request.last, state.log.last) < 0) return 'log'"
      }
    ],
    by: { scenario: 'untrusted-nodes-elect-one-that-is-whole' }
  },
  {
    name: 'acknowledges-nothing-while-it-is-untrusted',
    invariant: 'IL1',
    also: ['IL3'],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'if (state.owesReply && state.hardDurable) {',
        replace: 'if (state.owesReply && state.hardDurable && state.trusted) {'
      }
    ],
    by: { scenario: 'untrusted-nodes-elect-one-that-is-whole' }
  },
  {
    name: 'votes-by-what-is-left-of-its-log',
    invariant: 'IS5',
    also: [],
    patches: [
      without('lib/raft/voting.ts', "if (!state.trusted && compareLogIds(request.last, state.mark) < 0) return 'log'")
    ],
    by: { scenario: 'an-untrusted-node-votes-by-its-mark' }
  },
  {
    name: 'is-trusted-as-soon-as-it-is-told-how-far-the-log-goes',
    invariant: 'IS5',
    also: ['IP3'],
    patches: [
      {
        file: 'lib/raft/core.ts',
        find: 'return durableMatch(state) >= state.trustIndex',
        replace: 'return durableMatch(state) >= 0'
      }
    ],
    by: { scenario: 'trust-returns-with-the-whole-log' }
  },
  {
    name: 'names-members-by-their-id-alone',
    invariant: 'IS6',
    also: ['IS5', 'IP2', 'IS1'],
    patches: [
      {
        file: 'lib/server/life.ts',
        find: 'return toHex(Uint8Array.from({ length: 8 }, () => env.random(256)))',
        replace: 'return toHex(Uint8Array.from({ length: 8 }, () => env.random(1)))'
      }
    ],
    by: { scenario: 'a-wiped-node-is-not-let-in-under-its-old-name' }
  },
  {
    name: 'counts-votes-by-name',
    invariant: 'IS1',
    also: [],
    patches: [
      {
        file: 'lib/raft/quorum.ts',
        find: "if (hasQuorum(membership, key => granted.has(key))) return 'won'",
        replace: `const names = new Set([...granted].map(key => key.split('.')[0]))
  if (hasQuorum(membership, key => names.has(key.split('.')[0]))) return 'won'`
      }
    ],
    by: { scenario: 'a-replaced-member-is-not-counted-for-its-former-disk' }
  },
  {
    name: 'counts-acknowledgements-by-name',
    invariant: 'IS4',
    also: [],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: 'key === state.self ? log.durable : (lead.progress.get(key)?.match ?? 0)',
        replace: `key === state.self
      ? log.durable
      : Math.max(0, ...[...lead.progress].map(([k, { match }]) => (k.split('.')[0] === key.split('.')[0] ? match : 0)))`
      }
    ],
    by: { scenario: 'a-replaced-member-is-not-counted-for-its-former-disk' }
  },
  {
    name: 'votes-only-for-whom-it-knows',
    invariant: 'IL1',
    also: [],
    patches: [
      {
        file: 'lib/raft/voting.ts',
        find: '  const { from, term } = envelope\n',
        replace: `  const { from, term } = envelope
  const { voters, outgoing } = state.memberships.current
  if (!voters.includes(from) && outgoing?.includes(from) !== true) return
`
      }
    ],
    by: { scenario: 'a-candidate-that-a-voter-has-never-heard-of-may-win' }
  },
  {
    name: 'counts-the-votes-of-strangers',
    invariant: 'IS1',
    also: [],
    patches: [
      {
        file: 'lib/raft/quorum.ts',
        find: "if (hasQuorum(membership, key => granted.has(key))) return 'won'",
        replace: "if (2 * granted.size > membership.voters.length) return 'won'"
      }
    ],
    by: { scenario: 'strangers-are-not-counted' }
  },
  {
    name: 'counts-the-acknowledgements-of-strangers',
    invariant: 'IS4',
    also: [],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: '  const progress = lead?.progress.get(from)\n',
        replace: `  if (lead?.progress.has(from) === false) lead.progress.set(from, new Progress(state.log.last.index + 1, state.now))
  const progress = lead?.progress.get(from)
`
      },
      {
        file: 'lib/raft/leader.ts',
        find: `  const index = quorumValue(state.memberships.current, key =>
    key === state.self ? log.durable : (lead.progress.get(key)?.match ?? 0)
  )`,
        replace: `  const matches = [log.durable, ...[...lead.progress.values()].map(({ match }) => match)].toSorted((a, b) => b - a)
  const index = matches[state.memberships.current.voters.length >> 1]!`
      }
    ],
    by: { scenario: 'strangers-are-not-counted' }
  },
  {
    name: 'takes-its-own-close-for-a-death',
    invariant: 'IL2',
    also: [],
    patches: [
      {
        file: 'lib/transport/peer-link.ts',
        find: '    this.#end(false, reason)',
        replace: '    this.#end(true, reason)'
      }
    ],
    by: { scenario: 'a-link-closed-by-this-side-is-no-hint' }
  },
  {
    name: 'stands-whenever-a-link-breaks',
    invariant: 'IL2',
    also: [],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'if (!canStand(state) || now - state.hintedAt < config.electionTimeoutMsMin) return',
        replace: 'if (!canStand(state)) return'
      }
    ],
    by: { scenario: 'a-broken-link-hurries-one-campaign-per-timeout' }
  },
  {
    name: 'forgets-what-it-has-promised-when-a-link-breaks',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: '  if (now < state.promisedUntil) return\n',
        replace: '  state.promisedUntil = Number.NEGATIVE_INFINITY\n'
      }
    ],
    by: { scenario: 'a-lease-outlasts-a-broken-link' }
  },
  {
    name: 'starts-without-a-promise',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: 'this.promisedUntil = config.leaseReads ? now + config.leaseMs : Number.NEGATIVE_INFINITY',
        replace: 'this.promisedUntil = Number.NEGATIVE_INFINITY'
      }
    ],
    by: { scenario: 'a-voter-that-was-restarted-keeps-its-promise' }
  },
  {
    name: 'waits-for-a-whole-timeout-after-a-split-vote',
    invariant: 'IL1',
    also: [],
    patches: [
      without(
        'lib/raft/candidate.ts',
        'state.electionAt = Math.min(state.electionAt, state.now + min + state.random.below(max - min + 1))'
      )
    ],
    by: { scenario: 'two-who-see-the-crash-at-once-soon-agree' }
  },
  {
    name: 'tries-again-at-once-after-a-split-vote',
    invariant: 'IL1',
    also: [],
    patches: [
      {
        file: 'lib/raft/candidate.ts',
        find: 'state.electionAt = Math.min(state.electionAt, state.now + min + state.random.below(max - min + 1))',
        replace: 'state.electionAt = Math.min(state.electionAt, state.now + Math.min(min, max))'
      }
    ],
    by: { scenario: 'two-who-see-the-crash-at-once-soon-agree' }
  },
  {
    name: 'waits-though-nobody-else-can-win',
    invariant: 'IL1',
    also: [],
    patches: [
      without(
        'lib/raft/voting.ts',
        "if (reason === 'log' && state.campaign === null && state.lead === null && canStand(state)) startCampaign(state)"
      )
    ],
    by: { scenario: 'the-better-log-does-not-wait' }
  }
]
