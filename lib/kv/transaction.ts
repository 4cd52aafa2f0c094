// A transaction: its comparisons choose what is executed, all of them from the state before it; then the operations run in order.
import { compareBytes } from '../base/bytes.ts'
import type { Packed } from '../record/pack.ts'
import type {
  Compare,
  DeleteCommand,
  Operation,
  PutCommand,
  RangeOperation,
  Relation,
  TxnCommand
} from '../wire/kv/commands.ts'
import { append, calculate, deleteRange } from './changing.ts'
import { Refused, type Staging, type Steps } from './staging.ts'
import { keyBytes, keyText, packVersion, presentOf, type Version } from './version.ts'

/** What a transaction comes to. */
interface Chosen {
  readonly op: 'chosen'
  readonly succeeded: boolean
  readonly operations: readonly Step[]
}

type Step = Exclude<Operation, TxnCommand> | Chosen

/** Gives the answer: whether it has succeeded, and the response of each operation. */
export function* transact(txn: TxnCommand, staging: Staging): Steps<Packed> {
  const chosen = yield* choose(txn, staging)
  yield* staging.fetch(keysOf(chosen))
  return yield* execute(chosen, staging)
}

function* choose({ compares, onTrue, onFalse }: TxnCommand, staging: Staging): Steps<Chosen> {
  const succeeded = yield* hold(compares, staging)
  const operations: Step[] = []
  for (const operation of succeeded ? onTrue : onFalse) {
    operations.push(operation.op === 'txn' ? yield* choose(operation, staging) : operation)
  }
  return { op: 'chosen', succeeded, operations }
}

/** Whether all hold; those after the first that does not are not looked at. */
function* hold(compares: readonly Compare[], staging: Staging): Steps<boolean> {
  const keys = new Map<string, boolean>()
  for (const { from, to, target } of compares) if (to === undefined) keys.set(keyText(from), target === 'value')
  yield* staging.fetch(keys)
  for (const compare of compares) if (!(yield* holds(compare, staging))) return false
  return true
}

function* holds(compare: Compare, staging: Staging): Steps<boolean> {
  const { target, from, to } = compare
  if (to === undefined) {
    const entry = presentOf(yield* staging.before(keyText(from)))
    return entry !== null && target === 'value'
      ? entryHolds(compare, yield* staging.valued(entry))
      : entryHolds(compare, entry)
  }
  let all = true
  yield* staging.rangeBefore({ from, to }, {}, (_key, version) => {
    if (target === 'value') staging.spend(version!.length)
    all = entryHolds(compare, version)
    return all
  })
  return all
}

function entryHolds({ target, relation, operand }: Compare, entry: Version | null): boolean {
  if (target === 'value') {
    if (entry === null) return relation === 'ne'
    return orderHolds(relation, compareBytes(entry.value, operand as Uint8Array))
  }
  return orderHolds(relation, (entry?.[target] ?? 0) - (operand as number))
}

function orderHolds(relation: Relation, order: number): boolean {
  switch (relation) {
    case 'eq':
      return order === 0
    case 'ne':
      return order !== 0
    case 'lt':
      return order < 0
    case 'gt':
      return order > 0
  }
}

/** The keys that the operations name, and whether the value that stands there matters. */
function keysOf(chosen: Chosen, keys: Map<string, boolean> = new Map()): ReadonlyMap<string, boolean> {
  for (const step of chosen.operations) {
    if (step.op === 'chosen') keysOf(step, keys)
    else if (step.op !== 'range' && step.op !== 'deleteRange') {
      const key = keyText(step.key)
      keys.set(key, keys.get(key) === true || valueMatters(step))
    }
  }
  return keys
}

function valueMatters(step: Exclude<Step, Chosen | RangeOperation>): boolean {
  if (step.op === 'put' || step.op === 'delete') return step.previous
  return step.op === 'get' || step.op === 'append'
}

function* execute({ succeeded, operations }: Chosen, staging: Staging): Steps<Packed> {
  const responses: Packed[] = []
  for (const step of operations) responses.push(yield* respond(step, staging))
  return [succeeded ? 1 : 0, responses]
}

function* respond(step: Step, staging: Staging): Steps<Packed> {
  switch (step.op) {
    case 'chosen':
      return yield* execute(step, staging)
    case 'put':
      return yield* put(step, staging)
    case 'delete':
      return yield* remove(step, staging)
    case 'deleteRange':
      return yield* deleteRange(step, staging)
    case 'append':
      return yield* append(step, staging)
    case 'get':
      return packVersion(yield* staging.answered(keyText(step.key)), step.key)
    case 'range':
      return yield* range(step, staging)
    default:
      return yield* calculate(step, staging)
  }
}

function* put(command: PutCommand, staging: Staging): Steps<Packed> {
  const { key, value, previous, leaseId } = command
  const lease = staging.leases.ofPut(command)
  if (lease === null) throw new Refused(leaseId === 0 ? 'TOO_LARGE' : 'LEASE_NOT_FOUND')
  const text = keyText(key)
  const answer = previous ? packVersion(yield* staging.answered(text), key) : null
  staging.put(text, yield* staging.name(text), value, { spelled: true, leaseId: lease })
  return answer
}

function* remove({ key, previous }: DeleteCommand, staging: Staging): Steps<Packed> {
  const text = keyText(key)
  const answer = previous ? packVersion(yield* staging.answered(text), key) : null
  const entry = presentOf(yield* staging.name(text))
  if (entry === null) return [0, null]
  staging.delete(text, entry)
  return [1, answer]
}

function* range({ from, to, limit, reverse, keysOnly, countOnly }: RangeOperation, staging: Staging): Steps<Packed> {
  const most = limit === 0 ? Number.POSITIVE_INFINITY : limit
  const entries: Packed[] = []
  let count = 0
  let more = false
  yield* staging.range({ from, to }, { reverse, keysOnly: countOnly }, (key, version) => {
    more = count === most
    if (more) return false
    count++
    if (countOnly) return true
    staging.answerEntry(version!, !keysOnly)
    entries.push(packVersion(version, keyBytes(key), keysOnly))
    return true
  })
  return countOnly ? count : [more ? 1 : 0, ...entries]
}
