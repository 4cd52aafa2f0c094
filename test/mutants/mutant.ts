// What a planted mutant is: a small change of what production code does, as text, and how it is to be found.
import type { FaultClass, FaultEvent } from '../../lib/sim/faults.ts'

/** `find` stands exactly once in the file. */
export interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** Under which faults seeds are run until one of them is caught breaking an invariant. */
export interface Storm {
  readonly depth: 'shallow' | 'deep'
  readonly faults: readonly FaultClass[]
  readonly nodes?: number
  readonly clients?: number
  readonly durationMs?: number
  /** Instead of what chance would deal of `faults`: where several have to fall together. */
  readonly schedule?: readonly FaultEvent[]
}

/** A directed test of its own finds what chance would take too long for: a module of `test/sim/review`. */
export interface Scenario {
  readonly scenario: string
}

export interface Mutant {
  readonly name: string
  /** The code of the invariant that it breaks (docs/INVARIANTS.md). */
  readonly invariant: string
  /**
   * What may be seen first in its place: another code, or `IX1: text`, the assertion of production code with that text.
   * Anything else that stops a run is no finding: a patch that does not even run proves nothing.
   */
  readonly also: readonly string[]
  readonly patches: readonly Patch[]
  readonly by: Storm | Scenario
}

/** @throws Error where a patch does not fit exactly once */
export function patched(text: string, { file, find, replace }: Patch): string {
  const at = text.indexOf(find)
  if (at < 0) throw new Error(`${file} does not contain: ${find}`)
  if (text.indexOf(find, at + 1) >= 0) throw new Error(`${file} contains more than once: ${find}`)
  return text.slice(0, at) + replace + text.slice(at + find.length)
}

/**
 * Is this how the mutant was to show itself? An error of the patch itself, like a name that is not defined, is no finding
 * even where the simulator counts it as a crash.
 */
export function shows(
  { invariant, also, by }: Mutant,
  { code, text }: { readonly code: string; readonly text: string }
): boolean {
  if (/\b(?:Type|Syntax|Reference|Range)Error\b/.test(text)) return false
  // Of a storm a crash may have any cause, so its text must be the right one; a scenario looks for one crash.
  if ((code !== 'IX1' || 'scenario' in by) && (code === invariant || also.includes(code))) return true
  return also.some(other => other.startsWith(`${code}: `) && text.includes(other.slice(code.length + 2)))
}

/** Takes away a statement: an assertion above all, so that the simulator has to see for itself what the assertion would. */
export function without(file: string, find: string): Patch {
  return { file, find, replace: '' }
}

/** The same faults over and over, so that in one of the rounds the right node leads: each from `at` of its round on. */
export function inRounds(everyMs: number, rounds: number, events: readonly FaultEvent[]): readonly FaultEvent[] {
  return Array.from({ length: rounds }, (_, round) =>
    events.map(event => ({ ...event, at: event.at + (round + 1) * everyMs }))
  ).flat()
}
