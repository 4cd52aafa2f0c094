// A recording in the shape in which it is drawn: per node what it was and when, messages in order, faults in rows.
import type { Role } from '../../../raft/types.ts'
import type { Recording, TracedCall, TracedFault, TracedMessage, TraceEvent } from '../events.ts'
import { type Moment, momentsOf } from './moments.ts'

/** A node stays the same from one moment to another. */
export interface Stretch {
  readonly from: number
  to: number
  readonly alive: boolean
  readonly role: Role | null
  readonly term: number
  readonly leader: string | null
  /** Index of the event that began it; -1 where that was left out. */
  readonly event: number
}

/** The process is held up: it is there, and does nothing. */
export interface Hold {
  readonly from: number
  to: number
  readonly event: number
}

/** From `at` on the index was this; -1: it is not known, because that was left out. `event` -1: no event says so. */
export interface Mark {
  readonly at: number
  readonly index: number
  readonly event: number
}

export interface NodeLine {
  readonly name: string
  readonly stretches: Stretch[]
  readonly holds: Hold[]
  readonly commits: Mark[]
  readonly applies: Mark[]
  /** Starts and ends of its lives. */
  readonly lives: { readonly at: number; readonly begins: boolean; readonly event: number }[]
}

/** Something with a beginning and an end, and the index of its event. */
export interface Spanned<T> {
  readonly from: number
  readonly to: number
  readonly event: number
  readonly of: T
}

export interface Model {
  readonly recording: Recording
  readonly moments: readonly Moment[]
  readonly nodes: readonly NodeLine[]
  readonly messages: Spans<TracedMessage>
  /** The calls of each process, by its number; those that overlap stand in lanes of their own. */
  readonly calls: readonly { readonly process: number; readonly spans: Spans<TracedCall> }[]
  /** Faults that overlap stand in different rows. */
  readonly faults: readonly Spans<TracedFault>[]
  readonly violations: readonly { readonly at: number; readonly text: string; readonly event: number }[]
  readonly notes: readonly { readonly at: number; readonly node: string | null; readonly event: number }[]
}

/** In order of their beginnings. `reach[i]`: the latest end among the first i + 1. */
export interface Spans<T> {
  readonly spans: readonly Spanned<T>[]
  readonly reach: readonly number[]
}

export function modelOf(recording: Recording): Model {
  const { events, until } = recording
  const messages: Spanned<TracedMessage>[] = []
  const faults: Spanned<TracedFault>[] = []
  const calls = new Map<number, Spanned<TracedCall>[]>()
  const violations = []
  const notes = []
  for (let index = 0; index < events.length; index++) {
    const event = events[index]!
    const { at } = event
    if (event.kind === 'message') messages.push({ from: at, to: event.until ?? at, event: index, of: event })
    else if (event.kind === 'fault') faults.push({ from: at, to: event.until ?? until, event: index, of: event })
    else if (event.kind === 'call') {
      const own = calls.get(event.process) ?? []
      own.push({ from: at, to: event.until ?? until, event: index, of: event })
      calls.set(event.process, own)
    } else if (event.kind === 'violation')
      violations.push({ at, text: `${event.invariant} ${event.text}`, event: index })
    else if (event.kind === 'note') notes.push({ at, node: event.node, event: index })
  }
  return {
    recording,
    moments: momentsOf(recording),
    nodes: nodeLinesOf(recording),
    // A copy begins where its original does, and is told later.
    messages: spansOf(messages.sort((a, b) => a.from - b.from || a.event - b.event)),
    calls: [...calls]
      .sort((a, b) => a[0] - b[0])
      .flatMap(([process, own]) => rowsOf(own, 4).map(row => ({ process, spans: spansOf(row) }))),
    faults: rowsOf(faults, 6).map(spansOf),
    violations,
    notes
  }
}

export function spansOf<T>(spans: readonly Spanned<T>[]): Spans<T> {
  const reach: number[] = []
  let latest = Number.NEGATIVE_INFINITY
  for (const { to } of spans) {
    latest = Math.max(latest, to)
    reach.push(latest)
  }
  return { spans, reach }
}

/** Those of the spans that touch [from, to]. */
export function spansWithin<T>({ spans, reach }: Spans<T>, from: number, to: number): Spanned<T>[] {
  const found: Spanned<T>[] = []
  for (let index = firstNotBelow(reach.length, at => reach[at]!, from); index < spans.length; index++) {
    const span = spans[index]!
    if (span.from > to) break
    if (span.to >= from) found.push(span)
  }
  return found
}

/** The first of `count` rising values that is at least `least`; `count` where none is. */
export function firstNotBelow(count: number, valueOf: (index: number) => number, least: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    if (valueOf(middle) < least) low = middle + 1
    else high = middle
  }
  return low
}

/** Each span in the first row that is free; where there are too many at once, in the row that is free soonest. */
export function rowsOf<T>(spans: readonly Spanned<T>[], rowsMax: number): Spanned<T>[][] {
  const rows: Spanned<T>[][] = []
  const freeAt: number[] = []
  for (const span of spans) {
    let row = freeAt.findIndex(at => at <= span.from)
    if (row < 0) row = rows.length < rowsMax ? rows.length : freeAt.indexOf(Math.min(...freeAt))
    ;(rows[row] ??= []).push(span)
    freeAt[row] = Math.max(freeAt[row] ?? 0, span.to)
  }
  return rows
}

export function nodeLinesOf(recording: Recording): NodeLine[] {
  const { nodes, before, events, until } = recording
  const lines = new Map<string, NodeLine>()
  const missing = recording.leftOut.find(({ what }) => what === 'messages and indexes')
  for (const name of nodes) lines.set(name, { name, stretches: [], holds: [], commits: [], applies: [], lives: [] })
  for (const { node, role, term, leader, life, commit, applied } of before) {
    const line = lines.get(node)!
    // Where nobody tells of lives, a node is there from the beginning.
    const alive =
      life === null ? !isFirstStarted(events, node) : life !== 'crashed' && life !== 'failed' && life !== 'stopped'
    line.stretches.push({ from: 0, to: until, alive, role, term, leader, event: -1 })
    if (missing?.keep !== 'last') continue
    line.commits.push({ at: 0, index: -1, event: -1 }, { at: missing.edge, index: commit, event: -1 })
    line.applies.push({ at: 0, index: -1, event: -1 }, { at: missing.edge, index: applied, event: -1 })
  }
  for (let index = 0; index < events.length; index++) followNode(lines, events[index]!, index, until)
  if (missing?.keep === 'first') {
    for (const { commits, applies } of lines.values()) {
      for (const marks of [commits, applies]) {
        // What a new life begins with is not all that is missing of it.
        marks.splice(firstNotBelow(marks.length, at => marks[at]!.at, missing.edge + 1e-9))
        marks.push({ at: missing.edge, index: -1, event: -1 })
      }
    }
  }
  return [...lines.values()]
}

export function isFirstStarted(events: readonly TraceEvent[], node: string): boolean {
  const first = events.find(event => event.kind === 'life' && event.node === node)
  return first?.kind === 'life' && first.change === 'started'
}

export function followNode(
  lines: ReadonlyMap<string, NodeLine>,
  event: TraceEvent,
  index: number,
  until: number
): void {
  if (event.kind !== 'role' && event.kind !== 'life' && event.kind !== 'commit' && event.kind !== 'applied') return
  const line = lines.get(event.node)!
  const { at } = event
  const last = line.stretches.at(-1)!
  const turn = (stretch: Pick<Stretch, 'alive' | 'role' | 'term' | 'leader'>): void => {
    last.to = at
    line.stretches.push({ from: at, to: until, event: index, ...stretch })
  }
  if (event.kind === 'role') turn({ alive: true, role: event.role, term: event.term, leader: event.leader })
  else if (event.kind !== 'life') {
    const marks = event.kind === 'commit' ? line.commits : line.applies
    marks.push({ at, index: event.index, event: index })
  } else {
    const hold = line.holds.at(-1)
    if (hold !== undefined && hold.to > at) hold.to = at
    if (event.change === 'stalled' || event.change === 'paused') {
      line.holds.push({ from: at, to: Math.min(event.until ?? until, until), event: index })
    } else if (event.change !== 'resumed') {
      const begins = event.change === 'started'
      line.lives.push({ at, begins, event: index })
      turn({ alive: begins, role: null, term: last.term, leader: null })
      if (begins) line.commits.push({ at, index: 0, event: index })
      if (begins) line.applies.push({ at, index: 0, event: index })
    }
  }
}

/** What a node was at a time. */
export function nodeAt(
  line: NodeLine,
  at: number
): { stretch: Stretch; commit: number; applied: number; held: boolean } {
  const { stretches, commits, applies, holds } = line
  const last = <T>(list: readonly T[], timeOf: (item: T) => number): T | undefined =>
    list[firstNotBelow(list.length, index => timeOf(list[index]!), at + 1e-9) - 1]
  const stretch = last(stretches, item => item.from) ?? stretches[0]!
  const hold = last(holds, item => item.from)
  return {
    stretch,
    commit: last(commits, item => item.at)?.index ?? 0,
    applied: last(applies, item => item.at)?.index ?? 0,
    held: hold !== undefined && hold.to > at
  }
}
