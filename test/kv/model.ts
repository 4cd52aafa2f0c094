// The key-value store as a plain map: what the machine is compared with, and the commands that both are given.
import fc from 'fast-check'
import { numberOfCode } from '../../lib/base/errors.ts'
import type { Batch, Outcomes } from '../../lib/machine/machine.ts'
import { type Packed, unpack } from '../../lib/record/pack.ts'
import { type FirstCommand } from '../../lib/wire/kv/commands.ts'
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
  readonly entries = new Map<string, Plain>()

  copy(): Model {
    const copy = new Model()
    copy.revision = this.revision
    for (const [key, entry] of this.entries) copy.entries.set(key, entry)
    return copy
  }

  execute(command: FirstCommand): Said {
    const key = text(command.key)
    const present = this.entries.get(key) ?? null
    if (command.op === 'increment') return this.#increment(key, present, command.by)
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

  range(from: string, to: string | null): Plain[] {
    const found = [...this.entries.values()].filter(({ key }) => key >= from && (to === null || key < to))
    return found.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** A range as a scan gives it; without an end where `to` is null, without a limit where that is 0. */
  scan({ from, to, limit, reverse, keysOnly }: ModelScan): Plain[] {
    const found = this.range(from, to)
    if (reverse) found.reverse()
    const entries = limit === 0 ? found : found.slice(0, limit)
    return keysOnly ? entries.map(entry => ({ ...entry, value: null })) : entries
  }

  #increment(key: string, present: Plain | null, by: number): Said {
    const before = present?.value ?? '0'
    const after = Number(before) + by
    if (String(Number(before)) !== before || !Number.isSafeInteger(Number(before)) || !Number.isSafeInteger(after)) {
      return [numberOfCode('BAD_REQUEST'), this.revision, null]
    }
    this.#store(key, String(after), present)
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
  if (answer === null) return null
  return (unpack(answer) as readonly Packed[]).map(part => (Array.isArray(part) ? plain(part) : part))
}

/** Few keys, one a prefix of another, with bytes that an order of texts might get wrong. */
export const keyArbitrary = fc.constantFrom('a', 'a\0', 'a\0\x01', 'ab', 'b', '\xff', '\0', 'c\x80', 'n', 'm')

const valueArbitrary = fc.oneof(
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
