// Reads the commands of the key-value machine, and refuses what is none: the leader before it proposes them, every node before
// it executes them.
import { StrettoError } from '../../base/errors.ts'
import { type Packed, unpack } from '../../record/pack.ts'
import {
  type AppendCommand,
  type Command,
  type Compare,
  commandOp,
  type DeleteCommand,
  type DeleteRangeCommand,
  type Fencing,
  kvVersionMax,
  type NumberCommand,
  type Operation,
  operationOp,
  type PutCommand,
  rangeFlag,
  relations,
  type TxnCommand,
  targets,
  ttlMsMax,
  ttlMsMin,
  txnDepthMax,
  txnRangesMax,
  txnStepsMax,
  wantsPrevious
} from './commands.ts'
import { malformed, readKey, readNumber, readRange, valueBytesMax } from './fields.ts'

/**
 * The commands of a record; the same function judges them before they are proposed and when they are applied. Keys and
 * values are views into `bytes`. `version` is the machine version in force.
 * @throws StrettoError BAD_REQUEST or TOO_LARGE for anything but `count` well-formed commands; UNAVAILABLE for those that
 * wait for a higher machine version
 */
export function readCommands(bytes: Uint8Array, count: number, version: number = kvVersionMax): Command[] {
  const list = unpack(bytes)
  if (!Array.isArray(list) || list.length !== count) throw malformed('a list of commands of another length')
  const commands = (list as Packed[]).map(readCommand)
  if (version < kvVersionMax) for (const command of commands) checkVersion(command)
  return commands
}

/** Whether the only command in `bytes` is a renewal of leases: a look at the first bytes tells. */
export function isRenewal(bytes: Uint8Array): boolean {
  // An array of one element, which is an array of up to 15 elements or up to 65,535, which begins with the number.
  if (bytes[0] !== 0x91) return false
  const at = bytes[1] === 0xdc ? 4 : 2
  return (at === 4 || (bytes[1]! & 0xf0) === 0x90) && bytes[at] === commandOp.renew
}

/** Throws for what version 1 does not know. */
function checkVersion(command: Command): void {
  const known =
    command.op === 'increment' ||
    (command.op === 'delete' && command.fencing === null) ||
    (command.op === 'put' && command.leaseId === 0 && command.ttlMs === 0 && command.fencing === null)
  if (known) return
  const text = `it needs machine version ${kvVersionMax}, which comes into force once every voter can run it`
  throw new StrettoError('UNAVAILABLE', text, { retryAfterMs: 50 })
}

function readCommand(value: Packed): Command {
  const fields = fieldsOf(value)
  switch (fields[0]) {
    case commandOp.compact:
      checkLength(fields, 2)
      return { op: 'compact', revision: readNumber(fields[1], 'a revision', 1) }
    case commandOp.grant:
      checkLength(fields, 2)
      return { op: 'grant', ttlMs: readTtl(fields[1]) }
    case commandOp.renew:
      return { op: 'renew', leaseIds: fields.slice(1).map(id => readNumber(id, 'a lease', 1)) }
    case commandOp.revoke:
      checkLength(fields, 2)
      return { op: 'revoke', leaseId: readNumber(fields[1], 'a lease', 1) }
    default:
      return readChange(fields, null)
  }
}

/** What a transaction may still hold. */
interface Budget {
  steps: number
  ranges: number
  depth: number
}

type Change = PutCommand | DeleteCommand | DeleteRangeCommand | NumberCommand | AppendCommand | TxnCommand

/** `budget` is that of the transaction around it, null outside of one. */
function readChange(fields: readonly Packed[], budget: Budget | null): Change {
  switch (fields[0]) {
    case commandOp.put:
      return readPut(fields, budget !== null)
    case commandOp.delete: {
      checkLength(fields, 6)
      const ifRevision = readCondition(fields[2])
      const fencing = readFencing(fields[4], fields[5])
      if (budget !== null) checkUnconditional(ifRevision, fencing)
      return { op: 'delete', key: readKey(fields[1]), ifRevision, previous: readFlags(fields[3]), fencing }
    }
    case commandOp.deleteRange:
      checkLength(fields, 3)
      return { op: 'deleteRange', ...readRange(fields[1], fields[2]) }
    case commandOp.increment:
      return readNumeric('increment', fields)
    case commandOp.min:
      return readNumeric('min', fields)
    case commandOp.max:
      return readNumeric('max', fields)
    case commandOp.append:
      checkLength(fields, 3)
      return { op: 'append', key: readKey(fields[1]), value: readValue(fields[2]) }
    case commandOp.txn:
      return readTxn(fields, budget ?? { steps: txnStepsMax, ranges: txnRangesMax, depth: txnDepthMax })
    default:
      throw malformed('a command that this version does not know')
  }
}

function readPut(fields: readonly Packed[], inTxn: boolean): PutCommand {
  const { length } = fields
  const key = readKey(fields[1])
  const value = readValue(fields[2])
  // One shape for all puts: it is the command that there are most of.
  if (length === 3)
    return { op: 'put', key, value, ifRevision: null, previous: false, leaseId: 0, ttlMs: 0, fencing: null }
  checkLength(fields, 9)
  const ifRevision = readCondition(fields[3])
  const previous = readFlags(fields[4])
  const leaseId = length > 5 ? readNumber(fields[5], 'a lease', 0) : 0
  const ttlMs = length > 6 && fields[6] !== 0 ? readTtl(fields[6]) : 0
  const fencing = readFencing(fields[7], fields[8])
  if (leaseId !== 0 && ttlMs !== 0) throw malformed('a lease and a ttl at once')
  if (inTxn) checkUnconditional(ifRevision, fencing)
  return { op: 'put', key, value, ifRevision, previous, leaseId, ttlMs, fencing }
}

function readNumeric(op: NumberCommand['op'], fields: readonly Packed[]): NumberCommand {
  const by = fields[2]
  if (fields.length !== 3 || typeof by !== 'number' || !Number.isSafeInteger(by)) {
    throw malformed(`an ${op} with something else than a safe integer`)
  }
  return { op, key: readKey(fields[1]), by }
}

function readTxn(fields: readonly Packed[], budget: Budget): TxnCommand {
  checkLength(fields, 4)
  if (budget.depth-- === 0) throw malformed(`transactions nested more than ${txnDepthMax} deep`)
  const compares = listOf(fields[1]).map(each => readCompare(each, budget))
  const onTrue = listOf(fields[2]).map(each => readOperation(each, budget))
  const onFalse = listOf(fields[3]).map(each => readOperation(each, budget))
  budget.depth++
  return { op: 'txn', compares, onTrue, onFalse }
}

function readOperation(value: Packed, budget: Budget): Operation {
  spend(budget)
  const fields = fieldsOf(value)
  if (fields[0] === operationOp.get) {
    checkLength(fields, 2)
    return { op: 'get', key: readKey(fields[1]) }
  }
  if (fields[0] === commandOp.deleteRange) spendRange(budget)
  if (fields[0] !== operationOp.range) return readChange(fields, budget)
  spendRange(budget)
  checkLength(fields, 5)
  const flags = readNumber(fields[4], 'flags', 0)
  if (flags > 7) throw malformed('flags that this version does not know')
  return {
    op: 'range',
    ...readRange(fields[1], fields[2]),
    limit: readNumber(fields[3], 'a limit', 0),
    reverse: (flags & rangeFlag.reverse) !== 0,
    keysOnly: (flags & rangeFlag.keysOnly) !== 0,
    countOnly: (flags & rangeFlag.countOnly) !== 0
  }
}

function readCompare(value: Packed, budget: Budget): Compare {
  spend(budget)
  const fields = fieldsOf(value)
  checkLength(fields, 5)
  const target = targets[readNumber(fields[0], 'a target', 1) - 1]
  const relation = relations[readNumber(fields[1], 'a relation', 1) - 1]
  if (target === undefined || relation === undefined) throw malformed('a comparison that this version does not know')
  const operand = target === 'value' ? readValue(fields[4]) : readNumber(fields[4], 'an operand', 0)
  if (fields[3] === 0) return { target, relation, from: readKey(fields[2]), to: undefined, operand }
  spendRange(budget)
  return { target, relation, ...readRange(fields[2], fields[3]), operand }
}

function spend(budget: Budget): void {
  if (budget.steps-- === 0) throw new StrettoError('TOO_LARGE', `a transaction of more than ${txnStepsMax} steps`)
}

function spendRange(budget: Budget): void {
  if (budget.ranges-- > 0) return
  throw new StrettoError('TOO_LARGE', `a transaction that looks at more than ${txnRangesMax} ranges`)
}

function checkUnconditional(ifRevision: number | null, fencing: Fencing | null): void {
  if (ifRevision === null && fencing === null) return
  throw malformed('a condition of its own inside a transaction, which has comparisons for that')
}

function fieldsOf(value: Packed): readonly Packed[] {
  if (!Array.isArray(value)) throw malformed('a command that is no array')
  return value as Packed[]
}

function listOf(value: Packed | undefined): readonly Packed[] {
  if (!Array.isArray(value)) throw malformed('a transaction without one of its lists')
  return value as Packed[]
}

/** At most that many fields. */
function checkLength(fields: readonly Packed[], most: number): void {
  if (fields.length > most) throw malformed('a command with fields that this version does not know')
}

function readValue(value: Packed | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw malformed('a value that is no bytes')
  if (value.length > valueBytesMax) throw new StrettoError('TOO_LARGE', `a value above ${valueBytesMax} bytes`)
  return value
}

function readTtl(value: Packed | undefined): number {
  const ttlMs = readNumber(value, 'a ttl', ttlMsMin)
  if (ttlMs > ttlMsMax) throw malformed(`a ttl above ${ttlMsMax} ms`)
  return ttlMs
}

function readFencing(key: Packed | undefined, token: Packed | undefined): Fencing | null {
  if (key === undefined || key === null) return null
  return { key: readKey(key), token: readNumber(token, 'a fencing token', 1) }
}

function readCondition(value: Packed | undefined): number | null {
  return value === undefined || value === null ? null : readNumber(value, 'a revision', 0)
}

function readFlags(value: Packed | undefined): boolean {
  if (value === undefined || value === 0) return false
  if (value !== wantsPrevious) throw malformed('flags that this version does not know')
  return true
}
