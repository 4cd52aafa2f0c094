// The client's session: the name under which the cluster remembers what became of each write, and the serials in it.
import { fromHex, toHex, writeU16, writeU64 } from '../base/bytes.ts'
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { sessionIdBytes } from '../record/record.ts'

/** How many serials may be used beyond the floor: the cluster refuses more. */
export const serialWindow = 4096

export class Session {
  readonly id: Uint8Array
  readonly text: string
  nextSerial = 1
  /** The client knows what became of all serials at or below this one. */
  floor = 0
  /** The cluster has forgotten it: nothing more is written under this name. */
  expired = false

  /** `clusterTime`: milliseconds, as a node has told. The other 80 bits are chance. */
  constructor(clusterTime: number, env: Env) {
    this.id = new Uint8Array(sessionIdBytes)
    writeU64(this.id, 0, clusterTime)
    for (let at = 8; at < sessionIdBytes; at += 2) writeU16(this.id, at, env.random(0x1_0000))
    this.text = toHex(this.id)
  }

  /** How many more serials may be used now. */
  get room(): number {
    return this.floor + serialWindow + 1 - this.nextSerial
  }
}

/** The name of one write, to be kept and given to `resolve`, also by another client at another time. */
export function operationIdOf(session: Session, serial: number): string {
  return `${session.text}-${serial}`
}

/** @throws StrettoError BAD_REQUEST */
export function parseOperationId(text: string): { readonly session: Uint8Array; readonly serial: number } {
  const match = typeof text === 'string' ? /^([0-9a-f]{36})-([1-9]\d{0,15})$/.exec(text) : null
  const session = match === null ? null : fromHex(match[1]!)
  const serial = Number(match?.[2])
  if (session === null || !Number.isSafeInteger(serial)) {
    throw new StrettoError('BAD_REQUEST', 'no operation id: an error with an unknown fate carries one')
  }
  return { session, serial }
}
