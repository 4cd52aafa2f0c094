// Draft records of key-value commands: a few sessions, each with rising serials; a draft may be given in again as it was.
import { toHex } from '../../lib/base/bytes.ts'
import { pack } from '../../lib/record/pack.ts'
import {
  commandHeadBytes,
  inOrderFlag,
  recordAt,
  recordKind,
  sessionIdBytes,
  writeCommandHead
} from '../../lib/record/record.ts'
import { type FirstCommand, packCommand } from '../../lib/wire/kv/commands.ts'
import { del, increment, put } from '../kv/bed.ts'

export interface Draft {
  readonly bytes: Uint8Array
  readonly session: string
  readonly serial: number
  readonly count: number
  /** It is refused while an earlier one of its session has not come. */
  readonly inOrder: boolean
}

export class Drafts {
  readonly #serials: number[] = []
  readonly #all: Draft[] = []
  #number = 0

  /** The next commands of a session. */
  next(session: number, count: number, inOrder: boolean): Draft {
    const serial = this.#serials[session] ?? 1
    this.#serials[session] = serial + count
    const id = new Uint8Array(sessionIdBytes)
    id[sessionIdBytes - 1] = session
    const packed = pack(Array.from({ length: count }, () => packCommand(this.#command())))
    const bytes = new Uint8Array(commandHeadBytes + packed.length)
    writeCommandHead(bytes, recordKind.command, { session: id, count, serial, floor: 0, notAfter: 0 }, 0)
    if (inOrder) bytes[recordAt.flags] = inOrderFlag
    bytes.set(packed, commandHeadBytes)
    const draft = { bytes, session: toHex(id), serial, count, inOrder }
    this.#all.push(draft)
    return draft
  }

  /** One that was made before; null when there is none. */
  again(which: number): Draft | null {
    return this.#all[which % Math.max(1, this.#all.length)] ?? null
  }

  /** Commands in turn, of which most do something to the same few keys. */
  #command(): FirstCommand {
    const number = ++this.#number
    const key = `k${number % 3}`
    switch (number % 6) {
      case 0:
        return del(key, { previous: true })
      case 1:
        return increment('n', number)
      case 2:
        return put(key, `v${number}`, { ifRevision: 1, previous: true })
      case 3:
        return increment(key, 1)
      default:
        return put(key, `v${number}`)
    }
  }
}
