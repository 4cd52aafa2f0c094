// What a trace consists of: plain data that survives JSON, with times in virtual milliseconds. Read by the page and by the lines of text.
import type { Role } from '../../raft/types.ts'

/** What a message is about. `heartbeat`: it says nothing that the sender has not said to the same node before. */
export type MessageKind = 'vote' | 'append' | 'heartbeat' | 'read' | 'snapshot' | 'other'

export type LifeChange = 'started' | 'crashed' | 'failed' | 'stopped' | 'stalled' | 'paused' | 'resumed'

/** As in a history: `info` is for calls whose fate the caller does not know. */
export type CallOutcome = 'ok' | 'fail' | 'info'

interface Happened {
  /** The order in which things happened, also within one instant. */
  readonly number: number
  readonly at: number
}

/** A message from its sending on; what becomes of it is filled in later. */
export interface TracedMessage extends Happened {
  readonly kind: 'message'
  readonly from: string
  readonly to: string
  readonly what: MessageKind
  readonly term: number
  readonly text: string
  /** The network has made it of another message. */
  readonly copy: boolean
  /** `under way`: nobody has told. It may be, or may have been lost with the link that carried it. */
  fate: 'under way' | 'delivered' | 'dropped'
  /** When it was delivered or dropped, and its place in the order; null where nobody has told. */
  until: number | null
  untilNumber: number | null
  /** Why it was dropped. */
  why: string
}

export interface TracedRole extends Happened {
  readonly kind: 'role'
  readonly node: string
  readonly role: Role
  readonly term: number
  readonly leader: string | null
}

/** The commit index of a node, or the last index that its machine has executed. */
export interface TracedIndex extends Happened {
  readonly kind: 'commit' | 'applied'
  readonly node: string
  readonly index: number
}

export interface TracedLife extends Happened {
  readonly kind: 'life'
  readonly node: string
  readonly change: LifeChange
  /** When a stall or a pause is to end; null where nobody knows yet. */
  readonly until: number | null
  readonly text: string
}

export interface TracedFault extends Happened {
  readonly kind: 'fault'
  /** Its class. */
  readonly what: string
  readonly text: string
  /** Whom it concerns; empty: all of them. */
  readonly nodes: readonly string[]
  /** When it ends, or has ended; null: not before the run does. */
  until: number | null
}

export interface TracedCall extends Happened {
  readonly kind: 'call'
  /** Who calls; several of its calls may be open at once. */
  readonly process: number
  readonly node: string | null
  readonly text: string
  /** Null until it is answered. */
  outcome: CallOutcome | null
  until: number | null
  untilNumber: number | null
  /** What it was told. */
  answer: string
}

export interface TracedViolation extends Happened {
  readonly kind: 'violation'
  readonly invariant: string
  readonly text: string
}

export interface TracedNote extends Happened {
  readonly kind: 'note'
  readonly node: string | null
  readonly text: string
}

export type TraceEvent =
  | TracedMessage
  | TracedRole
  | TracedIndex
  | TracedLife
  | TracedFault
  | TracedCall
  | TracedViolation
  | TracedNote

/** What the events that were left out had made of a node, before the first that was kept. */
export interface NodeBefore {
  readonly node: string
  role: Role | null
  term: number
  leader: string | null
  life: LifeChange | null
  commit: number
  applied: number
}

/** One sort of events that was too many to keep. */
export interface LeftOut {
  readonly what: 'messages and indexes' | 'calls' | 'landmarks'
  readonly keep: 'first' | 'last'
  readonly kept: number
  readonly leftOut: number
  /** Where what was kept begins (`last`) or ends (`first`). */
  readonly edge: number
}

export interface Recording {
  /** In the order of their lanes. */
  readonly nodes: readonly string[]
  /** The last moment of the run. */
  readonly until: number
  /** In the order in which they happened. */
  readonly events: readonly TraceEvent[]
  readonly before: readonly NodeBefore[]
  readonly leftOut: readonly LeftOut[]
}
