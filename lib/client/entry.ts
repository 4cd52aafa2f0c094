// What calls come back with: entries and results, made from the bytes of answers.
import { StrettoError } from '../base/errors.ts'
import { type Packed, unpack } from '../record/pack.ts'
import type { Consistency } from '../wire/client.ts'
import { type Entry as PackedEntry, readEntry } from '../wire/kv/questions.ts'
import type { Corner } from './corner.ts'

export interface Entry<V> {
  readonly key: string
  readonly value: V
  readonly createRevision: number
  readonly modRevision: number
  /** 1 when the key was created, 1 more with each write. */
  readonly version: number
  /** 0 for none. */
  readonly leaseId: number
}

export interface PutResult<V> {
  readonly revision: number
  /** The entry before, where it was asked for; null: there was none. */
  readonly previous?: Entry<V> | null
  /** The lease that a `ttl` made for this key. */
  readonly leaseId?: number
  /** The write was applied once, but when the client asked again its answer was too large to have been kept. */
  readonly resultGone?: true
}

export interface DeleteResult<V> extends PutResult<V> {
  readonly deleted: number
}

export interface IncrementResult {
  readonly value: number
  readonly revision: number
}

export interface AppendResult {
  /** Bytes that the value has now. */
  readonly length: number
  readonly revision: number
}

/** An entry, and what it was served from. */
export interface Reading<V> {
  readonly entry: Entry<V> | null
  /** Of the store. */
  readonly revision: number
  readonly term: number
  /** Of the log. */
  readonly index: number
  /** The id of the node. */
  readonly servedBy: string
  readonly consistency: Consistency
  /** Milliseconds since that node last knew itself level with a leader; 0 unless `stale`. */
  readonly age: number
}

/** What became of a write: it never will be applied; it was; or it is no longer known. */
export type Resolution<V> = 'not-applied' | 'expired' | { readonly applied: AppliedResult<V> }

export interface AppliedResult<V> extends PutResult<V> {
  readonly deleted?: number
  readonly value?: number
  /** Of a transaction; its responses only where this client made it. */
  readonly succeeded?: boolean
  readonly responses?: readonly unknown[]
}

/** `key`: the text asked for, where it is known. @throws StrettoError BAD_REQUEST for what is none; UndecodableValue */
export function entryOf(packed: Packed | undefined, corner: Corner, key?: string): Entry<unknown> {
  return entryFrom(readEntry(packed), corner, key)
}

export function entryFrom(entry: PackedEntry, corner: Corner, key?: string): Entry<unknown> {
  const { createRevision, modRevision, version, leaseId } = entry
  if (entry.value === null) throw new StrettoError('BAD_REQUEST', 'an entry without its value')
  const value = corner.decode(entry.value)
  return { key: key ?? corner.textOf(entry.key), value, createRevision, modRevision, version, leaseId }
}

/** An entry of which only the key was asked for. */
export function keyEntryOf(packed: Packed | undefined, corner: Corner): Entry<null> {
  const { key, createRevision, modRevision, version, leaseId } = readEntry(packed)
  return { key: corner.textOf(key), value: null, createRevision, modRevision, version, leaseId }
}

export function entryOrNull(packed: Packed | undefined, corner: Corner, key?: string): Entry<unknown> | null {
  return packed === null ? null : entryOf(packed, corner, key)
}

/** @throws StrettoError BAD_REQUEST for anything but an array */
export function unpackAnswer(bytes: Uint8Array): readonly Packed[] {
  const value = unpack(bytes)
  if (!Array.isArray(value)) throw new StrettoError('BAD_REQUEST', 'an answer that is no array')
  return value as readonly Packed[]
}

/** @throws StrettoError BAD_REQUEST */
export function numberOf(packed: Packed | undefined): number {
  if (typeof packed !== 'number' || !Number.isSafeInteger(packed)) {
    throw new StrettoError('BAD_REQUEST', 'an answer without its number')
  }
  return packed
}
