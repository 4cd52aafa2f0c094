// What clients and nodes say to each other about watches. Frames as in `wire/client.ts`, contents in the machine's language.
//
// From the client
//   71    watch      flags: 1 = from a moment on after this was asked · 8 u32 number · 12 u32 credit in bytes
//                    16: what is to be watched
//         More credit is given by a credit frame, the end said by a cancel frame.
// From the node
//   87    events     8 u64 revision · 16 u32 length of the changes · 20: msgpack [change, ...], all of this revision
//                    then msgpack [number of a watch | [number, place of a change, ...], ...]: a number alone: all of them
//   88    entries    flags: 1 = the watch begins anew, 2 = nothing follows: all up to the page's revision has been delivered
//                    8 u32 number · 12: a page of the present entries
//   89    progress   8: msgpack [revision, number, ...]: these watches have been told all up to this revision
//         A watch that has ended is refused (82), with its number.
import { readU32, readU64, writeU32, writeU64 } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import { type Packed, pack, unpack } from '../record/pack.ts'
import { frameHeaderBytes, frameKind, startFrame } from './client.ts'

const watchHeadBytes = 16
const eventsHeadBytes = 20
const entriesHeadBytes = 12

export interface WatchFrame {
  readonly number: number
  /** It begins at a moment after this was asked; else where it was, or is to begin. */
  readonly fresh: boolean
  /** Bytes that may be sent before more credit comes. */
  readonly credit: number
  readonly body: Uint8Array
}

export function writeWatch({ number, fresh, credit, body }: WatchFrame): Uint8Array {
  const frame = startFrame(frameKind.watch, watchHeadBytes + body.length)
  frame[5] = fresh ? 1 : 0
  writeU32(frame, 8, number)
  writeU32(frame, 12, credit)
  frame.set(body, watchHeadBytes)
  return frame
}

/** @throws StrettoError BAD_REQUEST */
export function readWatchFrame(frame: Uint8Array): WatchFrame {
  if (frame.length < watchHeadBytes) throw malformed()
  const body = frame.subarray(watchHeadBytes)
  return { number: readU32(frame, 8), fresh: (frame[5]! & 1) !== 0, credit: readU32(frame, 12), body }
}

/** Which of the changes of a revision are for whom: all of them where `places` is null. */
export interface Receiver {
  readonly number: number
  readonly places: readonly number[] | null
}

export interface Events {
  readonly revision: number
  readonly changes: readonly Packed[]
  readonly receivers: readonly Receiver[]
}

/** `changes` is the msgpack array of all of them. */
export function writeEvents(revision: number, changes: Uint8Array, receivers: readonly Receiver[]): Uint8Array {
  const numbers = pack(receivers.map(({ number, places }) => (places === null ? number : [number, ...places])))
  const frame = startFrame(frameKind.events, eventsHeadBytes + changes.length + numbers.length)
  writeU64(frame, 8, revision)
  writeU32(frame, 16, changes.length)
  frame.set(changes, eventsHeadBytes)
  frame.set(numbers, eventsHeadBytes + changes.length)
  return frame
}

/** @throws StrettoError BAD_REQUEST */
export function readEvents(frame: Uint8Array): Events {
  if (frame.length < eventsHeadBytes) throw malformed()
  const end = eventsHeadBytes + readU32(frame, 16)
  if (end > frame.length) throw malformed()
  const changes = arrayOf(frame.subarray(eventsHeadBytes, end))
  const receivers = arrayOf(frame.subarray(end)).map((receiver): Receiver => {
    if (isCount(receiver)) return { number: receiver, places: null }
    if (!Array.isArray(receiver)) throw malformed()
    const [number, ...places] = receiver as Packed[]
    if (!isCount(number) || !places.every(place => isCount(place) && place < changes.length)) throw malformed()
    return { number, places: places as number[] }
  })
  return { revision: readU64(frame, 8), changes, receivers }
}

export interface Entries {
  readonly number: number
  readonly anew: boolean
  readonly last: boolean
  /** A page of a scan. */
  readonly body: Uint8Array
}

export function writeEntries({ number, anew, last, body }: Entries): Uint8Array {
  const frame = startFrame(frameKind.entries, entriesHeadBytes + body.length)
  frame[5] = (anew ? 1 : 0) | (last ? 2 : 0)
  writeU32(frame, 8, number)
  frame.set(body, entriesHeadBytes)
  return frame
}

/** @throws StrettoError BAD_REQUEST */
export function readEntries(frame: Uint8Array): Entries {
  if (frame.length < entriesHeadBytes) throw malformed()
  const flags = frame[5]!
  const body = frame.subarray(entriesHeadBytes)
  return { number: readU32(frame, 8), anew: (flags & 1) !== 0, last: (flags & 2) !== 0, body }
}

export interface Progress {
  readonly revision: number
  readonly numbers: readonly number[]
}

export function writeProgress({ revision, numbers }: Progress): Uint8Array {
  const body = pack([revision, ...numbers])
  const frame = startFrame(frameKind.progress, frameHeaderBytes + body.length)
  frame.set(body, frameHeaderBytes)
  return frame
}

/** @throws StrettoError BAD_REQUEST */
export function readProgress(frame: Uint8Array): Progress {
  const [revision, ...numbers] = arrayOf(frame.subarray(frameHeaderBytes))
  if (!isCount(revision) || !numbers.every(isCount)) throw malformed()
  return { revision, numbers }
}

function arrayOf(bytes: Uint8Array): readonly Packed[] {
  const value = unpack(bytes)
  if (!Array.isArray(value)) throw malformed()
  return value as Packed[]
}

function isCount(value: Packed | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function malformed(): StrettoError {
  return new StrettoError('BAD_REQUEST', 'a malformed frame about watches')
}
