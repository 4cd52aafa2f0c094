// A case: one run as data, in JSON. What failed is kept as one, and each field of it is checked when it comes back.
import { StrettoError } from '../../base/errors.ts'
import type { Depth } from '../cluster.ts'
import { type FaultEvent, faultClasses, faultNames, isFaultClass } from '../faults.ts'
import { type CallKind, callKinds, type KvShape, KvWorkload, registersMax } from '../kv-workload.ts'
import { type RunOptions, type RunReport, runSeed } from '../run.ts'

/** All that a run of the key-value machine depends on, besides the code. */
export interface Case {
  readonly seed: number
  readonly depth: Depth
  readonly nodes: number
  readonly clients: number
  readonly durationMs: number
  /** What clients do; all of it when left out. */
  readonly workload?: KvShape
  readonly schedule: readonly FaultEvent[]
  /** The code of what it breaks, or once did. */
  readonly invariant?: string
  /** What it once showed, for people. */
  readonly note?: string
}

export const caseLimits = {
  nodesMax: 9,
  clientsMax: 64,
  durationMsMax: 3_600_000,
  eventsMax: 10_000,
  restMsMax: 5_000
} as const

/** Calls without which nothing is committed, and so no progress is to be seen. */
const writing: ReadonlySet<CallKind> = new Set([
  'put',
  'delete',
  'increment',
  'put-pair',
  'put-thrice',
  'txn-pair',
  'clear-pair'
])

/** What a formatter of JSON leaves in one line. */
const lineLengthMax = 120

const caseFields = [
  'note',
  'invariant',
  'seed',
  'depth',
  'nodes',
  'clients',
  'durationMs',
  'workload',
  'schedule'
] as const
const eventFields = ['at', 'kind', 'node', 'ms', 'amount'] as const
const shapeFields = ['keys', 'kinds', 'restMs'] as const

/** Runs it. The same case has the same report for ever, as long as the code is the same. */
export function runCase(
  { seed, depth, nodes, clients, durationMs, schedule, workload }: Case,
  trace: RunOptions['trace'] = null
): Promise<RunReport> {
  const options = { seed, depth, nodes, clients, durationMs, schedule, faults: [], trace }
  return runSeed({ ...options, workload: parts => new KvWorkload(parts, workload) })
}

/** The run of these options, with the faults that chance has dealt in it written out. */
export function caseOf(options: RunOptions, { schedule, violation }: RunReport): Case {
  const { seed, depth, nodes, clients, durationMs } = options
  const found = { seed, depth, nodes, clients, durationMs, schedule }
  return violation === null ? found : { ...found, invariant: violation.invariant }
}

/** As text: one field and one fault to a line, so that two cases can be compared. */
export function formatCase(found: Case): string {
  const lines = caseFields.flatMap(field => {
    if (found[field] === undefined || field === 'schedule') return []
    const line = `  ${JSON.stringify(field)}: ${inline(found[field])}`
    return [field === 'workload' && line.length >= lineLengthMax ? `  "workload": ${unfolded(found.workload!)}` : line]
  })
  const events = found.schedule.map(event => `    ${inline(event, eventFields)}`)
  // As the formatter of JSON would have it: one fault beside the brackets, more of them each on its line.
  const list = events.length < 2 ? events.join('').trim() : `\n${events.join(',\n')}\n  `
  lines.push(`  "schedule": [${list}]`)
  return `{\n${lines.join(',\n')}\n}\n`
}

/** @throws StrettoError BAD_REQUEST with one sentence of what is wrong */
export function readCase(text: string): Case {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return refuse(`this is no JSON: ${(error as Error).message}`)
  }
  return caseFrom(value)
}

/** @throws StrettoError BAD_REQUEST with one sentence of what is wrong */
export function caseFrom(value: unknown): Case {
  const found = fieldsOf(value, 'a case', caseFields)
  const nodes = integer(found['nodes'], 'nodes', 1, caseLimits.nodesMax)
  const { depth, schedule, workload, invariant, note } = found
  if (depth !== 'shallow' && depth !== 'deep') refuse(`depth is ${shown(depth)}, and must be "shallow" or "deep"`)
  if (!Array.isArray(schedule)) refuse(`schedule is ${shown(schedule)}, and must be a list of faults`)
  if (schedule.length > caseLimits.eventsMax)
    refuse(`schedule has ${schedule.length} faults, and may have ${caseLimits.eventsMax}`)
  return {
    seed: integer(found['seed'], 'seed', 0, Number.MAX_SAFE_INTEGER),
    depth,
    nodes,
    clients: integer(found['clients'], 'clients', 1, caseLimits.clientsMax),
    durationMs: integer(found['durationMs'], 'durationMs', 1, caseLimits.durationMsMax),
    ...(workload !== undefined && { workload: shapeFrom(workload) }),
    schedule: schedule.map((event, at) => eventFrom(event, `schedule[${at}]`, nodes)),
    ...(invariant !== undefined && { invariant: words(invariant, 'invariant') }),
    ...(note !== undefined && { note: words(note, 'note') })
  }
}

function eventFrom(value: unknown, name: string, nodes: number): FaultEvent {
  const { kind, node, at, ms, amount } = fieldsOf(value, name, eventFields)
  if (typeof kind !== 'string' || !isFaultClass(kind))
    return refuse(`${name}.kind is ${shown(kind)}, and must be one of ${faultNames.join(', ')}`)
  const { msMax, amountMin, amountMax } = faultClasses[kind]
  return {
    at: number(at, `${name}.at`, 0, caseLimits.durationMsMax),
    kind,
    node: node === 'leader' ? node : integer(node, `${name}.node`, 0, nodes - 1, ', or "leader"'),
    ms: number(ms, `${name}.ms`, 0, msMax, ` for ${kind}`),
    amount: number(amount, `${name}.amount`, amountMin, amountMax, ` for ${kind}`)
  }
}

function shapeFrom(value: unknown): KvShape {
  const { keys, kinds, restMs } = fieldsOf(value, 'workload', shapeFields)
  return {
    ...(keys !== undefined && { keys: integer(keys, 'workload.keys', 1, registersMax) }),
    ...(kinds !== undefined && { kinds: kindsFrom(kinds) }),
    ...(restMs !== undefined && { restMs: integer(restMs, 'workload.restMs', 1, caseLimits.restMsMax) })
  }
}

function kindsFrom(value: unknown): readonly CallKind[] {
  if (!Array.isArray(value)) return refuse(`workload.kinds is ${shown(value)}, and must be a list of kinds of calls`)
  const kinds = value.map((kind, at) => {
    const known = callKinds.find(each => each === kind)
    return known ?? refuse(`workload.kinds[${at}] is ${shown(kind)}, and must be one of ${callKinds.join(', ')}`)
  })
  if (!writesAnything(kinds)) refuse(`workload.kinds writes nothing: it must hold one of ${[...writing].join(', ')}`)
  return kinds
}

/** Clients that only read would leave nothing to be committed after a healing. */
export function writesAnything(kinds: readonly CallKind[]): boolean {
  return kinds.some(kind => writing.has(kind))
}

function fieldsOf<Name extends string>(
  value: unknown,
  name: string,
  known: readonly Name[]
): Partial<Record<Name, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse(`${name} is ${shown(value)}, and must be an object`)
  const unknown = Object.keys(value).find(field => !known.some(each => each === field))
  if (unknown !== undefined) refuse(`${name} has an unknown field ${shown(unknown)}: known are ${known.join(', ')}`)
  return value
}

function integer(value: unknown, name: string, min: number, max: number, more = ''): number {
  if (Number.isSafeInteger(value)) return number(value, name, min, max, more)
  return refuse(`${name} is ${shown(value)}, and must be a whole number from ${min} to ${max}${more}`)
}

function number(value: unknown, name: string, min: number, max: number, more = ''): number {
  if (typeof value === 'number' && value >= min && value <= max) return value
  return refuse(`${name} is ${shown(value)}, and must be a number from ${min} to ${max}${more}`)
}

function words(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value
  return refuse(`${name} is ${shown(value)}, and must be a text`)
}

function refuse(text: string): never {
  throw new StrettoError('BAD_REQUEST', text)
}

function shown(value: unknown): string {
  if (value === undefined) return 'missing'
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 40)}...` : text
}

/** A field of it to a line. */
function unfolded(shape: KvShape): string {
  const lines = Object.entries(shape).map(([name, value]) => `    ${JSON.stringify(name)}: ${inline(value)}`)
  return `{\n${lines.join(',\n')}\n  }`
}

/** In one line, with blanks where a formatter of JSON would have them; `order` is that of the fields. */
function inline(value: unknown, order?: readonly string[]): string {
  if (Array.isArray(value)) return `[${value.map(each => inline(each)).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).filter(([, each]) => each !== undefined)
  if (order !== undefined) fields.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
  return fields.length === 0
    ? '{}'
    : `{ ${fields.map(([name, each]) => `${JSON.stringify(name)}: ${inline(each)}`).join(', ')} }`
}
