// Entries and results spelled out, so that what a client was told and what a machine did can be compared.
import type { Entry } from '../../lib/client/entry.ts'
import type { Plain } from '../kv/bed.ts'
import type { RangeSpec } from './call-specs.ts'
import type { Executed, State } from './history.ts'

/** What a write came back with. */
export interface Outcome {
  readonly revision: number
  readonly previous?: Entry<string> | null
  readonly deleted?: number
  readonly value?: number
  readonly resultGone?: true
}

export function spelled(entry: Entry<string> | null): string {
  if (entry === null) return 'none'
  const { key, value, createRevision, modRevision, version } = entry
  return `${key}=${value}@${createRevision}/${modRevision}/${version}`
}

function spelledPlain(plain: Plain | null): string {
  if (plain === null) return 'none'
  const { key, value, create, mod, version } = plain
  return `${key}=${value}@${create}/${mod}/${version}`
}

export function same(entry: Entry<string> | null, plain: Plain | undefined): boolean {
  return spelled(entry) === spelledPlain(plain ?? null)
}

export function spelledOutcome({ revision, previous, deleted, value, resultGone }: Outcome): string {
  const before = previous === undefined ? 'untold' : spelled(previous)
  return `${revision} ${deleted ?? value ?? ''} ${before}${resultGone === true ? ' gone' : ''}`
}

/** What the caller must have been told of a command that was applied. */
export function spelledExecuted({ command, said }: Executed): string {
  const [, revision, answer] = said
  const fields = (answer ?? []) as readonly unknown[]
  if (command.op === 'increment') return `${revision} ${String(fields[0])} untold`
  const isDelete = command.op === 'delete'
  const before = command.previous ? spelledPlain(fields[isDelete ? 1 : 0] as Plain | null) : 'untold'
  return `${revision} ${isDelete ? String(fields[0]) : ''} ${before}`
}

/** The entries whose keys begin with `k`, in order. */
export function ranged(state: State): Plain[] {
  const found = [...state.values()].filter(({ key }) => key.startsWith('k'))
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

export function isRange(entries: readonly Entry<string>[], state: State, spec: RangeSpec): boolean {
  const all = ranged(state)
  if (spec.reverse) all.reverse()
  const wanted = all.slice(0, Math.min(spec.limit === 0 ? all.length : spec.limit, spec.taken))
  return wanted.length === entries.length && wanted.every((plain, at) => same(entries[at]!, plain))
}
