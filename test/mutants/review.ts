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
  }
]
