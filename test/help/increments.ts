// Draft records of the key-value machine that tell at once whether a state has lost or doubled something: increments.
import { pack } from '../../lib/record/pack.ts'
import { commandHeadBytes, recordKind, sessionIdBytes, writeCommandHead } from '../../lib/record/record.ts'
import { packCommand } from '../../lib/wire/kv/commands.ts'

const utf8 = new TextEncoder()

/** Each of these keys is increased by 1, in one record of a session of its own. */
export function incrementsOf(keys: readonly string[], session: number): Uint8Array {
  const commands = keys.map(key => packCommand({ op: 'increment', key: utf8.encode(key), by: 1 }))
  const draft = Uint8Array.from(pack(commands, commandHeadBytes))
  const id = new Uint8Array(sessionIdBytes)
  id[sessionIdBytes - 1] = session
  writeCommandHead(draft, recordKind.command, { session: id, count: keys.length, serial: 1, floor: 0, notAfter: 0 }, 0)
  return draft
}
