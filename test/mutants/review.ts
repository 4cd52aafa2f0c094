// Mutants that a directed scenario finds: each switches off one safety rule, in a story in which that rule alone saves the day.
import { type Mutant, type Patch, without } from './mutant.ts'

/** What a broken flush leaves would else be found when the state is opened, and made again. */
const seesNoHole: Patch = {
  file: 'lib/kv/generations.ts',
  find: 'done(error ?? chain.fault(head), chain.newest)',
  replace: 'done(error, chain.newest)'
}

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
  },
  {
    name: 'opens-a-session-however-old',
    invariant: 'IO1',
    also: [],
    patches: [
      {
        file: 'lib/machine/session-table.ts',
        find: 'if (opened < this.#horizon || opened + this.#limits.lifetimeMs <= time) return null',
        replace: 'if (opened < this.#horizon) return null'
      }
    ],
    by: { scenario: 'an-expired-session-is-never-opened-again' }
  },
  {
    name: 'opens-a-session-that-it-has-dropped',
    invariant: 'IO1',
    also: [],
    patches: [without('lib/machine/session-table.ts', 'this.#horizon = Math.max(this.#horizon, session.opened + 1)')],
    by: { scenario: 'a-session-dropped-for-want-of-room-is-never-opened-again' }
  },
  {
    name: 'answers-a-resolve-from-its-state',
    invariant: 'IO1',
    also: [],
    patches: [
      // What it peeks at becomes no part of its state.
      without('lib/machine/decisions.ts', "assert(this.#folded === answers.length, 'what is answered is folded')"),
      {
        file: 'lib/machine/decisions.ts',
        find: '    this.#table.store(session, serial, cancelled)\n    return cancelled',
        replace: '    return cancelled'
      },
      {
        file: 'lib/machine/replicated-machine.ts',
        find: '  /** What is wrong with a draft record as a client sent it',
        replace: `  peek(bytes: Uint8Array): Answer {
    const { index, term } = this.#applied
    const block = { bytes, term } as unknown as Block
    this.#decisions.resolve({ block, at: 0, length: bytes.length, index, time: this.#time })
    return this.#decisions.take().at(-1)!
  }

  /** What is wrong with a draft record as a client sent it`
      },
      {
        file: 'lib/node/intake.ts',
        find: '    const fault = machine.check(request.draft)\n',
        replace: `    if (request.draft[4] === recordKind.resolve) {
      request.done({ kind: 'answer', answer: machine.peek(request.draft) })
      return false
    }
    const fault = machine.check(request.draft)
`
      }
    ],
    by: { scenario: 'a-resolve-hears-of-what-stands-uncommitted-in-the-log' }
  },
  {
    name: 'tells-what-has-not-come-and-lets-it-come',
    invariant: 'IO1',
    also: [],
    patches: [
      {
        file: 'lib/machine/decisions.ts',
        find: '    this.#table.store(session, serial, cancelled)\n    return cancelled',
        replace: '    return cancelled'
      }
    ],
    by: { scenario: 'what-was-taken-back-is-never-executed' }
  },
  {
    name: 'judges-lateness-by-what-it-has-heard-last',
    invariant: 'IA1',
    also: ['IA3', 'IO1'],
    patches: [
      {
        file: 'lib/machine/replicated-machine.ts',
        find: 'const place: Place = { block, at, length, index, time: this.#time }',
        replace: `const heard = readU64(this.#blocks.at(-1)!.bytes, blockHeaderBytes + recordAt.time)
    const place: Place = { block, at, length, index, time: Math.max(this.#time, heard) }`
      }
    ],
    by: { scenario: 'a-deadline-is-compared-with-the-stamp-of-the-record' }
  },
  {
    name: 'executes-what-comes-too-late',
    invariant: 'IO1',
    also: [],
    patches: [
      {
        file: 'lib/machine/decisions.ts',
        find: 'const late = notAfter !== 0 && notAfter < time',
        replace: 'const late = notAfter !== 0 && notAfter < 0'
      }
    ],
    by: { scenario: 'a-deadline-is-compared-with-the-stamp-of-the-record' }
  },
  {
    name: 'counts-a-deadline-from-each-attempt',
    invariant: 'IO1',
    also: [],
    patches: [
      {
        file: 'lib/client/draft.ts',
        find: '    path.send(this.bytes)',
        replace: `    const { notAfterMs } = this.writes[0]!
    if (notAfterMs > 0) writeU64(this.bytes, commandAt.notAfter, path.clusterTime(now + notAfterMs))
    path.send(this.bytes)`
      }
    ],
    by: { scenario: 'a-deadline-stays-the-same-over-retries' }
  },
  {
    name: 'leaps-with-its-own-clock',
    invariant: 'IA4',
    also: [],
    patches: [
      {
        file: 'lib/machine/cluster-time.ts',
        find: 'const passed = Math.min(now - this.#since, advanceMsMax)',
        replace: 'const passed = now - this.#since'
      }
    ],
    by: { scenario: 'cluster-time-waits-for-a-leader-that-was-held-up' }
  },
  {
    name: 'begins-its-term-at-a-time-of-its-own',
    invariant: 'IA4',
    also: [],
    patches: [without('lib/machine/cluster-time.ts', 'if (time > this.#time) this.#time = time')],
    by: { scenario: 'cluster-time-goes-on-from-where-the-last-leader-left-it' }
  },
  {
    name: 'counts-time-while-nobody-leads',
    invariant: 'IA4',
    also: [],
    patches: [
      {
        file: 'lib/machine/cluster-time.ts',
        find: 'this.#since = now\n    this.#leading = true',
        replace: 'this.#leading = true'
      }
    ],
    by: { scenario: 'cluster-time-goes-on-from-where-the-last-leader-left-it' }
  },
  {
    name: 'flushes-without-waiting-for-the-disk',
    invariant: 'IA3',
    also: ['IA1'],
    patches: [
      {
        file: 'lib/kv/flush.ts',
        find: 'this.#batch.write({ sync: true }),',
        replace: 'this.#batch.write({ sync: false }),'
      },
      seesNoHole
    ],
    by: { scenario: 'a-power-cut-leaves-no-hole-in-the-state' }
  },
  {
    name: 'flushes-the-index-after-the-keys',
    invariant: 'IA3',
    also: [],
    patches: [
      without('lib/kv/flush.ts', 'this.#batch.put(headKey, writeHead(this.#head))'),
      {
        file: 'lib/kv/flush.ts',
        find: '      () => this.#done(null),\n',
        replace: `      () => {
        const last = this.#parts.level.batch()
        last.put(headKey, writeHead(this.#head))
        settle(
          last.write({ sync: true }),
          () => this.#done(null),
          error => this.#done(levelFault('written', error))
        )
      },
`
      },
      seesNoHole
    ],
    by: { scenario: 'a-state-is-flushed-whole-or-not-at-all' }
  },
  {
    name: 'flushes-the-sessions-of-the-flush-before',
    invariant: 'IO1',
    also: ['IA3'],
    patches: [
      {
        file: 'lib/machine/replicated-machine.ts',
        find: '  #time = 0\n',
        replace: '  #time = 0\n  #stored: Uint8Array | null = null\n'
      },
      {
        file: 'lib/machine/replicated-machine.ts',
        find: 'this.#inner.flush(upTo, this.sidecar(), error => {',
        replace: `const stored = this.#stored ?? this.sidecar()
    this.#stored = this.sidecar()
    this.#inner.flush(upTo, stored, error => {`
      },
      {
        file: 'lib/machine/replicated-machine.ts',
        find: 'if (sidecar === null || sidecar.applied.index !== durable.index || sidecar.applied.term !== durable.term) {',
        replace: 'if (sidecar === null) {'
      },
      {
        file: 'lib/machine/replicated-machine.ts',
        find: 'this.#applied = sidecar.applied',
        replace: 'this.#applied = durable'
      }
    ],
    by: { scenario: 'the-sessions-on-disk-are-those-of-the-state' }
  },
  {
    name: 'takes-a-write-that-was-cut-for-what-stands-there-since',
    invariant: 'IS8',
    also: [],
    patches: [
      without('lib/raft/log-state.ts', 'for (const write of this.#writes) write.index = Math.min(write.index, index)')
    ],
    by: { scenario: 'the-end-of-a-write-says-nothing-of-what-was-cut' }
  },
  {
    name: 'gives-out-what-it-has-cut',
    invariant: 'IS3',
    also: [],
    patches: [
      {
        file: 'lib/log/level-log.ts',
        find: 'if (this.cuts !== cuts || from <= this.#base.index) return done(null, null)',
        replace: 'if (from <= this.#base.index) return done(null, null)'
      }
    ],
    by: { scenario: 'what-was-read-before-a-cut-is-not-sent-after-it' }
  },
  {
    name: 'sends-what-it-has-read-in-an-earlier-term',
    invariant: 'IS3',
    also: [],
    patches: [
      {
        file: 'lib/node/replicator.ts',
        find: 'cold === null || cold.term !== raft.status.term || cold.cuts !== log.cuts || cold.from !== next',
        replace: 'cold === null || cold.from !== next'
      },
      without(
        'lib/raft/replication.ts',
        "assert(trail.termAt(block.first) === block.term, 'a block sent begins in this log')"
      ),
      without(
        'lib/raft/replication.ts',
        "assert(trail.termAt(lastOf(block)) === block.term, 'a block sent ends in this log')"
      )
    ],
    by: { scenario: 'what-was-read-before-a-cut-is-not-sent-after-it' }
  },
  {
    name: 'counts-what-a-peer-has-said-before-its-start',
    invariant: 'IS4',
    also: ['IS7'],
    patches: [
      without(
        'lib/raft/leader.ts',
        'state.lead?.progress.get(peer)?.restarted(state.log.last.index + 1, state.log.trail)'
      )
    ],
    by: { scenario: 'a-new-start-of-a-peer-is-counted-anew' }
  },
  {
    name: 'counts-a-copy-of-a-directory',
    invariant: 'IS4',
    also: [],
    patches: [without('lib/raft/core.ts', 'state.copies.add(peer)')],
    by: { scenario: 'a-copy-of-a-directory-is-not-counted' }
  },
  {
    name: 'flushes-what-its-log-has-not-on-disk',
    invariant: 'IA2',
    also: [],
    patches: [
      {
        file: 'lib/node/applier.ts',
        find: 'this.#logBytesSinceFlush === 0 || this.applied > this.#durable) return',
        replace: 'this.#logBytesSinceFlush === 0) return'
      }
    ],
    by: { scenario: 'a-state-never-runs-ahead-of-its-own-log-on-disk' }
  },
  {
    name: 'takes-a-refused-write-for-done',
    invariant: 'ID1',
    also: ['IX2', 'IS8', 'IS4', 'IP1'],
    patches: [
      {
        file: 'lib/node/node.ts',
        find: `      if (error !== null) {
        this.#fail(error)
        return
      }
      this.counters.logWrites++`,
        replace: '      this.counters.logWrites++'
      },
      // The log itself says so too.
      without('lib/node/node.ts', 'log.watch(failed)')
    ],
    by: { scenario: 'a-refused-write-ends-the-life-of-the-node' }
  },
  {
    name: 'answers-a-read-by-the-commit-index-that-it-was-elected-with',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/leader.ts',
        find: 'if (lead === null || log.trail.termAt(log.commit) !== state.term) return',
        replace: 'if (lead === null) return'
      }
    ],
    by: { scenario: 'no-read-is-answered-before-the-first-commit-of-a-term' }
  },
  {
    name: 'takes-an-answer-to-any-round-for-one-to-this',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/read-rounds.ts',
        find: 'if (!this.#underWay || number !== this.number || this.#answered.has(peer)) return',
        replace: 'if (!this.#underWay || this.#answered.has(peer)) return'
      },
      {
        file: 'lib/raft/leader.ts',
        find: 'if (reply.round === lead.rounds.number) finishRound(state, lead)',
        replace: 'finishRound(state, lead)'
      }
    ],
    by: { scenario: 'late-answers-to-a-round-confirm-no-later-read' }
  },
  {
    name: 'adds-a-read-to-the-round-that-was-asked-before-it',
    invariant: 'IK1',
    also: [],
    patches: [
      {
        file: 'lib/raft/read-rounds.ts',
        find: 'this.#waiting.push(read)',
        replace: 'if (this.#underWay) this.#reads.push(read)\n    else this.#waiting.push(read)'
      }
    ],
    by: { scenario: 'late-answers-to-a-round-confirm-no-later-read' }
  },
  {
    name: 'throws-at-commands-that-it-cannot-decode',
    invariant: 'IX1',
    also: [],
    patches: [{ file: 'lib/kv/apply.ts', find: '    asFault(error)\n    return null', replace: '    throw error' }],
    by: { scenario: 'a-hostile-command-is-an-answer' }
  },
  {
    name: 'reads-the-head-of-a-record-unseen',
    invariant: 'IX1',
    also: [],
    patches: [
      {
        file: 'lib/machine/decisions.ts',
        find: `command(place: Place): boolean {
    const { block, at, length, time } = place
    const bytes = block.bytes
    if (commandFault(bytes, at, length) !== null) return this.#pass(place, 0, 0, malformedRecord)`,
        replace: `command(place: Place): boolean {
    const { block, at, length, time } = place
    const bytes = block.bytes`
      }
    ],
    by: { scenario: 'a-hostile-command-is-an-answer' }
  },
  {
    name: 'lowers-the-mark-of-a-log-that-it-does-not-trust',
    invariant: 'IP3',
    also: ['IS5'],
    patches: [
      {
        file: 'lib/log/memory-log.ts',
        find: 'if (this.#trusted && cut.index < image.mark.index) image.mark = cut',
        replace: 'if (cut.index < image.mark.index) image.mark = cut'
      },
      {
        file: 'lib/log/level-log.ts',
        find: 'const lowers = low !== null && this.#trusted && low.index < this.#memory.memory.mark.index',
        replace: 'const lowers = low !== null && low.index < this.#memory.memory.mark.index'
      }
    ],
    by: { scenario: 'a-mark-stands-while-its-log-is-not-trusted' }
  }
]
