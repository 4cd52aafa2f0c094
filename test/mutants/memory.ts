// Mutants of what a node remembers over its crashes: the slots, the log on LevelDB, and whether an opened log is believed.
import { type Mutant, without } from './mutant.ts'

export const memory: readonly Mutant[] = [
  {
    name: 'trusts-a-log-that-has-lost-its-end',
    invariant: 'IP3',
    also: ['IS5', 'ID1', 'IS4'],
    patches: [
      { file: 'lib/log/trust.ts', find: 'if (mark.index > tail.index) {', replace: 'if (mark.index < 0) {' },
      {
        file: 'lib/log/trust.ts',
        find: '} else if (mark.index >= start.index) {',
        replace: '} else if (mark.index >= start.index && mark.index <= tail.index) {'
      }
    ],
    by: { depth: 'shallow', faults: ['bit-rot', 'isolate-leader', 'partition'] }
  },
  {
    name: 'believes-the-older-slot',
    invariant: 'IP3',
    also: ['IP2', 'IS6'],
    patches: [
      {
        file: 'lib/log/memory-keeper.ts',
        find: 'second.sequence > first.sequence',
        replace: 'second.sequence < first.sequence'
      }
    ],
    by: { depth: 'deep', faults: ['isolate-leader', 'crash', 'crash-all'] }
  },
  {
    name: 'writes-every-save-into-the-same-slot',
    invariant: 'IP3',
    also: ['IP2', 'IS6', 'IX1: no record is of a later term than the node'],
    patches: [without('lib/log/memory-keeper.ts', 'if (sync) this.#target = this.#target === 0 ? 1 : 0')],
    by: { scenario: 'the-damage-of-one-slot-brings-no-older-vote-back' }
  },
  {
    name: 'takes-a-failed-write-of-a-slot-for-done',
    invariant: 'IP1',
    also: ['IP3', 'IP2', 'IX2'],
    patches: [without('lib/log/memory-keeper.ts', 'if (error) return this.#fail(error, saves)')],
    by: { depth: 'deep', faults: ['io-error', 'full-disk', 'isolate-leader'] }
  },
  {
    name: 'writes-the-log-before-the-slots-are-durable',
    invariant: 'IP1',
    also: ['IP3'],
    patches: [
      {
        file: 'lib/log/level-log.ts',
        find: '      else this.#writeBatch(jobs)\n    })',
        replace: '    })\n    this.#writeBatch(jobs)'
      }
    ],
    by: { depth: 'deep', faults: ['isolate-leader', 'crash', 'slow-disk'] }
  },
  {
    name: 'writes-the-log-without-a-sync',
    invariant: 'ID1',
    also: ['IS8', 'IS4', 'IP3'],
    patches: [
      {
        file: 'lib/log/level-log.ts',
        find: 'settle(this.#level.batch(operations, synced), error => {',
        replace: 'settle(this.#level.batch(operations, unsynced), error => {'
      }
    ],
    by: { depth: 'deep', faults: ['lost-writes', 'crash-all'] }
  },
  {
    name: 'leaves-what-was-cut-on-the-disk',
    invariant: 'IP3',
    also: ['ID1', 'IS8', 'IS3', 'IS5', 'IL1'],
    patches: [
      {
        file: 'lib/log/level-log.ts',
        find: "row++) {\n      operations.push({ type: 'del', key: blockKey(catalogue.card(row)) })",
        replace: 'row++) {'
      }
    ],
    by: { depth: 'deep', faults: ['isolate-leader', 'partition', 'crash', 'crash-all'] }
  }
]
