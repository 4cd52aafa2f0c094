// What transactions are made of, on their way to bytes and back.
import { StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import type { Compare, Operation, TxnCommand } from '../wire/kv/commands.ts'
import type { Corner } from './corner.ts'

export interface PackedCompare {
  pack(corner: Corner): Compare
}

export interface PackedOp {
  pack(corner: Corner): Operation
  read(answer: Packed, corner: Corner): unknown
}

export interface Branches {
  readonly onTrue: readonly PackedOp[]
  readonly onFalse: readonly PackedOp[]
}

export interface TxnParts extends Branches {
  readonly compares: readonly PackedCompare[]
}

export interface TxnAnswer {
  /** All comparisons held. */
  readonly succeeded: boolean
  /** Of the branch that was taken, one for each of its steps. */
  readonly responses: readonly unknown[]
}

/** @throws StrettoError BAD_REQUEST, TOO_LARGE */
export function packTxn({ compares, onTrue, onFalse }: TxnParts, corner: Corner): TxnCommand {
  return {
    op: 'txn',
    compares: compares.map(each => each.pack(corner)),
    onTrue: onTrue.map(each => each.pack(corner)),
    onFalse: onFalse.map(each => each.pack(corner))
  }
}

/** @throws StrettoError BAD_REQUEST for what is no answer to this; UndecodableValue */
export function readTxn({ onTrue, onFalse }: Branches, answer: readonly Packed[], corner: Corner): TxnAnswer {
  const [first, responses] = answer
  const ops = first === 1 ? onTrue : onFalse
  if (!Array.isArray(responses) || responses.length !== ops.length) {
    throw new StrettoError('BAD_REQUEST', 'an answer with another number of responses')
  }
  return {
    succeeded: first === 1,
    responses: ops.map((op, at) => op.read((responses as readonly Packed[])[at]!, corner))
  }
}
