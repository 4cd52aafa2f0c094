// Damage at rest: what a disk does to its bytes between two lives, within what the design promises to notice.
import { baseKey, readBlockKey } from '../../log/keys.ts'
import { readMemory } from '../../log/memory.ts'
import type { SlotImage } from '../../log/memory-slots.ts'
import type { Index } from '../../raft/types.ts'
import { type SimDatabase, textOf, type Write } from './sim-database.ts'
import type { DiskView } from './view.ts'

/**
 * `log-hole`: writes from the middle of the write-ahead file are missing, later ones are there. `log-undo`: the same, of
 * one that overwrote: what it had deleted is back. `log-tail`: all writes from one on are missing. `log-bit`, `state-bit`:
 * a bit of a block, of a row of the state. `slot`: one of the two cannot be read.
 */
export type RotKind = 'log-hole' | 'log-undo' | 'log-tail' | 'log-bit' | 'state-bit' | 'slot'
export const rotKinds: readonly RotKind[] = ['log-hole', 'log-undo', 'log-tail', 'log-bit', 'state-bit', 'slot']

export interface Rot {
  readonly kind: RotKind
  /** The records that are missing or altered; 0 for none. */
  readonly from: Index
  readonly to: Index
}

export interface RotParts {
  readonly log: SimDatabase
  readonly states: ReadonlyMap<string, SimDatabase>
  readonly slots: SlotImage
  readonly view: DiskView
  /** The log has been damaged since a life last saw it: the newest mark is what tells of it. */
  readonly logDamaged: boolean
}

type Chance = (below: number) => number

const baseText = textOf(baseKey())
const writesMax = 8

/**
 * Null where there is nothing to damage. Records above the mark are damaged only together with some below it: that alone
 * is what a node notices (docs/DISK.md, "The window that remains"). The base record is left alone, and of the slots the
 * one that alone holds the last vote, the number of the start, or the mark that tells of other damage.
 */
export function rot(parts: RotParts, kind: RotKind, random: Chance): Rot | null {
  switch (kind) {
    case 'log-hole':
      return loseWrites(
        parts,
        kind,
        random,
        (at, end) => Math.min(end - at, 1 + random(writesMax)),
        write => !deletes(write)
      )
    case 'log-undo':
      return loseWrites(parts, kind, random, () => 1, deletes)
    case 'log-tail':
      return loseWrites(
        parts,
        kind,
        random,
        (at, end) => end - at,
        () => true
      )
    case 'log-bit':
      return flipInLog(parts, random)
    case 'state-bit':
      return flipInState(parts, random)
    case 'slot':
      return spoilSlot(parts, random)
  }
}

function deletes(write: Write): boolean {
  return write.some(({ value }) => value === null)
}

/** Chooses where to begin among the writes that brought a promised record which is still there, and takes out a run. */
function loseWrites(
  { log, view }: RotParts,
  kind: RotKind,
  random: Chance,
  count: (at: number, end: number) => number,
  fits: (write: Write) => boolean
): Rot | null {
  const starts: number[] = []
  // Whatever is taken out, it must not be a base record, so a run ends before one.
  const ends: number[] = []
  let end = log.fileLength
  for (let at = log.fileLength - 1; at >= 0; at--) {
    const write = log.writeInFile(at)
    if (write.some(({ text }) => text === baseText)) {
      if (kind === 'log-tail') break
      end = at
    } else if (fits(write)) {
      if (promised(write, log, view) !== null) {
        starts.push(at)
        ends.push(end)
      }
    } else end = at
  }
  if (starts.length === 0) return null
  const chosen = random(starts.length)
  const at = starts[chosen]!
  const lost = count(at, ends[chosen]!)
  let from: Index = Number.POSITIVE_INFINITY
  let to: Index = 0
  for (let number = at; number < at + lost; number++) {
    for (const { key } of log.writeInFile(number)) {
      const card = readBlockKey(key)
      if (card === null) continue
      from = Math.min(from, card.first)
      to = Math.max(to, card.first + card.count - 1)
    }
  }
  log.loseFromFile(at, lost)
  return { kind, from, to }
}

/** A record of this write that the mark covers, and that is still in the log; null for none. */
function promised(write: Write, log: SimDatabase, view: DiskView): Index | null {
  for (const { text, key, value } of write) {
    const card = value === null ? null : readBlockKey(key)
    if (card === null || !log.durable.has(text)) continue
    if (card.first <= view.mark.index && card.first > (view.base?.index ?? 0)) return card.first
  }
  return null
}

function flipInLog({ log, view }: RotParts, random: Chance): Rot | null {
  const { base, last, mark } = view
  if (base === null || last === null) return null
  const count = Math.min(last.index, mark.index) - base.index
  if (count <= 0) return null
  const block = view.blockOf(base.index + 1 + random(count))
  if (block === null) return null
  const { card, row } = block
  log.alter(textOf(row.key), flipped(row.value, random))
  return { kind: 'log-bit', from: card.first, to: card.first + card.count - 1 }
}

function flipInState({ states }: RotParts, random: Chance): Rot | null {
  const used = [...states.values()].filter(({ durable }) => durable.size > 0)
  if (used.length === 0) return null
  const state = used[random(used.length)]!
  const [text, row] = state.durable.toArray()[random(state.durable.size)]!
  state.alter(text, flipped(row.value, random))
  return { kind: 'state-bit', from: 0, to: 0 }
}

function spoilSlot({ slots, logDamaged }: RotParts, random: Chance): Rot | null {
  const [first, second] = slots.durable
  if (first === null || second === null) return null
  const a = readMemory(first)
  const b = readMemory(second)
  if (a === null || b === null || a === 'newer' || b === 'newer') return null
  const same = a.memory.hard.term === b.memory.hard.term && a.memory.hard.vote === b.memory.hard.vote
  const settled = a.memory.clusterId === b.memory.clusterId && a.memory.boot === b.memory.boot
  const older = a.sequence < b.sequence ? 0 : 1
  const slot = same && settled && !logDamaged ? (random(2) as 0 | 1) : older
  // A bit of its CRC: most bytes of a slot are not in use.
  const bytes = new Uint8Array(slots.durable[slot]!)
  bytes[random(4)]! ^= 1 << random(8)
  slots.durable[slot] = bytes
  slots.cached[slot] = slots.durable[slot]
  return { kind: 'slot', from: 0, to: 0 }
}

function flipped(bytes: Uint8Array, random: Chance): Uint8Array {
  const copy = new Uint8Array(bytes)
  if (copy.length > 0) copy[random(copy.length)]! ^= 1 << random(8)
  return copy
}
