// Room on the disk: how much is left before the log cannot grow, here and, as far as they have told, at the other voters.
//
// A full disk ends the life of its node, and what is then under way ends `unknown`. So a leader stops to take in what grows
// while there is still room for what must go on: deletes, the state on its way to disk, and the compaction of LevelDB.
import { readU32, writeU32 } from '../base/bytes.ts'
import { draftSetting } from '../machine/order.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import type { Raft } from '../raft/doors.ts'
import type { MemberKey, Term } from '../raft/types.ts'
import { recordAt, recordHeaderBytes, recordKind } from '../record/record.ts'
import type { Transport } from '../transport/transport.ts'

/** `low`: what grows is slowed down. `scarce`: it is refused. `none`: even what must go on may fail. */
export type SpaceLevel = 'ample' | 'low' | 'scarce' | 'none'

export const spaceLevels: readonly SpaceLevel[] = ['ample', 'low', 'scarce', 'none']

/** Bytes left below which a level begins. */
export interface SpaceBounds {
  readonly low: number
  readonly scarce: number
  readonly none: number
}

/** The file system of the data directory, as it was last looked at. */
export interface Space {
  /** What this user may still write. */
  readonly freeBytes: number
  readonly bounds: SpaceBounds
  /** How often it was looked at: another number is another look. */
  readonly looks: number
}

/** A fiftieth of the file system is kept back, within these bounds: LevelDB may write two tables of 32 MiB at once. */
const scarceBytesMin = 100_663_296
const scarceBytesMax = 268_435_456
/** What grows is slowed down below a twentieth, but not where so much is left. */
const lowBytesMax = 1_073_741_824

/** The bounds on a file system of this size; a quarter of a tiny one is kept back. */
export function boundsOf(sizeBytes: number): SpaceBounds {
  const share = Math.min(Math.max(sizeBytes / 50, scarceBytesMin), scarceBytesMax)
  const scarce = Math.floor(Math.min(share, sizeBytes / 4))
  return {
    low: Math.floor(Math.max(2 * scarce, Math.min(sizeBytes / 20, lowBytesMax))),
    scarce,
    none: Math.floor(scarce / 8)
  }
}

export function levelOf(freeBytes: number, { low, scarce, none }: SpaceBounds): SpaceLevel {
  if (freeBytes < none) return 'none'
  if (freeBytes < scarce) return 'scarce'
  return freeBytes < low ? 'low' : 'ample'
}

export interface RoomParts {
  readonly raft: Raft
  readonly machine: Pick<ReplicatedMachine, 'unflushedBytes'>
  readonly transport: Pick<Transport, 'forward'>
  /** Null where nobody looks: there is always room. */
  readonly space: (() => Space) | null
}

/** Each byte of a command is written to the log, and once more to the state. */
const copies = 2
/** Under which name a follower tells its level; as a setting that is forwarded, which no client can send. */
const settingName = 'space'

export class Room {
  readonly #parts: RoomParts
  /** Bytes let in since the last look, which does not know of them. */
  #letIn = 0
  #looks = 0
  readonly #told = new Map<MemberKey, { readonly level: SpaceLevel; readonly term: Term }>()
  /** What this node has told last, and to the leader of which term. */
  #said: { readonly level: SpaceLevel; readonly term: Term } | null = null

  constructor(parts: RoomParts) {
    this.#parts = parts
  }

  /** So much is left here before what grows is refused, all that is known to be coming already taken off. */
  get leftBytes(): number {
    const { space, machine } = this.#parts
    if (space === null) return Number.POSITIVE_INFINITY
    const { freeBytes, bounds, looks } = space()
    if (looks !== this.#looks) {
      this.#looks = looks
      this.#letIn = 0
    }
    return freeBytes - bounds.scarce - machine.unflushedBytes - copies * this.#letIn
  }

  /** Of this node alone. */
  get level(): SpaceLevel {
    const { space } = this.#parts
    if (space === null) return 'ample'
    const { bounds } = space()
    return levelOf(this.leftBytes + bounds.scarce, bounds)
  }

  /** What grows cannot be stored here much longer: a voter that has room would lead better. */
  get lacks(): boolean {
    return isShort(this.level)
  }

  /** As far as it has told the leader, which is this node. */
  has(key: MemberKey): boolean {
    return !isShort(this.#levelOf(key))
  }

  /** It has told this leader that it has ample room, so that it would not soon hand over in its turn. */
  offers(key: MemberKey): boolean {
    const told = this.#told.get(key)
    return told !== undefined && told.term === this.#parts.raft.status.term && told.level === 'ample'
  }

  /** How what grows is to be treated by this node as a leader: refused too where fewer than a majority have room for it. */
  get admission(): SpaceLevel {
    const { level } = this
    if (isShort(level) || this.#told.size === 0) return level
    const { voters, outgoing } = this.#parts.raft.status.membership
    const enough = this.#enough(voters) && (outgoing === null || this.#enough(outgoing))
    return enough ? level : 'scarce'
  }

  /** So many bytes are proposed. */
  letIn(bytes: number): void {
    this.#letIn += bytes
  }

  /** Once in each turn: a follower tells its leader how much room it has, where that has changed. */
  report(): void {
    const { raft, transport, space } = this.#parts
    const { role, leader, term } = raft.status
    if (space === null || role === 'leader' || leader === null) return
    const { level } = this
    if (this.#said?.level === level && this.#said.term === term) return
    const said = { level, term }
    this.#said = said
    transport.forward(leader, draftNote(level), error => {
      if (error !== null && this.#said === said) this.#said = null
    })
  }

  /** True where a draft that `from` has forwarded is no request of a client, but its level. */
  told(from: MemberKey, draft: Uint8Array): boolean {
    if (draft.length < recordHeaderBytes || draft[recordAt.kind] !== recordKind.setting) return false
    const level = readNote(draft)
    if (level !== undefined) this.#told.set(from, { level, term: this.#parts.raft.status.term })
    return true
  }

  #levelOf(key: MemberKey): SpaceLevel {
    const { self, term } = this.#parts.raft.status
    if (key === self) return this.level
    const told = this.#told.get(key)
    // What it had told another leader may be long ago: it tells each anew.
    return told === undefined || told.term !== term ? 'ample' : told.level
  }

  /** Whether more than half of these have room. */
  #enough(voters: readonly MemberKey[]): boolean {
    return 2 * voters.filter(key => this.has(key)).length > voters.length
  }
}

export function isShort(level: SpaceLevel): boolean {
  return level === 'scarce' || level === 'none'
}

function draftNote(level: SpaceLevel): Uint8Array {
  const value = new Uint8Array(4)
  writeU32(value, 0, spaceLevels.indexOf(level))
  return draftSetting(settingName, value)
}

/** The level that a note tells; undefined for one that this program does not know. */
function readNote(draft: Uint8Array): SpaceLevel | undefined {
  const known = draftNote('ample')
  const valueAt = known.length - 4
  if (draft.length !== known.length) return undefined
  for (let at = recordHeaderBytes; at < valueAt; at++) if (draft[at] !== known[at]) return undefined
  return spaceLevels[readU32(draft, valueAt)]
}
