// Mutants of the comparison of states: nothing is compared, a value is forgotten, or a minority judges the others.
import { type Mutant, without } from './mutant.ts'

const judges = { scenario: 'who-differs-from-a-majority-begins-anew' }

export const divergence: readonly Mutant[] = [
  {
    name: 'compares-no-states',
    invariant: 'IA6',
    also: [],
    patches: [
      without(
        'lib/machine/state-hash.ts',
        'if (record !== null && record.votes.length > 0 && record.of === this.#markIndex) this.#compare(record)'
      )
    ],
    by: judges
  },
  {
    name: 'forgets-the-hash-of-the-state-at-a-restart',
    invariant: 'IA6',
    also: [],
    patches: [without('lib/machine/replicated-machine.ts', 'this.hash.restore(sidecar.hash)')],
    by: judges
  },
  {
    name: 'counts-only-those-who-have-voted-on-a-state',
    invariant: 'IA6',
    also: [],
    patches: [
      {
        file: 'lib/machine/divergence.ts',
        find: 'if (2 * count <= voters) continue',
        replace: 'if (2 * count < votes.length) continue'
      }
    ],
    by: judges
  },
  {
    name: 'believes-its-own-state-whatever-a-majority-has',
    invariant: 'IA6',
    also: [],
    patches: [without('lib/machine/state-hash.ts', 'if (this.#divergedAt === 0) this.#divergedAt = record.of')],
    by: judges
  }
]
