// What one command of several keys does to the plain model: all of it, or none, told by a refusal.
import { type ErrorCode, numberOfCode } from '../../lib/base/errors.ts'
import type { Compare, DeleteCommand, NumberCommand, Operation, PutCommand } from '../../lib/wire/kv/commands.ts'
import { type Plain, text } from './bed.ts'

export const keysMax = 10_000
export const bytesMax = 4_194_304

/** Thrown by a command that is refused. */
export class RefusedByModel extends Error {
  readonly status: number

  constructor(code: ErrorCode) {
    super(code)
    this.status = numberOfCode(code)
  }
}

/** The decimal text of a safe integer, or a refusal. */
export function numberAfter({ op, by }: NumberCommand, present: Plain | null): number {
  const before = present?.value ?? (op === 'increment' ? '0' : String(by))
  const number = Number(before)
  if (String(number) !== before || !Number.isSafeInteger(number)) throw new RefusedByModel('BAD_REQUEST')
  const after = op === 'increment' ? number + by : op === 'min' ? Math.min(number, by) : Math.max(number, by)
  if (!Number.isSafeInteger(after)) throw new RefusedByModel('BAD_REQUEST')
  return after
}

export class Attempt {
  readonly #before: ReadonlyMap<string, Plain>
  readonly #revision: number
  readonly entries: Map<string, Plain>
  readonly #named = new Set<string>()
  readonly #cleared: { readonly from: string; readonly to: string | null }[] = []

  /** `revision` is that of what it changes. */
  constructor(before: ReadonlyMap<string, Plain>, revision: number) {
    this.#before = before
    this.#revision = revision
    this.entries = new Map(before)
  }

  get changed(): boolean {
    const { entries } = this
    return entries.size !== this.#before.size || [...entries].some(([key, entry]) => this.#before.get(key) !== entry)
  }

  holds(compares: readonly Compare[]): boolean {
    return compares.every(compare => {
      if (compare.to === undefined) return this.#compares(compare, this.#before.get(text(compare.from)) ?? null)
      const range = inRange(this.#before, text(compare.from), compare.to === null ? null : text(compare.to))
      return range.every(entry => this.#compares(compare, entry))
    })
  }

  /** Comparisons look at what was there before all operations. */
  run(operations: readonly Operation[]): unknown[] {
    return operations.map(operation => this.#respond(operation))
  }

  #respond(operation: Operation): unknown {
    switch (operation.op) {
      case 'get':
        return this.entries.get(text(operation.key)) ?? null
      case 'range': {
        const to = operation.to === null ? null : text(operation.to)
        const found = inRange(this.entries, text(operation.from), to)
        if (operation.reverse) found.reverse()
        const most = operation.limit === 0 ? found.length : operation.limit
        const entries = found.slice(0, most)
        if (operation.countOnly) return entries.length
        const shown = operation.keysOnly ? entries.map(entry => ({ ...entry, value: null })) : entries
        return [found.length > most ? 1 : 0, ...shown]
      }
      case 'put':
        return this.#put(operation)
      case 'delete':
        return this.#delete(operation)
      case 'deleteRange':
        return this.deleteRange(text(operation.from), operation.to === null ? null : text(operation.to))
      case 'append':
        return this.append(text(operation.key), text(operation.value))
      case 'txn':
        return this.holds(operation.compares) ? [1, this.run(operation.onTrue)] : [0, this.run(operation.onFalse)]
      default:
        return this.#calculate(operation)
    }
  }

  append(key: string, more: string): number {
    const present = this.#name(key)
    const value = (present?.value ?? '') + more
    if (value.length > 1_048_576) throw new RefusedByModel('TOO_LARGE')
    this.#store(key, value, present)
    return value.length
  }

  deleteRange(from: string, to: string | null): number {
    for (const key of this.#named) if (key >= from && (to === null || key < to)) throw new RefusedByModel('BAD_REQUEST')
    this.#cleared.push({ from, to })
    const gone = inRange(this.entries, from, to)
    for (const { key } of gone) this.entries.delete(key)
    if (gone.length > keysMax) throw new RefusedByModel('TOO_LARGE')
    return gone.length
  }

  #put({ key, value, previous }: PutCommand): unknown {
    const present = this.#name(text(key))
    this.#store(text(key), text(value), present)
    return previous ? present : null
  }

  #delete({ key, previous }: DeleteCommand): unknown {
    const present = this.#name(text(key))
    this.entries.delete(text(key))
    return [present === null ? 0 : 1, previous ? present : null]
  }

  #calculate(command: NumberCommand): number {
    const key = text(command.key)
    const present = this.#name(key)
    const after = numberAfter(command, present)
    if (command.op === 'increment' || present?.value !== String(after)) this.#store(key, String(after), present)
    return after
  }

  #name(key: string): Plain | null {
    const cleared = this.#cleared.some(({ from, to }) => key >= from && (to === null || key < to))
    if (cleared || this.#named.has(key)) throw new RefusedByModel('BAD_REQUEST')
    this.#named.add(key)
    return this.entries.get(key) ?? null
  }

  #store(key: string, value: string, present: Plain | null): void {
    const mod = this.#revision
    this.entries.set(key, { key, value, create: present?.create ?? mod, mod, version: (present?.version ?? 0) + 1 })
  }

  #compares({ target, relation, operand }: Compare, entry: Plain | null): boolean {
    if (target === 'value' && entry === null) return relation === 'ne'
    const found = target === 'value' ? entry!.value! : numbersOf(entry)[target]
    const wanted = typeof operand === 'number' ? operand : text(operand)
    return { eq: found === wanted, ne: found !== wanted, lt: found < wanted, gt: found > wanted }[relation]
  }
}

function numbersOf(entry: Plain | null) {
  const { version = 0, create = 0, mod = 0 } = entry ?? {}
  return { version, createRevision: create, modRevision: mod, leaseId: 0 }
}

export function inRange(entries: ReadonlyMap<string, Plain>, from: string, to: string | null): Plain[] {
  const found = [...entries.values()].filter(({ key }) => key >= from && (to === null || key < to))
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1))
}
