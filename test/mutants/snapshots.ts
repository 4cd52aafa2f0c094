// Mutants of compaction and snapshots: a log that is cut too far, a state that is another one, a transfer without an end.
import { type Mutant, without } from './mutant.ts'

const contents = { scenario: 'a-snapshot-brings-all-that-the-log-had' }
const hollow = { scenario: 'a-state-that-is-gone-is-brought-by-the-leader' }
const resuming = { scenario: 'a-snapshot-goes-on-where-it-was-broken-off' }
const underWay = { scenario: 'a-snapshot-under-way-is-not-overtaken' }

export const snapshots: readonly Mutant[] = [
  {
    name: 'cuts-the-log-beyond-the-state-on-disk',
    invariant: 'IA2',
    also: [],
    patches: [
      {
        file: 'lib/node/compaction.ts',
        find: 'Math.min(flushed.index, this.#parts.pin(), this.#lagging())',
        replace: 'Math.min(raft.status.commit, raft.status.durable, this.#parts.pin(), this.#lagging())'
      },
      {
        file: 'lib/node/compaction.ts',
        find: 'log.endBefore((logBytesMax * 3) / 4, (logRecordsMax * 3) / 4, limit)',
        replace: 'log.endBefore(0, 0, limit)'
      }
    ],
    by: { depth: 'shallow', faults: ['compaction', 'slow-disk', 'crash'] }
  },
  {
    name: 'announces-a-snapshot-that-is-not-committed',
    invariant: 'IX1',
    also: ['IX1: a snapshot holds only what is committed', 'IL3'],
    patches: [
      {
        file: 'lib/node/snapshot-sender.ts',
        find: 'const last = log.idAt(source.last.index)',
        replace: 'const last = log.tail'
      },
      without('lib/node/snapshot-sender.ts', ' || raft.status.commit < frozen.meta.last.index')
    ],
    by: underWay
  },
  {
    name: 'takes-a-snapshot-for-what-was-announced',
    invariant: 'IA3',
    also: [],
    patches: [
      without(
        'lib/node/snapshot-receiver.ts',
        "if (this.#hash !== hash) return this.#refuse(new Error('the snapshot is not what was announced'), answer)"
      )
    ],
    by: { scenario: 'a-snapshot-is-what-was-announced' }
  },
  {
    name: 'gives-its-log-away-for-a-state-that-is-not-on-disk',
    invariant: 'IA2',
    also: [],
    patches: [
      {
        file: 'lib/kv/restore.ts',
        find: 'settle(batch.write({ sync: true }), go,',
        replace: 'settle(batch.write({ sync: false }), go,'
      },
      {
        file: 'lib/kv/restore.ts',
        find: 'toTables(this.#parts.level, error => (error === null ? go() : this.#fail(error, failed)))',
        replace: 'go()'
      }
    ],
    by: { scenario: 'a-snapshot-is-on-disk-before-the-log-gives-way-to-it' }
  },
  {
    name: 'forgets-the-configuration-of-a-snapshot',
    invariant: 'IC2',
    also: ['IL1', 'IL3'],
    patches: [
      {
        file: 'lib/node/snapshot-receiver.ts',
        find: 'this.#parts.received({ ...last, membership, machineVersion, state: this.#state })',
        replace: `const nobody = { ...membership, voters: [], learners: [], members: [] }
        this.#parts.received({ ...last, membership: nobody, machineVersion, state: this.#state })`
      }
    ],
    by: contents
  },
  {
    name: 'announces-the-configuration-at-its-base',
    invariant: 'IC2',
    also: [],
    patches: [
      {
        file: 'lib/node/snapshot-sender.ts',
        find: 'const membership = raft.membershipAt(last.index)',
        replace: 'const membership = raft.membershipAt(log.base.index)'
      }
    ],
    by: contents
  },
  {
    name: 'forgets-the-sessions-of-a-snapshot',
    invariant: 'IO1',
    also: ['IA3'],
    patches: [
      {
        file: 'lib/machine/saved-snapshot.ts',
        find: "import type { Vault } from './vault.ts'\n",
        replace:
          "import { decodeSidecar, encodeSidecar } from './sidecar.ts'\nimport type { Vault } from './vault.ts'\n"
      },
      {
        file: 'lib/machine/saved-snapshot.ts',
        find: 'this.#parts.vault.save(bytes, error => done(error, saved))',
        replace: `const sidecar = encodeSidecar({ ...decodeSidecar(saved.sidecar)!, sessions: [] })
      const kept = concatBytes([bytes.subarray(0, 28), sidecar, bytes.subarray(28 + saved.sidecar.length)])
      writeU32(kept, 24, sidecar.length)
      this.#parts.vault.save(kept, error => done(error, saved))`
      }
    ],
    by: contents
  },
  {
    name: 'goes-on-with-the-state-that-a-snapshot-was-to-replace',
    invariant: 'IL3',
    also: ['IA2', 'IA1'],
    patches: [
      {
        file: 'lib/node/snapshot-receiver.ts',
        find: 'this.#parts.received({ ...last, membership, machineVersion, state: this.#state })',
        replace: 'this.#parts.received({ ...last, membership, machineVersion, state: this.#parts.state() })'
      }
    ],
    by: contents
  },
  {
    name: 'cuts-the-log-that-a-snapshot-on-its-way-needs',
    invariant: 'IL3',
    also: [],
    patches: [
      {
        file: 'lib/node/compaction.ts',
        find: 'Math.min(flushed.index, this.#parts.pin(), this.#lagging())',
        replace: 'Math.min(flushed.index, this.#lagging())'
      }
    ],
    by: underWay
  },
  {
    name: 'resumes-a-snapshot-at-another-place',
    invariant: 'IL3',
    also: [],
    patches: [
      {
        file: 'lib/node/snapshot-sender.ts',
        find: 'this.#sent = this.#taken\n',
        replace: 'this.#sent = this.#taken + pieceBytes\n'
      }
    ],
    by: resuming
  },
  {
    name: 'begins-a-snapshot-anew-after-each-break',
    invariant: 'IL3',
    also: [],
    patches: [
      {
        file: 'lib/node/snapshot-sender.ts',
        find: 'this.#sent = this.#taken\n',
        replace: 'this.#sent = 0\n'
      }
    ],
    by: resuming
  },
  {
    name: 'takes-any-piece-of-a-snapshot-for-the-next',
    invariant: 'IL3',
    also: [],
    patches: [
      {
        file: 'lib/node/snapshot-receiver.ts',
        find: 'if (piece.offset !== this.#offset || this.#offset + piece.bytes.length > size) {',
        replace: 'if (this.#offset + piece.bytes.length > size) {'
      }
    ],
    by: resuming
  },
  {
    name: 'leads-without-a-state',
    invariant: 'IL1',
    also: ['IL5', 'IA1'],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: ' || this.hollow || ',
        replace: ' || '
      }
    ],
    by: hollow
  },
  {
    name: 'executes-what-follows-a-state-that-it-lacks',
    invariant: 'IL3',
    also: ['IA1'],
    patches: [
      {
        file: 'lib/node/applier.ts',
        find: 'if (this.#applying || this.#stopped || this.#parts.hollow) return',
        replace: 'if (this.#applying || this.#stopped) return'
      }
    ],
    by: hollow
  },
  {
    name: 'does-not-ask-for-the-state-that-it-lacks',
    invariant: 'IL3',
    also: [],
    patches: [without('lib/raft/follower.ts', 'if (state.hollow) askForState(state, leader)')],
    by: hollow
  }
]
