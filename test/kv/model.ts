// The key-value store as a plain map: what the machine is compared with, and the commands that both are given.
import fc from 'fast-check'
import { numberOfCode } from '../../lib/base/errors.ts'
import type { Batch, Outcomes } from '../../lib/machine/machine.ts'
import { type Packed, unpack } from '../../lib/record/pack.ts'
import type { Command, DeleteCommand, FirstCommand, NumberCommand, PutCommand } from '../../lib/wire/kv/commands.ts'
import { Attempt, inRange, numberAfter, RefusedByModel } from './attempt.ts'
import { bytes, type Plain, plain, text } from './bed.ts'

/** What became of a command, in texts and numbers. */
export type Said = readonly [status: number, revision: number, answer: unknown]

export interface ModelScan {
  readonly from: string
  readonly to: string | null
  readonly limit: number
  readonly reverse: boolean
  readonly keysOnly: boolean
}

export class Model {
  revision = 1
  entries = new Map<string, Plain>()

  copy(): Model {
    const copy = new Model()
    copy.revision = this.revision
    for (const [key, entry] of this.entries) copy.entries.set(key, entry)
    return copy
  }

  execute(command: Command): Said {
    const before = this.revision
    try {
      return this.#execute(command)
    } catch (error) {
      if (!(error instanceof RefusedByModel)) throw error
      return [error.status, before, null]
    }
  }

  #execute(command: Command): Said {
    switch (command.op) {
      case 'put':
      case 'delete':
        return this.#conditional(command)
      case 'increment':
      case 'min':
      case 'max':
        return this.#calculate(command)
      case 'append':
        return this.#attempt(attempt => [attempt.append(text(command.key), text(command.value))])
      case 'deleteRange': {
        const to = command.to === null ? null : text(command.to)
        return this.#attempt(attempt => [attempt.deleteRange(text(command.from), to)])
      }
      case 'txn':
        return this.#attempt(attempt => attempt.run([command])[0])
      default:
        throw new Error(`the model knows no ${command.op}`)
    }
  }

  #conditional(command: PutCommand | DeleteCommand): Said {
    const key = text(command.key)
    const present = this.entries.get(key) ?? null
    const { fencing } = command
    if (fencing != null && this.entries.get(text(fencing.key))?.create !== fencing.token) {
      throw new RefusedByModel('FENCED')
    }
    if (command.ifRevision !== null && command.ifRevision !== (present?.mod ?? 0)) {
      return [numberOfCode('CONDITION_FAILED'), this.revision, [present]]
    }
    if (command.op === 'put') {
      this.#store(key, text(command.value), present)
      return [0, this.revision, command.previous ? [present] : null]
    }
    if (present === null) return [0, this.revision, [0, null]]
    this.entries.delete(key)
    return [0, ++this.revision, [1, command.previous ? present : null]]
  }

  /** What a command of several keys answers, once all that it does is done. */
  #attempt(answer: (attempt: Attempt) => unknown): Said {
    const attempt = new Attempt(this.entries, this.revision + 1)
    const answered = answer(attempt)
    if (attempt.changed) this.revision++
    this.entries = attempt.entries
    return [0, this.revision, answered]
  }

  range(from: string, to: string | null): Plain[] {
    return inRange(this.entries, from, to)
  }

  /** A range as a scan gives it; without an end where `to` is null, without a limit where that is 0. */
  scan({ from, to, limit, reverse, keysOnly }: ModelScan): Plain[] {
    const found = this.range(from, to)
    if (reverse) found.reverse()
    const entries = limit === 0 ? found : found.slice(0, limit)
    return keysOnly ? entries.map(entry => ({ ...entry, value: null })) : entries
  }

  #calculate(command: NumberCommand): Said {
    const key = text(command.key)
    const present = this.entries.get(key) ?? null
    const after = numberAfter(command, present)
    if (command.op === 'increment' || present?.value !== String(after)) this.#store(key, String(after), present)
    return [0, this.revision, [after]]
  }

  #store(key: string, value: string, present: Plain | null): void {
    const mod = ++this.revision
    this.entries.set(key, { key, value, create: present?.create ?? mod, mod, version: (present?.version ?? 0) + 1 })
  }
}

/** Outcomes spelled out, one for each command; null where it was skipped. */
export function said(batch: Batch, outcomes: Outcomes): (Said | null)[] {
  if (outcomes.each === null) return Array.from({ length: batch.count }, (_, at) => [0, outcomes.revision + at, null])
  return outcomes.each.map(each => (each === null ? null : [each.status, each.revision, answerOf(each.answer)]))
}

function answerOf(answer: Uint8Array | null): unknown {
  return answer === null ? null : spelled(unpack(answer))
}

/** With entries and texts in the place of arrays and bytes. */
function spelled(part: Packed): unknown {
  if (!Array.isArray(part)) return part instanceof Uint8Array ? text(part) : part
  const isEntry = part.length === 6 && part[0] instanceof Uint8Array
  return isEntry ? plain(part) : (part as Packed[]).map(spelled)
}

/** Few keys, one a prefix of another, with bytes that an order of texts might get wrong. */
export const keyArbitrary = fc.constantFrom('a', 'a\0', 'a\0\x01', 'ab', 'b', '\xff', '\0', 'c\x80', 'n', 'm')

export const valueArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 12 }) },
  { weight: 2, arbitrary: fc.integer({ min: -20, max: 20 }).map(String) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('9007199254740991', '-9007199254740991', '9007199254740992', '007', '-0', '')
  }
)
const conditionArbitrary = fc.option(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 })), { freq: 2 })

export const commandArbitrary: fc.Arbitrary<FirstCommand> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('put' as const),
      key: keyArbitrary.map(bytes),
      value: valueArbitrary.map(bytes),
      ifRevision: fc.option(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 })), { freq: 3 }),
      previous: fc.boolean()
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('delete' as const),
      key: keyArbitrary.map(bytes),
      ifRevision: conditionArbitrary,
      previous: fc.boolean()
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('increment' as const),
      key: keyArbitrary.map(bytes),
      by: fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER))
    })
  }
)
