// One line of a history as text: its fields, each looked at, and what is wrong with it in words.
import type { Value } from './register-model.ts'
import type { Key } from './sequential-model.ts'
import type { StoreInput, StoreOutput, TransactionStep } from './transaction-model.ts'

/** Says what is wrong. */
export class MalformedLine extends Error {
  override readonly name = 'MalformedLine'
}

const types = ['invoke', 'ok', 'fail', 'info'] as const
const operations = ['get', 'put', 'delete', 'cas', 'txn'] as const

export interface Fields {
  readonly process: string | number
  readonly type: (typeof types)[number]
  readonly time: number
  /** All fields, as they were. */
  readonly rest: Readonly<Record<string, unknown>>
}

/** @throws MalformedLine */
export function readFields(text: string): Fields {
  const rest = readObject(text)
  const { process, type, time } = rest
  if (!isKey(process)) throw new MalformedLine(`process ${wrong(process)} a whole number or text`)
  if (!isOneOf(types, type)) throw new MalformedLine(`type ${wrong(type)} one of ${types.join(', ')}`)
  if (typeof time !== 'number' || !Number.isFinite(time)) throw new MalformedLine(`time ${wrong(time)} a number`)
  return { process, type, time, rest }
}

/** What an `invoke` asks for. */
export function readInput({ f, key, value, expected }: Readonly<Record<string, unknown>>): StoreInput {
  if (!isOneOf(operations, f)) throw new MalformedLine(`f ${wrong(f)} one of ${operations.join(', ')}`)
  if (f === 'txn') return { f, steps: readSteps(value).map(readStep) }
  const at = readKey('key', key)
  switch (f) {
    case 'get':
      if ((value ?? null) !== null)
        throw new MalformedLine('a get asks without a value: what it finds stands at its end')
      return { f, key: at }
    case 'delete':
      return { f, key: at }
    case 'put':
      return { f, key: at, value: readContent('value', value) }
    case 'cas':
      return { f, key: at, expected: readValue('expected', expected), value: readContent('value', value) }
  }
}

/** What an `ok` answers. */
export function readOutput(input: StoreInput, { value }: Readonly<Record<string, unknown>>): StoreOutput {
  if (input.f === 'get') return readValue('value', value)
  if (input.f !== 'txn') return null
  const answers = readSteps(value)
  if (answers.length !== input.steps.length) {
    throw new MalformedLine(
      `value has ${answers.length} steps, and the transaction was called with ${input.steps.length}`
    )
  }
  return input.steps.map((step, at) => readAnswer(step, answers[at], at))
}

function readObject(text: string): Readonly<Record<string, unknown>> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new MalformedLine('not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new MalformedLine('not a JSON object')
  return parsed as Readonly<Record<string, unknown>>
}

function readSteps(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new MalformedLine(`value of a txn ${wrong(value)} a list of steps`)
  return value
}

function readStep(step: unknown, at: number): TransactionStep {
  const place = `step ${at + 1}`
  if (!Array.isArray(step)) throw new MalformedLine(`${place} ${wrong(step)} a list such as ["put", "k", 1]`)
  const [f, key, value, ...more] = step as readonly unknown[]
  if (more.length > 0) throw new MalformedLine(`${place} has more than a name, a key and a value`)
  switch (f) {
    case 'get':
      if ((value ?? null) !== null) throw new MalformedLine(`${place}: a get asks without a value`)
      return [f, readKey(`the key of ${place}`, key), null]
    case 'put':
      return [f, readKey(`the key of ${place}`, key), readContent(`the value of ${place}`, value)]
    case 'delete':
      return [f, readKey(`the key of ${place}`, key)]
    default:
      throw new MalformedLine(`${place}: its name ${wrong(f)} one of get, put, delete`)
  }
}

function readAnswer(step: TransactionStep, answer: unknown, at: number): TransactionStep {
  const [f, key, value] = Array.isArray(answer) ? (answer as readonly unknown[]) : []
  const isSame = f === step[0] && key === step[1] && (f !== 'put' || value === step[2])
  if (!isSame) throw new MalformedLine(`step ${at + 1} is another than the transaction was called with`)
  return step[0] === 'get' ? ['get', step[1], readValue(`the value of step ${at + 1}`, value)] : step
}

function readKey(name: string, key: unknown): Key {
  if (!isKey(key)) throw new MalformedLine(`${name} ${wrong(key)} text or a whole number`)
  return key
}

/** A value, or null for what is absent. */
function readValue(name: string, value: unknown): Value {
  const isPlain = value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number'
  if (!isPlain) throw new MalformedLine(`${name} ${wrong(value)} text, a number, a boolean or null`)
  if (typeof value === 'number' && !isExact(value)) {
    throw new MalformedLine(`${name} ${value} is a number that is not exact: write it as text`)
  }
  return value
}

function readContent(name: string, value: unknown): Value {
  if (value === null) throw new MalformedLine(`${name} is null, which stands for what is absent: use a delete`)
  return readValue(name, value)
}

function isKey(value: unknown): value is Key {
  return typeof value === 'string' || Number.isSafeInteger(value)
}

/** Two large numbers that differ in the file may be the same when read. */
function isExact(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
}

function isOneOf<T>(all: readonly T[], value: unknown): value is T {
  return (all as readonly unknown[]).includes(value)
}

/** "is missing: it has to be", "is {} and has to be". */
function wrong(value: unknown): string {
  return value === undefined ? 'is missing: it has to be' : `is ${brief(value)} and has to be`
}

function brief(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 40)}...` : text
}
