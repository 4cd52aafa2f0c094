// What a simulation tells while it runs, kept in bounded number. A run that nobody watches has no sink, and pays nothing.
import { assert } from '../../base/assert.ts'
import { describeEnvelope, describeMember } from '../../raft/describe.ts'
import type { Envelope } from '../../raft/message.ts'
import type { Index, MemberKey, Role, Term } from '../../raft/types.ts'
import type {
  CallOutcome,
  LeftOut,
  LifeChange,
  MessageKind,
  NodeBefore,
  Recording,
  TracedCall,
  TracedFault,
  TracedMessage,
  TraceEvent
} from './events.ts'
import { readTracedFrame } from './frame.ts'
import { Novelty } from './novelty.ts'

/** Nodes are named by id or by member key: the incarnations of a node share its lane. Times never fall. */
export interface TraceSink {
  /** A node gives a message to the network. What is returned stands for it when its fate is told. */
  sent(at: number, envelope: Envelope): TracedMessage
  /** The same for a message between nodes in bytes: a frame of `wire/peer.ts`. */
  sentBytes(at: number, from: MemberKey, to: MemberKey, bytes: Uint8Array): TracedMessage
  /** The same for anything else that passes between nodes. */
  said(at: number, from: MemberKey, to: MemberKey, text: string): TracedMessage
  /** The network duplicates a message: the copy comes from where and when that was sent, and has a fate of its own. */
  copied(at: number, message: TracedMessage): TracedMessage
  delivered(at: number, message: TracedMessage): void
  /** `why` in a word or two: lost, cut, no process, reset. */
  dropped(at: number, message: TracedMessage, why: string): void
  /** What a node is now; tells what has changed since the last look, and nothing where nothing has. */
  look(at: number, node: MemberKey, status: TraceStatus, applied: Index): void
  /** `until`: when a stall or a pause is to end, where that is known. */
  life(at: number, node: MemberKey, change: LifeChange, until?: number | null, text?: string): void
  /** `nodes`: whom it concerns, none for all. `until`: when it is to end; null where that is told by `faultEnded`. */
  fault(at: number, what: string, text: string, nodes: readonly MemberKey[], until: number | null): TracedFault
  faultEnded(at: number, fault: TracedFault): void
  called(at: number, process: number, node: MemberKey | null, text: string): TracedCall
  answered(at: number, call: TracedCall, outcome: CallOutcome, answer: string): void
  violation(at: number, invariant: string, text: string): void
  note(at: number, node: MemberKey | null, text: string): void
}

/** As much of the status of a core as a trace shows. */
export interface TraceStatus {
  readonly role: Role
  readonly term: Term
  readonly leader: MemberKey | null
  readonly commit: Index
}

export interface TraceOptions {
  /** Ids or keys in the order of their lanes; others that turn up follow. */
  readonly nodes: readonly MemberKey[]
  /** So many messages and index changes are kept, a quarter as many calls, and as many landmarks: all else. */
  readonly eventsMax?: number
  /** `last` keeps what led to the end of the run, which is where a violation stands. */
  readonly keep?: 'first' | 'last'
}

export const traceEventsMax = 20_000

export class Trace implements TraceSink {
  readonly #keep: 'first' | 'last'
  readonly #traffic: Shelf
  readonly #calls: Shelf
  readonly #landmarks: Shelf
  readonly #before = new Map<string, NodeBefore>()
  readonly #now = new Map<string, NodeBefore>()
  readonly #names = new Map<MemberKey, string>()
  readonly #novelty = new Novelty()
  #number = 0
  #until = 0

  constructor(options: TraceOptions) {
    const { nodes, eventsMax = traceEventsMax, keep = 'last' } = options
    this.#keep = keep
    const leave = (event: TraceEvent): void => this.#leave(event)
    this.#traffic = new Shelf(eventsMax, keep, leave)
    this.#calls = new Shelf(Math.ceil(eventsMax / 4), keep, leave)
    this.#landmarks = new Shelf(Math.ceil(eventsMax / 4), keep, leave)
    for (const node of nodes) this.#name(node)
  }

  sent(at: number, envelope: Envelope): TracedMessage {
    const { from, to, term } = envelope
    return this.#message(at, from, to, this.#novelty.kindOf(envelope), term, describeEnvelope(envelope))
  }

  sentBytes(at: number, from: MemberKey, to: MemberKey, bytes: Uint8Array): TracedMessage {
    const frame = readTracedFrame(bytes)
    return typeof frame === 'string' ? this.said(at, from, to, frame) : this.sent(at, frame)
  }

  said(at: number, from: MemberKey, to: MemberKey, text: string): TracedMessage {
    const whole = `${this.#name(from)} -> ${this.#name(to)} ${text}`
    return this.#message(at, from, to, text.startsWith('chunk ') ? 'snapshot' : 'other', 0, whole)
  }

  copied(at: number, message: TracedMessage): TracedMessage {
    assert(at >= message.at, 'a message is doubled after it was sent')
    const { number } = this.#stamp(at)
    const open = { fate: 'under way', until: null, untilNumber: null, why: '' } as const
    const copy: TracedMessage = { ...message, number, copy: true, ...open }
    this.#traffic.add(copy)
    return copy
  }

  delivered(at: number, message: TracedMessage): void {
    this.#settle(at, message, 'delivered', '')
  }

  dropped(at: number, message: TracedMessage, why: string): void {
    this.#settle(at, message, 'dropped', why)
  }

  look(at: number, node: MemberKey, status: TraceStatus, applied: Index): void {
    const name = this.#name(node)
    const seen = this.#now.get(name)!
    const { role, term, commit } = status
    const leader = status.leader === null ? null : this.#name(status.leader)
    if (seen.role !== role || seen.term !== term || seen.leader !== leader) {
      Object.assign(seen, { role, term, leader })
      this.#landmarks.add({ kind: 'role', ...this.#stamp(at), node: name, role, term, leader })
    }
    if (seen.commit !== commit) {
      seen.commit = commit
      this.#traffic.add({ kind: 'commit', ...this.#stamp(at), node: name, index: commit })
    }
    if (seen.applied !== applied) {
      seen.applied = applied
      this.#traffic.add({ kind: 'applied', ...this.#stamp(at), node: name, index: applied })
    }
  }

  life(at: number, node: MemberKey, change: LifeChange, until: number | null = null, text = ''): void {
    const name = this.#name(node)
    // A new life knows nothing of the indexes that the last one had reached, and has a role to tell anew.
    if (change === 'started') this.#now.set(name, unknown(name))
    this.#landmarks.add({ kind: 'life', ...this.#stamp(at), node: name, change, until, text })
  }

  fault(at: number, what: string, text: string, nodes: readonly MemberKey[], until: number | null): TracedFault {
    const names = nodes.map(node => this.#name(node))
    const event: TracedFault = { kind: 'fault', ...this.#stamp(at), what, text, nodes: names, until }
    this.#landmarks.add(event)
    return event
  }

  faultEnded(at: number, fault: TracedFault): void {
    this.#stamp(at)
    fault.until = at
  }

  called(at: number, process: number, node: MemberKey | null, text: string): TracedCall {
    const name = node === null ? null : this.#name(node)
    const open = { outcome: null, until: null, untilNumber: null, answer: '' }
    const event: TracedCall = { kind: 'call', ...this.#stamp(at), process, node: name, text, ...open }
    this.#calls.add(event)
    return event
  }

  answered(at: number, call: TracedCall, outcome: CallOutcome, answer: string): void {
    assert(call.until === null, 'a call is answered once')
    call.untilNumber = this.#stamp(at).number
    call.until = at
    call.outcome = outcome
    call.answer = answer
  }

  violation(at: number, invariant: string, text: string): void {
    this.#landmarks.add({ kind: 'violation', ...this.#stamp(at), invariant, text })
  }

  note(at: number, node: MemberKey | null, text: string): void {
    this.#landmarks.add({ kind: 'note', ...this.#stamp(at), node: node === null ? null : this.#name(node), text })
  }

  /** All that was kept so far; messages and calls that are still open go on to change in it. */
  recorded(): Recording {
    const shelves = [this.#traffic, this.#calls, this.#landmarks]
    const events = shelves.flatMap(shelf => shelf.events).sort((a, b) => a.number - b.number)
    const names = ['messages and indexes', 'calls', 'landmarks'] as const
    const leftOut: LeftOut[] = []
    for (const [at, what] of names.entries()) {
      const shelf = shelves[at]!
      const edge = (this.#keep === 'last' ? shelf.events[0] : shelf.events.at(-1))?.at ?? 0
      if (shelf.leftOut > 0)
        leftOut.push({ what, keep: this.#keep, kept: shelf.events.length, leftOut: shelf.leftOut, edge })
    }
    return { nodes: [...this.#now.keys()], until: this.#until, events, before: [...this.#before.values()], leftOut }
  }

  #message(at: number, from: MemberKey, to: MemberKey, what: MessageKind, term: Term, text: string): TracedMessage {
    const open = { fate: 'under way', until: null, untilNumber: null, why: '' } as const
    const ends = { from: this.#name(from), to: this.#name(to) }
    const event: TracedMessage = {
      kind: 'message',
      ...this.#stamp(at),
      ...ends,
      what,
      term,
      text,
      copy: false,
      ...open
    }
    this.#traffic.add(event)
    return event
  }

  #settle(at: number, message: TracedMessage, fate: 'delivered' | 'dropped', why: string): void {
    assert(message.until === null, 'a message has one fate')
    message.untilNumber = this.#stamp(at).number
    message.until = at
    message.fate = fate
    message.why = why
  }

  #stamp(at: number): { readonly number: number; readonly at: number } {
    assert(at >= this.#until, 'what is traced happens in order')
    this.#until = at
    return { number: this.#number++, at }
  }

  /** The name of the lane of a node, which is there from then on. */
  #name(key: MemberKey): string {
    const known = this.#names.get(key)
    if (known !== undefined) return known
    const name = describeMember(key)
    this.#names.set(key, name)
    if (!this.#now.has(name)) {
      this.#now.set(name, unknown(name))
      this.#before.set(name, unknown(name))
    }
    return name
  }

  /** An event is dropped from the beginning: what it made of its node is kept. */
  #leave(event: TraceEvent): void {
    if (event.kind !== 'role' && event.kind !== 'life' && event.kind !== 'commit' && event.kind !== 'applied') return
    const before = this.#before.get(event.node)!
    if (event.kind === 'role') Object.assign(before, { role: event.role, term: event.term, leader: event.leader })
    else if (event.kind === 'life') before.life = event.change
    else before[event.kind] = event.index
  }
}

/** Events of one sort: the first so many, or the last. */
class Shelf {
  readonly #countMax: number
  readonly #keep: 'first' | 'last'
  readonly #leave: (event: TraceEvent) => void
  readonly #slots: TraceEvent[] = []
  /** Where the oldest stands, once all slots are taken. */
  #oldest = 0
  leftOut = 0

  constructor(countMax: number, keep: 'first' | 'last', leave: (event: TraceEvent) => void) {
    assert(countMax > 0, 'a trace holds at least one event of a sort')
    this.#countMax = countMax
    this.#keep = keep
    this.#leave = leave
  }

  get events(): readonly TraceEvent[] {
    return [...this.#slots.slice(this.#oldest), ...this.#slots.slice(0, this.#oldest)]
  }

  add(event: TraceEvent): void {
    if (this.#slots.length < this.#countMax) {
      this.#slots.push(event)
      return
    }
    this.leftOut++
    if (this.#keep === 'first') return
    this.#leave(this.#slots[this.#oldest]!)
    this.#slots[this.#oldest] = event
    this.#oldest = (this.#oldest + 1) % this.#countMax
  }
}

function unknown(node: string): NodeBefore {
  return { node, role: null, term: 0, leader: null, life: null, commit: 0, applied: 0 }
}
