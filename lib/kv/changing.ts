// What changes the value of one key, or the keys of a range, by itself or as a part of a transaction.
import type { AppendCommand, DeleteRangeCommand, NumberCommand } from '../wire/kv/commands.ts'
import { valueBytesMax } from '../wire/kv/fields.ts'
import { numberAfter, numberText, standsAlready } from './numbers.ts'
import { Refused, type Staging, type Steps } from './staging.ts'
import { keyText, presentOf } from './version.ts'

/** Gives the number that stands there now. */
export function* calculate(command: NumberCommand, staging: Staging): Steps<number> {
  const text = keyText(command.key)
  const known = yield* staging.name(text)
  const entry = presentOf(known)
  const after = numberAfter(command, entry)
  if (after === null) throw new Refused('BAD_REQUEST')
  if (!standsAlready(command, entry, after))
    staging.put(text, known, numberText(after), { leaseId: entry?.leaseId ?? 0 })
  return after
}

/** Gives the length of the value. */
export function* append({ key, value }: AppendCommand, staging: Staging): Steps<number> {
  const text = keyText(key)
  const known = yield* staging.name(text)
  const entry = presentOf(known)
  const length = (entry?.length ?? 0) + value.length
  if (length > valueBytesMax) throw new Refused('TOO_LARGE')
  const whole = new Uint8Array(length)
  if (entry !== null) whole.set((yield* staging.valued(entry)).value)
  whole.set(value, length - value.length)
  staging.put(text, known, whole, { leaseId: entry?.leaseId ?? 0 })
  return length
}

/** Gives the number of keys deleted. */
export function* deleteRange(range: DeleteRangeCommand, staging: Staging): Steps<number> {
  let deleted = 0
  staging.clear(range)
  yield* staging.range(range, {}, (key, version) => {
    staging.delete(key, version!)
    deleted++
    return true
  })
  return deleted
}
