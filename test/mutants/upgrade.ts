// Mutants of the rolling upgrade: an order given too early or too often, and a program that is too old and goes on.
import { type Mutant, without } from './mutant.ts'

const waits = { scenario: 'a-version-waits-for-every-voter' }
const steps = { scenario: 'who-cannot-run-a-version-neither-applies-nor-leads' }

export const upgrade: readonly Mutant[] = [
  {
    name: 'orders-a-version-that-a-voter-has-not-been-asked-about',
    invariant: 'IU1',
    also: [],
    patches: [
      {
        file: 'lib/node/upgrade.ts',
        find: 'if (offer === undefined) return 0',
        replace: 'if (offer === undefined) continue'
      }
    ],
    by: waits
  },
  {
    name: 'orders-a-version-that-a-quorum-can-run',
    invariant: 'IU1',
    also: [],
    patches: [without('lib/node/upgrade.ts', 'highest = Math.min(highest, offer[1])')],
    by: waits
  },
  {
    name: 'believes-the-offer-of-a-member-that-is-gone',
    invariant: 'IU1',
    also: [],
    patches: [without('lib/node/upgrade.ts', 'this.#offers.delete(peer)')],
    by: waits
  },
  {
    name: 'orders-a-version-each-turn-until-it-is-in-force',
    invariant: 'IU1',
    also: [],
    patches: [
      without(
        'lib/node/upgrade.ts',
        'if (this.#asked.term === status.term && this.#asked.version > machine.version) return null'
      )
    ],
    by: waits
  },
  {
    name: 'campaigns-with-a-program-that-is-too-old',
    invariant: 'IU2',
    also: [],
    patches: [
      {
        file: 'lib/raft/state.ts',
        find: ' || !this.able) return false',
        replace: ') return false'
      }
    ],
    by: steps
  },
  {
    name: 'executes-what-it-has-no-rules-for',
    invariant: 'IU2',
    also: [],
    patches: [
      {
        file: 'lib/machine/replicated-machine.ts',
        find: '    if (version > this.#versionMax) {\n      this.#unable = version\n      return\n    }\n    this.#version = version\n',
        replace: '    this.#version = Math.min(version, this.#versionMax)\n'
      }
    ],
    by: steps
  }
]
