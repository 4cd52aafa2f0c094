// What a failing case may be made into next: candidates that are smaller or plainer than it, the boldest first.

import { type FaultEvent, faultClasses } from '../faults.ts'
import { callKinds, type KvShape, registersMax } from '../kv-workload.ts'
import { type Case, writesAnything } from './case.ts'

/** Fewer clients, keys and kinds of calls, and longer rests between calls. */
export function* smallerWorkloads(found: Case): Iterable<Case> {
  const { clients, workload = {} } = found
  for (const fewer of unique([1, 2, clients >> 1, clients - 1])) {
    if (fewer >= 1 && fewer < clients) yield { ...found, clients: fewer }
  }
  const withShape = (shape: KvShape): Case => ({ ...found, workload: { ...workload, ...shape } })
  const { keys = registersMax, kinds = callKinds, restMs = 0 } = workload
  if (keys > 1) yield withShape({ keys: 1 })
  for (const part of [['put'], ['put', 'get'], ['put', 'get', 'cas']] as const) {
    if (part.length < kinds.length && part.every(kind => kinds.includes(kind))) yield withShape({ kinds: part })
  }
  for (const left of kinds) {
    const rest = kinds.filter(kind => kind !== left)
    if (writesAnything(rest)) yield withShape({ kinds: rest })
  }
  for (const longer of [2_000, 500, 150]) if (longer > restMs) yield withShape({ restMs: longer })
}

/** Storms that end earlier; what would strike after the end is left out. */
export function* shorter(found: Case): Iterable<Case> {
  const { durationMs } = found
  for (const eighths of [0, 1, 2, 4, 6, 7]) {
    const less = Math.max(100, Math.floor((durationMs * eighths) / 800) * 100)
    if (less < durationMs) yield until(found, less)
  }
}

/** The case with a storm of this length. */
export function until(found: Case, durationMs: number): Case {
  return { ...found, durationMs, schedule: found.schedule.filter(({ at }) => at < durationMs) }
}

/** Clusters of fewer nodes, the odd ones before the even. A fault of a node that is not there falls to another one. */
export function* smallerClusters(found: Case): Iterable<Case> {
  for (const nodes of unique([1, 3, 5, 7, found.nodes - 1])) {
    if (nodes < 1 || nodes >= found.nodes) continue
    const schedule = found.schedule.map(event =>
      typeof event.node === 'number' ? { ...event, node: event.node % nodes } : event
    )
    yield { ...found, nodes, schedule }
  }
}

/** The fault of place `at` with a node by its place instead of whoever leads, and with the first one if any will do. */
export function* targetsOf(found: Case, at: number): Iterable<Case> {
  const event = found.schedule[at]!
  const nodes = event.node === 'leader' ? found.nodes : Math.min(1, event.node)
  for (let node = 0; node < nodes; node++) yield withEvent(found, at, { ...event, node })
}

/** The fault of this place shorter, earlier together with all that comes after it, and at a round time. */
export function* plainerTimes(found: Case, place: number): Iterable<Case> {
  const event = found.schedule[place]!
  const gap = event.at - (found.schedule[place - 1]?.at ?? 0)
  for (const ms of unique([0, roundDown(event.ms / 2), roundDown(event.ms)])) {
    if (ms < event.ms) yield withEvent(found, place, { ...event, ms })
  }
  for (const shorter of unique([0, roundDown(gap / 2)])) if (shorter < gap) yield earlier(found, place, gap - shorter)
  for (const step of [100, 10]) {
    const at = Math.floor(event.at / step) * step
    if (at < event.at) yield withEvent(found, place, { ...event, at })
  }
}

/** From this place on all faults come so much earlier, and the storm ends so much earlier. */
function earlier(found: Case, place: number, byMs: number): Case {
  const schedule = found.schedule.map((event, at) => (at < place ? event : { ...event, at: event.at - byMs }))
  return { ...found, durationMs: Math.max(100, found.durationMs - byMs), schedule }
}

/** A storm of whole tenths of a second: longer by less than one, and plainer. */
export function* plainerDuration(found: Case): Iterable<Case> {
  const durationMs = Math.ceil(found.durationMs / 100) * 100
  if (durationMs > found.durationMs) yield { ...found, durationMs }
}

/** The fault of place `at` with a rounder amount. */
export function* plainerAmounts(found: Case, at: number): Iterable<Case> {
  const event = found.schedule[at]!
  const { amountMin, amountMax } = faultClasses[event.kind]
  if (event.amount === amountMin) return
  yield withEvent(found, at, { ...event, amount: amountMin })
  for (const step of [100, 10, 1, 0.5, 0.1, 0.01]) {
    if (isMultiple(event.amount, step)) return
    // A quotient, because a product with a tenth is no round number.
    const amount = Math.round(event.amount / step) / (1 / step)
    if (amount >= amountMin && amount <= amountMax) yield withEvent(found, at, { ...event, amount })
  }
}

/** The case with another fault instead of the one in this place; faults stay in the order of their times. */
function withEvent(found: Case, place: number, event: FaultEvent): Case {
  return { ...found, schedule: found.schedule.with(place, event).toSorted((a, b) => a.at - b.at) }
}

function roundDown(value: number): number {
  const step = value >= 100 ? 100 : 10
  return Math.floor(value / step) * step
}

function isMultiple(value: number, step: number): boolean {
  return Number.isInteger(Math.round((value / step) * 1e6) / 1e6)
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)]
}
