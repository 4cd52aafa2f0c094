// Mutants of the state: what is applied and when, what a flush holds, and what is executed once.
import { type Mutant, without } from './mutant.ts'

const restless = ['partition', 'isolate-leader', 'crash', 'delay', 'drop'] as const

/** A second decision on a serial would break an assertion: with it out of the way, the effect itself has to be seen. */
const decidedTwice = [
  {
    file: 'lib/machine/session.ts',
    find: "assert(previous === undefined || previous.serial + previous.count <= from, 'a serial is decided once')",
    replace: 'if (this.verdict(from) !== null || this.verdict(from + run.count - 1) !== null) return'
  },
  without(
    'lib/machine/session.ts',
    "assert(next === undefined || from + run.count <= next.serial, 'a serial is decided once')"
  )
]

export const state: readonly Mutant[] = [
  {
    name: 'applies-beyond-the-commit-index',
    invariant: 'IA1',
    also: ['IA2', 'IS9'],
    patches: [
      {
        file: 'lib/node/applier.ts',
        find: 'const blocks = found.filter(block => lastOf(block) <= this.#commit)',
        replace: 'const blocks = found'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'skips-a-record-after-a-restart',
    invariant: 'IA1',
    also: ['IA2', 'IA3', 'IO1', 'IK1'],
    patches: [
      {
        file: 'lib/machine/replicated-machine.ts',
        find: 'this.#applied = sidecar.applied',
        replace: 'this.#applied = { ...sidecar.applied, index: sidecar.applied.index + 1 }'
      }
    ],
    by: { depth: 'shallow', faults: ['crash', 'crash-all'] }
  },
  {
    name: 'commits-beyond-its-log',
    invariant: 'IA2',
    also: ['IS6', 'IS9'],
    patches: [
      {
        file: 'lib/raft/follower.ts',
        find: 'const commit = Math.min(append.commit, state.verified)',
        replace: 'const { commit } = append'
      },
      {
        file: 'lib/raft/log-state.ts',
        find: 'assert(index >= this.#commit && index <= this.#last.index,',
        replace: 'assert(index >= this.#commit,'
      },
      without(
        'lib/raft/invariants.ts',
        "assert(base.index <= commit && commit <= last.index, 'base <= commit <= last')"
      )
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'takes-no-session-up-after-a-restart',
    invariant: 'IA3',
    also: ['IA1', 'IO1', 'IK1'],
    patches: [
      {
        file: 'lib/machine/replicated-machine.ts',
        find: 'this.#table.restore(sidecar.sessions, sidecar.horizon)',
        replace: 'this.#table.restore([], sidecar.horizon)'
      }
    ],
    by: { depth: 'shallow', faults: ['crash', 'drop', 'delay'] }
  },
  {
    name: 'counts-revisions-anew-after-a-restart',
    invariant: 'IA3',
    also: ['IK1', 'IO1'],
    patches: [
      without('lib/machine/memory-machine.ts', 'this.#revision = readU64(bytes, 16)'),
      without('lib/kv/kv-machine.ts', 'this.#table.revision = head.revision')
    ],
    by: { depth: 'shallow', faults: ['crash', 'crash-all'] }
  },
  {
    name: 'flushes-no-deletion',
    invariant: 'IA3',
    also: ['IK1', 'IO1'],
    patches: [
      {
        file: 'lib/kv/flush.ts',
        find: 'if (version.deleted) this.#batch.del(rowKey)',
        replace: 'if (version.deleted) return'
      }
    ],
    by: { depth: 'deep', faults: ['crash', 'crash-all'] }
  },
  {
    name: 'executes-what-came-before',
    invariant: 'IO1',
    also: ['IK1'],
    patches: [
      {
        file: 'lib/machine/decisions.ts',
        find: 'const skip = !late && session.unseenFrom(serial) ? null : this.#skipped(session, answer, late)',
        replace: 'const skip = null'
      },
      ...decidedTwice
    ],
    by: { depth: 'shallow', faults: [...restless, 'duplicate'] }
  },
  {
    name: 'executes-what-the-client-has-acknowledged',
    invariant: 'IO1',
    also: ['IK1'],
    patches: [
      {
        file: 'lib/machine/decisions.ts',
        find: 'serial <= session.floor ? forgotten : session.verdict(serial)',
        replace: 'session.verdict(serial)'
      }
    ],
    by: { depth: 'shallow', faults: [...restless, 'duplicate', 'stall'] }
  },
  {
    name: 'executes-two-copies-in-one-batch',
    invariant: 'IO1',
    also: ['IK1', 'IA3'],
    patches: [
      {
        file: 'lib/machine/decisions.ts',
        find: 'if (known?.meetsPending(serial, serial + count - 1) === true || this.#crowded(count)) return false',
        replace: 'if (this.#crowded(count)) return false'
      },
      ...decidedTwice
    ],
    by: { depth: 'shallow', faults: [...restless, 'duplicate', 'stall'] }
  },
  {
    name: 'stores-half-of-a-transaction',
    invariant: 'IK1',
    also: ['IW3', 'IW5', 'IA3', 'IX1: the history does not know what came at revision'],
    patches: [
      {
        file: 'lib/kv/execute.ts',
        find: 'of changes.values()) {',
        replace: 'of Array.from(changes.values()).slice(0, 1)) {'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  },
  {
    name: 'deletes-the-first-key-of-a-range',
    invariant: 'IK1',
    also: ['IW3', 'IW5', 'IA3'],
    patches: [
      {
        file: 'lib/kv/changing.ts',
        find: 'deleted++\n    return true',
        replace: 'deleted++\n    return false'
      }
    ],
    by: { depth: 'shallow', faults: restless }
  }
]
