// `cmp`: what has to hold for a transaction to take its first branch, of one key or of every key of a range.
import { StrettoError } from '../base/errors.ts'
import type { Compare, Relation, Target } from '../wire/kv/commands.ts'
import { leaseIdOf } from './conditions.ts'
import type { Corner } from './corner.ts'
import type { Key } from './encoding.ts'
import { checkNames, countOf, known, type LeaseRef, type NamedBounds } from './options.ts'

/** One comparison, made by `cmp`. `V` is the type of the value that it names. */
export class Comparison<V = unknown> {
  /** For types alone. */
  declare readonly named: V
  readonly #pack: (corner: Corner) => Compare

  constructor(pack: (corner: Corner) => Compare) {
    this.#pack = pack
  }

  /** @throws StrettoError BAD_REQUEST, TOO_LARGE */
  pack(corner: Corner): Compare {
    return this.#pack(corner)
  }
}

/** Of an absent key all numbers are 0. */
export interface NumberTest {
  eq(number: number): Comparison<never>
  ne(number: number): Comparison<never>
  lt(number: number): Comparison<never>
  gt(number: number): Comparison<never>
}

/** By the bytes of the encoded values, in their order. Of an absent key none holds but `ne`. */
export interface ValueTest {
  eq<V>(value: V): Comparison<V>
  ne<V>(value: V): Comparison<V>
  lt<V>(value: V): Comparison<V>
  gt<V>(value: V): Comparison<V>
}

/** By the ids of leases, 0 for none. */
export interface LeaseTest {
  eq(lease: LeaseRef): Comparison<never>
  ne(lease: LeaseRef): Comparison<never>
  lt(lease: LeaseRef): Comparison<never>
  gt(lease: LeaseRef): Comparison<never>
}

/** What of a key is compared; of a range, every key in it has to hold. */
export interface RangeTests {
  /** 1 when the key was created, 1 more with each write. */
  readonly version: NumberTest
  readonly createRevision: NumberTest
  readonly modRevision: NumberTest
  readonly value: ValueTest
  readonly lease: LeaseTest
  /** There is no such key. */
  absent(): Comparison<never>
}

export interface KeyTests extends RangeTests {
  exists(): Comparison<never>
}

export function cmp(key: Key): KeyTests
export function cmp(range: NamedBounds): RangeTests
export function cmp(subject: Key | NamedBounds): RangeTests | KeyTests {
  const numbers = (target: Target): NumberTest =>
    testsOf(subject, target, (_corner, operand: number) => countOf(operand, target, 0))
  const version = numbers('version')
  return {
    version,
    createRevision: numbers('createRevision'),
    modRevision: numbers('modRevision'),
    value: testsOf(subject, 'value', (corner, value: unknown) => corner.value(value)),
    lease: testsOf(subject, 'leaseId', (_corner, lease: LeaseRef) => (lease === 0 ? 0 : leaseIdOf(lease))),
    absent: () => version.eq(0),
    exists: () => version.gt(0)
  }
}

function testsOf<T>(
  subject: Key | NamedBounds,
  target: Target,
  read: (corner: Corner, operand: T) => number | Uint8Array
) {
  const test =
    (relation: Relation) =>
    (operand: T): Comparison<never> =>
      new Comparison(corner => ({ target, relation, ...placeOf(corner, subject), operand: read(corner, operand) }))
  return { eq: test('eq'), ne: test('ne'), lt: test('lt'), gt: test('gt') }
}

function placeOf(corner: Corner, subject: Key | NamedBounds): Pick<Compare, 'from' | 'to'> {
  if (typeof subject === 'string' || subject instanceof Uint8Array) return { from: corner.key(subject), to: undefined }
  return namedRange(corner, subject)
}

/**
 * A range for what must not mean the whole store by mistake: it names its bounds, if only as `prefix: ''`.
 * @throws StrettoError BAD_REQUEST, TOO_LARGE
 */
export function namedRange(corner: Corner, bounds: NamedBounds) {
  if (typeof bounds !== 'object' || bounds === null) {
    throw new StrettoError('BAD_REQUEST', 'a range: { prefix }, { from }, { to } or { from, to }')
  }
  checkNames(bounds, known.bounds)
  if (bounds.prefix === undefined && bounds.from === undefined && bounds.to === undefined) {
    throw new StrettoError('BAD_REQUEST', "a range names its bounds: { prefix: '' } for all keys")
  }
  return corner.range(bounds)
}
