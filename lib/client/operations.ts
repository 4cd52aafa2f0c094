// `op`: what a transaction does, step by step, and what each step answers.
import { StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import type { NumberCommand, Operation } from '../wire/kv/commands.ts'
import { type Comparison, namedRange } from './compares.ts'
import { leaseOf } from './conditions.ts'
import type { Corner } from './corner.ts'
import type { Key } from './encoding.ts'
import { type Entry, entryOf, entryOrNull, keyEntryOf, numberOf } from './entry.ts'
import { type Bounds, checkNames, countOf, known, type LeaseOptions, type NamedBounds } from './options.ts'
import { packTxn, readTxn, type TxnAnswer } from './txn-parts.ts'

/** What the steps answer, by their kind. */
export interface Responses<V> {
  readonly get: Entry<V> | null
  readonly getRange: { readonly entries: readonly Entry<V>[]; readonly more: boolean }
  readonly getKeys: { readonly entries: readonly Entry<null>[]; readonly more: boolean }
  readonly count: number
  readonly put: { readonly previous?: Entry<V> | null }
  readonly delete: { readonly deleted: number; readonly previous?: Entry<V> | null }
  readonly deleteRange: { readonly deleted: number }
  readonly number: { readonly value: number }
  readonly append: { readonly length: number }
  readonly txn: TxnAnswer
}

export type OpKind = keyof Responses<unknown>

/** One step of a transaction, made by `op`. `V` is the type of the value that it writes. */
export class Op<Kind extends OpKind = OpKind, V = unknown> {
  readonly kind: Kind
  /** For types alone. */
  declare readonly written: V
  readonly #pack: (corner: Corner) => Operation
  readonly #read: (answer: Packed, corner: Corner) => unknown

  constructor(kind: Kind, pack: (corner: Corner) => Operation, read: (answer: Packed, corner: Corner) => unknown) {
    this.kind = kind
    this.#pack = pack
    this.#read = read
  }

  /** @throws StrettoError BAD_REQUEST, TOO_LARGE */
  pack(corner: Corner): Operation {
    return this.#pack(corner)
  }

  /** The response that the user gets. @throws StrettoError BAD_REQUEST, UndecodableValue */
  read(answer: Packed, corner: Corner): unknown {
    return this.#read(answer, corner)
  }
}

export interface OpPutOptions extends LeaseOptions {
  /** The response brings the entry as it was before. */
  readonly previous?: boolean | undefined
}

export interface OpRangeOptions extends Bounds {
  readonly limit?: number | undefined
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined
  /** Entries come with `value: null`. */
  readonly keysOnly?: boolean | undefined
}

export interface OpTxn<V> {
  readonly if?: readonly Comparison<V>[]
  readonly then?: readonly Op<OpKind, V>[]
  readonly else?: readonly Op<OpKind, V>[]
}

export const op = {
  put<V>(key: Key, value: V, options: OpPutOptions = {}): Op<'put', V> {
    const { previous = false } = options
    const pack = (corner: Corner): Operation => {
      checkNames(options, known.opPut)
      const lease = leaseOf(options)
      return { op: 'put', key: corner.key(key), value: corner.value(value), ifRevision: null, previous, ...lease }
    }
    return new Op('put', pack, (answer, corner) => (previous ? { previous: entryOrNull(answer, corner) } : {}))
  },

  delete(key: Key, options: Pick<OpPutOptions, 'previous'> = {}): Op<'delete', never> {
    const { previous = false } = options
    const pack = (corner: Corner): Operation => {
      checkNames(options, known.opDelete)
      return { op: 'delete', key: corner.key(key), ifRevision: null, previous }
    }
    return new Op('delete', pack, (answer, corner) => {
      const [deleted, entry] = listOf(answer)
      return { deleted: numberOf(deleted), ...(previous ? { previous: entryOrNull(entry, corner) } : {}) }
    })
  },

  deleteRange(bounds: NamedBounds): Op<'deleteRange', never> {
    const pack = (corner: Corner): Operation => ({ op: 'deleteRange', ...namedRange(corner, bounds) })
    return new Op('deleteRange', pack, answer => ({ deleted: numberOf(answer) }))
  },

  /** Adds to the whole number that the value spells in decimal; an absent key counts as 0. */
  add: (key: Key, by = 1): Op<'number', never> => numeric('increment', key, by),

  /** Stores `number` where the value is greater, or the key absent. */
  min: (key: Key, number: number): Op<'number', never> => numeric('min', key, number),

  /** Stores `number` where the value is less, or the key absent. */
  max: (key: Key, number: number): Op<'number', never> => numeric('max', key, number),

  /** Adds the encoded `value` to the end of what is there. */
  append<V>(key: Key, value: V): Op<'append', V> {
    const pack = (corner: Corner): Operation => ({ op: 'append', key: corner.key(key), value: corner.value(value) })
    return new Op('append', pack, answer => ({ length: numberOf(answer) }))
  },

  get(key: Key): Op<'get', never> {
    return new Op('get', corner => ({ op: 'get', key: corner.key(key) }), entryOrNull)
  },

  getRange<KeysOnly extends boolean = false>(
    options: OpRangeOptions & { readonly keysOnly?: KeysOnly | undefined }
  ): Op<KeysOnly extends true ? 'getKeys' : 'getRange', never> {
    const { keysOnly = false } = options
    const pack = (corner: Corner): Operation => {
      checkNames(options, known.opRange)
      const limit = options.limit === undefined ? 0 : countOf(options.limit, 'limit', 1)
      const range = corner.range(options)
      return { op: 'range', ...range, limit, reverse: options.reverse === true, keysOnly, countOnly: false }
    }
    const kind = (keysOnly ? 'getKeys' : 'getRange') as KeysOnly extends true ? 'getKeys' : 'getRange'
    return new Op(kind, pack, (answer, corner) => {
      const [more, ...entries] = listOf(answer)
      const read = keysOnly ? keyEntryOf : entryOf
      return { entries: entries.map(entry => read(entry, corner)), more: more === 1 }
    })
  },

  count(bounds: Bounds = {}): Op<'count', never> {
    const pack = (corner: Corner): Operation => {
      checkNames(bounds, known.bounds)
      return { op: 'range', ...corner.range(bounds), limit: 0, reverse: false, keysOnly: true, countOnly: true }
    }
    return new Op('count', pack, numberOf)
  },

  /** A transaction inside of this one; its responses are those of the branch that it took. */
  txn<V>(inner: OpTxn<V>): Op<'txn', V> {
    const { if: compares = [], then: onTrue = [], else: onFalse = [] } = inner
    const pack = (corner: Corner): Operation => {
      checkNames(inner, known.opTxn)
      return packTxn({ compares, onTrue, onFalse }, corner)
    }
    return new Op('txn', pack, (answer, corner) => readTxn({ onTrue, onFalse }, listOf(answer), corner))
  }
}

function numeric(name: NumberCommand['op'], key: Key, by: number): Op<'number', never> {
  const pack = (corner: Corner): Operation => {
    if (!Number.isSafeInteger(by)) throw new StrettoError('BAD_REQUEST', `${name}: a whole number`)
    return { op: name, key: corner.key(key), by }
  }
  return new Op('number', pack, answer => ({ value: numberOf(answer) }))
}

function listOf(answer: Packed): readonly Packed[] {
  if (!Array.isArray(answer)) throw new StrettoError('BAD_REQUEST', 'a response that is no array')
  return answer as readonly Packed[]
}
