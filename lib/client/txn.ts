// Transactions: comparisons, and what is done where they hold and where not, as one entry of the log.
import { StrettoError } from '../base/errors.ts'
import { pack } from '../record/pack.ts'
import { recordBytesMax } from '../record/record.ts'
import { packCommand } from '../wire/kv/commands.ts'
import type { ReadAnswer } from './answers.ts'
import { Comparison } from './compares.ts'
import type { Corner } from './corner.ts'
import { ResultGone } from './encoding.ts'
import { unpackAnswer } from './entry.ts'
import { Op, type OpKind, type Responses } from './operations.ts'
import { checkNames, known, type WriteOptions } from './options.ts'
import type { SessionClient } from './session-client.ts'
import { packTxn, readTxn, type TxnParts } from './txn-parts.ts'

type Ops<V = unknown> = readonly Op<OpKind, V>[]

/** What a list of steps answers, in their order. */
export type ResponsesOf<Steps extends Ops, V> = {
  readonly [At in keyof Steps]: Steps[At] extends Op<infer Kind> ? Responses<V>[Kind] : never
}

export type TxnResult<V, Then extends Ops = Ops, Else extends Ops = Ops> =
  | { readonly succeeded: true; readonly responses: ResponsesOf<Then, V>; readonly revision: number }
  | { readonly succeeded: false; readonly responses: ResponsesOf<Else, V>; readonly revision: number }

/** A transaction that is being put together. Each step gives a new one; nothing is done before `commit`. */
export class Txn<V, Then extends Ops<V> = [], Else extends Ops<V> = []> {
  readonly #session: SessionClient
  readonly #corner: Corner
  readonly #parts: TxnParts

  constructor(session: SessionClient, corner: Corner, parts: TxnParts = empty) {
    this.#session = session
    this.#corner = corner
    this.#parts = parts
  }

  /** All have to hold, as the store is before the transaction. Without any, they do. */
  if(...compares: readonly Comparison<V>[]): Txn<V, Then, Else> {
    for (const each of compares) {
      if (!(each instanceof Comparison)) throw new StrettoError('BAD_REQUEST', 'if: comparisons, made by `cmp`')
    }
    return this.#with({ compares: [...this.#parts.compares, ...compares] })
  }

  /** What is done, in this order, where all comparisons hold. */
  // oxlint-disable-next-line unicorn/no-thenable -- called with something else than operations, as by `await`, it throws
  then<const Steps extends Ops<V>>(...steps: Steps): Txn<V, [...Then, ...Steps], Else> {
    checkOps('then', steps)
    return this.#with({ onTrue: [...this.#parts.onTrue, ...steps] })
  }

  /** What is done, in this order, where one of them does not. */
  else<const Steps extends Ops<V>>(...steps: Steps): Txn<V, Then, [...Else, ...Steps]> {
    checkOps('else', steps)
    return this.#with({ onFalse: [...this.#parts.onFalse, ...steps] })
  }

  /** Does it, exactly once: all steps of one branch, at one revision, or nothing. */
  commit(options: WriteOptions = {}): Promise<TxnResult<V, Then, Else>> {
    return this.#session.attempt(() => {
      checkNames(options, known.increment)
      return sendTxn(this.#session, this.#corner, this.#parts, options)
    })
  }

  #with<A extends Ops<V>, B extends Ops<V>>(parts: Partial<TxnParts>): Txn<V, A, B> {
    return new Txn<V, A, B>(this.#session, this.#corner, { ...this.#parts, ...parts })
  }
}

const empty: TxnParts = { compares: [], onTrue: [], onFalse: [] }
/** Room for the head of a record. */
const commandBytesMax = recordBytesMax - 1024

export function sendTxn(
  session: SessionClient,
  corner: Corner,
  parts: TxnParts,
  options: WriteOptions
): Promise<never> {
  const command = packCommand(packTxn(parts, corner))
  const contentBytes = pack(command).length
  if (contentBytes > commandBytesMax) {
    throw new StrettoError('TOO_LARGE', `a transaction of ${contentBytes} bytes: ${commandBytesMax} at most`)
  }
  const read: ReadAnswer = (revision, answer) => {
    if (answer === null) throw new ResultGone()
    return { ...readTxn(parts, unpackAnswer(answer), corner), revision }
  }
  return session.sendWrite({ read, corner, command, contentBytes }, options)
}

function checkOps(what: string, steps: readonly unknown[]): void {
  for (const each of steps) {
    if (each instanceof Op) continue
    throw new StrettoError('BAD_REQUEST', `${what}: operations, made by \`op\`; it is \`commit()\` that is awaited`)
  }
}
