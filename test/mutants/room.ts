// Mutants of who leads where: one that fills its disk to the end, keeps the lead without room, or without being preferred.
import type { Mutant } from './mutant.ts'

const fills = { scenario: 'a-leader-without-room-takes-in-nothing-that-grows' }
const preferred = { scenario: 'one-of-the-highest-priority-leads' }

export const room: readonly Mutant[] = [
  {
    name: 'takes-in-what-grows-to-the-last-byte',
    invariant: 'IL7',
    also: [],
    patches: [
      {
        file: 'lib/node/growth.ts',
        find: 'if (!isShort(room.admission)) return false',
        replace: 'if (isShort(room.admission)) return false'
      }
    ],
    by: fills
  },
  {
    name: 'knows-only-its-own-disk',
    invariant: 'IL7',
    also: [],
    patches: [
      {
        file: 'lib/node/room.ts',
        find: 'if (isShort(level) || this.#told.size === 0) return level',
        replace: 'if (this.#told.size >= 0) return level'
      }
    ],
    by: fills
  },
  {
    name: 'keeps-the-lead-without-room',
    invariant: 'IL7',
    also: [],
    patches: [
      {
        file: 'lib/node/succession.ts',
        find: 'if (this.#parts.room.lacks) this.#makeRoom(now)',
        replace: 'if (this.#parts.room.lacks) this.#preferred = null'
      }
    ],
    by: fills
  },
  {
    name: 'gives-the-lead-to-one-without-room',
    invariant: 'IL7',
    also: [],
    patches: [
      {
        file: 'lib/node/succession.ts',
        find: 'find(key => room.offers(key))',
        replace: 'find(key => key !== raft.status.self)'
      }
    ],
    by: fills
  },
  {
    name: 'does-not-let-the-preferred-lead',
    invariant: 'IL8',
    also: [],
    patches: [
      {
        file: 'lib/node/succession.ts',
        find: 'this.#priorityOf(candidate) > priority',
        replace: 'this.#priorityOf(candidate) > priority + 1_000'
      }
    ],
    by: preferred
  },
  {
    name: 'gives-way-to-its-equals',
    invariant: 'IL8',
    also: [],
    patches: [
      {
        file: 'lib/node/succession.ts',
        find: 'this.#priorityOf(candidate) > priority',
        replace: 'this.#priorityOf(candidate) >= priority'
      }
    ],
    by: preferred
  }
]
