// Deletes of ranges: as one entry of the log, or page after page.
import { packCommand } from '../wire/kv/commands.ts'
import { deletedAnswer } from './answers.ts'
import { namedRange } from './compares.ts'
import type { Corner, KeyRange } from './corner.ts'
import { keyAfter } from './encoding.ts'
import { checkNames, type DeleteRangeOptions, known, msOf, type NamedBounds } from './options.ts'
import { bytesOf, collect } from './raw.ts'
import type { SessionClient } from './session-client.ts'

export interface DeleteRangeResult {
  /** Of the last change; that of the store where nothing was deleted. */
  readonly revision: number
  readonly deleted: number
  /** It was applied once, but when the client asked again its answer was no longer kept. */
  readonly resultGone?: true
}

/** Keys of a page: far below what one entry of the log may change, so that keys that come meanwhile have room. */
const pageKeysMax = 1000

export async function deleteRange(
  session: SessionClient,
  corner: Corner,
  bounds: NamedBounds,
  options: DeleteRangeOptions
): Promise<DeleteRangeResult> {
  checkNames(options, known.deleteRange)
  const range = namedRange(corner, bounds)
  const { atomic = true, ...call } = options
  if (atomic) return deleteAtOnce(session, corner, range, call)
  const { timeout, signal = null } = call
  const waiting = { signal, ...(timeout === undefined ? {} : { timeoutMs: msOf(timeout, 'timeout') }) }
  let { from } = range
  let deleted = 0
  for (;;) {
    const page = { from, to: range.to, limit: pageKeysMax, keysOnly: true, ...waiting }
    const { entries } = await collect(session, page)
    const last = entries.length < pageKeysMax ? null : entries.at(-1)!
    const next = last === null ? null : keyAfter(bytesOf(last.key))
    const gone = await deleteAtOnce(session, corner, { from, to: next ?? range.to }, call)
    deleted += gone.deleted
    if (next === null) return { revision: gone.revision, deleted }
    from = next
  }
}

function deleteAtOnce(
  session: SessionClient,
  corner: Corner,
  { from, to }: KeyRange,
  options: DeleteRangeOptions
): Promise<DeleteRangeResult> {
  const command = packCommand({ op: 'deleteRange', from, to })
  const contentBytes = from.length + (to?.length ?? 0)
  return session.sendWrite({ read: deletedAnswer, corner, command, contentBytes }, options)
}
