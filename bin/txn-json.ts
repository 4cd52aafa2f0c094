// A transaction as JSON: what is written by hand or by a program, read strictly, and what came of it.
import { cmp, op } from '../lib/client/client.ts'
import type { Comparison, KeyTests, RangeTests } from '../lib/client/compares.ts'
import type { Op, OpKind } from '../lib/client/operations.ts'
import type { Bounds, NamedBounds } from '../lib/client/options.ts'
import { isEntry, jsonOfEntry } from '../lib/server/json-entry.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { relations } from '../lib/wire/kv/commands.ts'

export interface ReadTxn {
  readonly if: readonly Comparison<Uint8Array>[]
  readonly then: readonly Op<OpKind, Uint8Array>[]
  readonly else: readonly Op<OpKind, Uint8Array>[]
}

type Fields = Readonly<Record<string, unknown>>

const numberTargets = ['version', 'createRevision', 'modRevision', 'lease'] as const
const boundNames = ['prefix', 'from', 'to'] as const

/** `{ if: [...], then: [...], else: [...] }`, each of which may be left out. @throws UsageError */
export function readTxnJson(value: unknown): ReadTxn {
  const fields = fieldsOf(value, 'a transaction', ['if', 'then', 'else'])
  return {
    if: listOf(fields['if'], 'if').map(readCompare),
    // oxlint-disable-next-line unicorn/no-thenable -- never awaited: a list by name
    then: listOf(fields['then'], 'then').map(readOp),
    else: listOf(fields['else'], 'else').map(readOp)
  }
}

/** A result as JSON: entries as everywhere, values as text, or base64 where they are none. */
export function jsonOfResult(result: unknown): unknown {
  if (isEntry(result)) return jsonOfEntry(result)
  if (Array.isArray(result)) return result.map(jsonOfResult)
  if (typeof result !== 'object' || result === null) return result
  return Object.fromEntries(Object.entries(result).map(([name, each]) => [name, jsonOfResult(each)]))
}

/** `{ "key": "a", "version": { "eq": 0 } }`, of a range `prefix`, `from` and `to` in the place of `key`. */
function readCompare(value: unknown): Comparison<Uint8Array> {
  const names = ['key', ...boundNames, ...numberTargets, 'value', 'valueBase64', 'exists', 'absent']
  const fields = fieldsOf(value, 'a comparison', names)
  const { key } = fields
  const tests: RangeTests & Partial<KeyTests> =
    key === undefined ? cmp(boundsOf(fields) as NamedBounds) : cmp(textOf(key, 'key'))
  const targets = Object.keys(fields).filter(name => name !== 'key' && !boundNames.includes(name as 'to'))
  const [target] = targets
  if (target === undefined || targets.length > 1) {
    throw new UsageError(`a comparison names one of ${names.slice(4).join(', ')}: ${shown(value)}`)
  }
  if (target === 'absent' && fields['absent'] === true) return tests.absent()
  if (target === 'exists' && fields['exists'] === true && key !== undefined) return tests.exists!()
  const tested = fieldsOf(fields[target], target, relations)
  const [relation] = relations.filter(name => name in tested)
  if (relation === undefined || Object.keys(tested).length > 1) {
    throw new UsageError(`a comparison names one of ${relations.join(', ')}: ${shown(value)}`)
  }
  const operand = tested[relation]
  if (target === 'value') return tests.value[relation](Buffer.from(textOf(operand, target)))
  if (target === 'valueBase64') return tests.value[relation](bytesOf(operand))
  return tests[target as 'version'][relation](numberOf(operand, target))
}

/** One field that is named like the operation and holds its key, its range or what is in it, and its options beside it. */
function readOp(value: unknown): Op<OpKind, Uint8Array> {
  const fields = fieldsOf(value, 'an operation', [...operations.keys(), ...optionNames])
  const named = [...operations.keys()].filter(name => name in fields)
  const [name] = named
  if (name === undefined || named.length > 1) {
    throw new UsageError(`an operation is one of ${[...operations.keys()].join(', ')}: ${shown(value)}`)
  }
  const { options, read } = operations.get(name)!
  for (const option in fields) {
    if (option !== name && !options.includes(option)) throw new UsageError(`'${option}' is no field of '${name}'`)
  }
  return read(fields[name], fields)
}

interface OperationReader {
  readonly options: readonly string[]
  readonly read: (subject: unknown, fields: Fields) => Op<OpKind, Uint8Array>
}

const optionNames = ['value', 'valueBase64', 'previous', 'ttl', 'lease', 'by', 'number']
const rangeNames = [...boundNames, 'limit', 'reverse', 'keysOnly']

const operations = new Map<string, OperationReader>([
  [
    'put',
    {
      options: ['value', 'valueBase64', 'previous', 'ttl', 'lease'],
      read: (key, fields) => {
        const { previous, ttl, lease } = fields
        const options = {
          ...(previous === undefined ? {} : { previous: flagOf(previous, 'previous') }),
          ...(ttl === undefined ? {} : { ttl: typeof ttl === 'number' ? ttl : textOf(ttl, 'ttl') }),
          ...(lease === undefined ? {} : { lease: numberOf(lease, 'lease') })
        }
        return op.put(textOf(key, 'put'), valueOf(fields), options)
      }
    }
  ],
  ['get', { options: [], read: key => op.get(textOf(key, 'get')) }],
  ['getRange', { options: [], read: range => op.getRange(fieldsOf(range, 'getRange', rangeNames)) }],
  ['count', { options: [], read: range => op.count(boundsOf(fieldsOf(range, 'count', boundNames))) }],
  [
    'delete',
    {
      options: ['previous'],
      read: (key, { previous = false }) => op.delete(textOf(key, 'delete'), { previous: flagOf(previous, 'previous') })
    }
  ],
  [
    'deleteRange',
    {
      options: [],
      read: range => op.deleteRange(boundsOf(fieldsOf(range, 'deleteRange', boundNames)) as NamedBounds)
    }
  ],
  ['add', { options: ['by'], read: (key, { by = 1 }) => op.add(textOf(key, 'add'), numberOf(by, 'by')) }],
  ['min', { options: ['number'], read: (key, { number }) => op.min(textOf(key, 'min'), numberOf(number, 'number')) }],
  ['max', { options: ['number'], read: (key, { number }) => op.max(textOf(key, 'max'), numberOf(number, 'number')) }],
  [
    'append',
    { options: ['value', 'valueBase64'], read: (key, fields) => op.append(textOf(key, 'append'), valueOf(fields)) }
  ],
  ['txn', { options: [], read: inner => op.txn(readTxnJson(inner)) }]
])

function boundsOf({ prefix, from, to }: Fields): Bounds {
  return {
    ...(prefix === undefined ? {} : { prefix: textOf(prefix, 'prefix') }),
    ...(from === undefined ? {} : { from: textOf(from, 'from') }),
    ...(to === undefined ? {} : { to: textOf(to, 'to') })
  }
}

function valueOf({ value, valueBase64 }: Fields): Uint8Array {
  if ((value === undefined) === (valueBase64 === undefined)) {
    throw new UsageError('an operation that writes has either a value or a valueBase64')
  }
  return value === undefined ? bytesOf(valueBase64) : Buffer.from(textOf(value, 'value'))
}

function bytesOf(value: unknown): Uint8Array {
  const text = textOf(value, 'valueBase64')
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw new UsageError(`no base64: ${shown(text)}`)
  return bytes
}

function fieldsOf(value: unknown, what: string, names: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`${what} is an object: ${shown(value)}`)
  }
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) throw new UsageError(`'${name}' is no field of ${what}: ${names.join(', ')}`)
  }
  return value as Fields
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new UsageError(`'${what}' is a list: ${shown(value)}`)
  return value
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new UsageError(`'${what}' is a text: ${shown(value)}`)
  return value
}

function numberOf(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value)) throw new UsageError(`'${what}' is a whole number: ${shown(value)}`)
  return value as number
}

function flagOf(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw new UsageError(`'${what}' is true or false: ${shown(value)}`)
  return value
}

const shownCharactersMax = 80

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length <= shownCharactersMax ? text : `${text.slice(0, shownCharactersMax)}...`
}
