// What an application asks of its own machines, at moments of a run: its invariants, and that equal histories make equal states.
import { createHash } from 'node:crypto'
import { StrettoError } from '../../base/errors.ts'
import { Violation } from '../ghost/violation.ts'

/** The machine of one running node, as it stands at this moment. Nothing may change it. */
export interface MachineView {
  /** `n1`, `n2`, ... */
  readonly node: string
  /** 1 at first, and one more with each command executed: of two machines, the one with more is ahead in the same log. */
  readonly revision: number
  readonly query: (question: Uint8Array) => Uint8Array
  readonly save: () => Uint8Array
}

/** A command whose caller has its answer: every machine at this revision or above has executed it. */
export interface Acknowledged {
  /** Who proposed it, from 1. */
  readonly process: number
  readonly command: Uint8Array
  readonly answer: Uint8Array | null
  /** Of the machines, after it. */
  readonly revision: number
}

/** One moment of a run. */
export interface View {
  /** Virtual milliseconds since the beginning. */
  readonly now: number
  readonly machines: readonly MachineView[]
  /** In the order of the answers. */
  readonly acknowledged: readonly Acknowledged[]
}

/** Broken where it throws, or gives `false` or a text that says how. It must answer at once: no promise. */
export type Invariant = (view: View) => string | boolean | void

export interface NamedInvariant {
  readonly name: string
  readonly check: Invariant
}

/**
 * `linearizable`: what clients were told is what one machine alone could have told them. `same-state`: machines that have
 * executed the same commands save the same bytes. Else an invariant of the application, named by its function or beside it.
 */
export type Check = 'linearizable' | 'same-state' | Invariant | NamedInvariant

/** Looks at one moment. @throws Violation with the name of the invariant */
export function lookAt(view: View, { name, check }: NamedInvariant): void {
  let told: unknown
  try {
    told = check(view)
  } catch (error) {
    throw new Violation(name, thrownText(error))
  }
  if (told instanceof Promise) {
    told.catch(() => {})
    throw new Violation(name, 'it gives a promise, and an invariant has to answer at once')
  }
  if (typeof told === 'string') throw new Violation(name, told)
  if (told === false) throw new Violation(name, `it does not hold at ${Math.round(view.now)} ms`)
}

/** Of each revision the first state that was seen is what all others have to be. */
export function sameState(): NamedInvariant {
  const seen = new Map<number, { readonly node: string; readonly digest: string }>()
  const check = ({ machines }: View): string | void => {
    for (const { node, revision, save } of machines) {
      const digest = createHash('sha256').update(save()).digest('base64')
      const known = seen.get(revision)
      if (known === undefined) seen.set(revision, { node, digest })
      else if (known.digest !== digest) return `${node} and ${known.node} saved different bytes at revision ${revision}`
    }
  }
  return { name: 'same-state', check }
}

/** What an application has thrown: a refusal by its code, an assertion by its text, anything else with the place. */
export function thrownText(error: unknown): string {
  if (error instanceof StrettoError) return `${error.code} (${error.fate}): ${error.message}`
  if (!(error instanceof Error)) return String(error)
  return /assert/i.test(error.name) ? error.message : (error.stack ?? error.message)
}
