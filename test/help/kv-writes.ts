// Writes as a test asks for them: made through a client, given to the model, and both ends spelled out alike.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { codeOfNumber } from '../../lib/base/errors.ts'
import type { Entry } from '../../lib/client/entry.ts'
import type { PutOptions } from '../../lib/client/options.ts'
import { type FirstCommand } from '../../lib/wire/kv/commands.ts'
import { type Plain, text } from '../kv/bed.ts'
import type { Said } from '../kv/model.ts'
import type { Believed, Bench, End } from './kv-bench.ts'

/** Prefixes of each other, bytes beyond ASCII, and two whose order is another one in UTF-16. */
const keys = ['a', 'a\0', 'ab', 'b', 'é', 'n', '\uffff', '\u{10000}'] as const
export const keyArbitrary = fc.constantFrom(...keys)
const numbers = ['0', '7', '-3', '9007199254740991', '-9007199254740991', '9007199254740992', '007', '-0', '', '1e3']
/** Two of them do not fit one page of a range. */
export const large = 'x'.repeat(200_000)
const valueArbitrary = fc.oneof(
  { weight: 5, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  { weight: 5, arbitrary: fc.constantFrom(...numbers) },
  { weight: 1, arbitrary: fc.constant(large) }
)

export interface WriteSpec {
  readonly op: 'put' | 'delete' | 'increment'
  readonly key: string
  readonly value: string
  readonly by: number
  readonly condition: 'none' | 'absent' | 'present' | 'other'
  readonly previous: boolean
}

export const writeArbitrary: fc.Arbitrary<WriteSpec> = fc.record({
  op: fc.constantFrom('put', 'put', 'delete', 'increment'),
  key: keyArbitrary,
  value: valueArbitrary,
  by: fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER)),
  condition: fc.constantFrom('none', 'none', 'none', 'absent', 'present', 'other'),
  previous: fc.boolean()
})

/** As the model names keys and values: a character a byte. */
export function latin(value: string): string {
  return Buffer.from(value).toString('latin1')
}

export function plainOf(entry: Entry<Uint8Array | null> | null): Plain | null {
  if (entry === null) return null
  const { key, value, createRevision: create, modRevision: mod, version } = entry
  return { key: latin(key), value: value === null ? null : text(value), create, mod, version }
}

export function conditionOf({ key, condition }: WriteSpec, { store }: Believed): number | null {
  const mod = store.entries.get(latin(key))?.mod ?? 0
  return { none: null, absent: 0, present: mod, other: mod + 1 }[condition]
}

/** Makes the call at once; its end is to be compared with what the model says. */
export function begin(spec: WriteSpec, ifRevision: number | null, { client }: Bench): Promise<object> {
  const { op, key, previous } = spec
  if (op === 'increment') return client.increment(key, spec.by)
  const options: PutOptions = { previous, ...(ifRevision === null ? {} : { ifRevision }) }
  if (op === 'delete') return client.delete(key, options)
  // Two ways to say the same.
  return client.put(key, Buffer.from(spec.value), spec.condition === 'absent' ? { previous, ifAbsent: true } : options)
}

function commandOf({ op, key, value, by, previous }: WriteSpec, ifRevision: number | null): FirstCommand {
  const bytes = Buffer.from(key)
  if (op === 'increment') return { op, key: bytes, by }
  return op === 'put'
    ? { op, key: bytes, value: Buffer.from(value), ifRevision, previous }
    : { op, key: bytes, ifRevision, previous }
}

/** What the caller must be told, as the client spells it, with plain entries. */
function wanted({ op, previous }: WriteSpec, [status, revision, answer]: Said): object {
  const fields = (answer ?? []) as readonly unknown[]
  if (status !== 0) return { code: codeOfNumber(status), current: fields[0] ?? null }
  if (op === 'increment') return { value: fields[0], revision }
  if (op === 'put') return previous ? { revision, previous: fields[0] } : { revision }
  return previous ? { revision, deleted: fields[0], previous: fields[1] } : { revision, deleted: fields[0] }
}

function told(end: End<object>): object {
  if ('code' in end) return { code: end.code, current: plainOf((end.current ?? null) as Entry<Uint8Array> | null) }
  const { result } = end
  return 'previous' in result ? { ...result, previous: plainOf(result.previous as Entry<Uint8Array> | null) } : result
}

/** An answer was lost with its link or its node, and was too large to be kept for a second time. */
function isGone(end: End<object>): boolean {
  return 'code' in end ? end.code === 'CONDITION_FAILED' && end.current === undefined : 'resultGone' in end.result
}

function withoutEntry(must: object): object {
  const { previous, current, ...rest } = must as { readonly previous?: Plain; readonly current?: Plain }
  if ((previous ?? current)?.value !== large) throw new Error('an answer is gone that was small enough to be kept')
  return 'code' in rest ? { ...rest, current: null } : { ...rest, resultGone: true }
}

export function apply(spec: WriteSpec, ifRevision: number | null, believed: Believed): object {
  const said = believed.store.execute(commandOf(spec, ifRevision))
  believed.remember()
  return wanted(spec, said)
}

/** The caller was told what the model says; or that it was applied, where the answer could not be kept until it was heard. */
export function agree(end: End<object>, must: object): void {
  deepStrictEqual(told(end), isGone(end) ? withoutEntry(must) : must)
}
