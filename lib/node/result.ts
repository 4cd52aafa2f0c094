// What a caller of the node is told about a write or a read.
import type { ErrorCode, Fate } from '../base/errors.ts'
import type { Answer } from '../machine/answer.ts'

export type WriteResult =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** The answer of the node it was forwarded to, as it would stand on that node's own client link. */
  | { readonly kind: 'relayed'; readonly bytes: Uint8Array }
  | Refusal

export interface Refusal {
  readonly kind: 'refused'
  readonly code: ErrorCode
  readonly fate: Fate
  readonly text: string
  readonly retryAfterMs: number | null
}

export function refusal(code: ErrorCode, fate: Fate, text: string, retryAfterMs: number | null = null): Refusal {
  return { kind: 'refused', code, fate, text, retryAfterMs }
}

export type WriteDone = (result: WriteResult) => void
