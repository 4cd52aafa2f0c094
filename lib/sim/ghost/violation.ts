// A broken invariant, by its code (docs/INVARIANTS.md): what every check of the simulator throws.

export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: string

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}

/** @throws Violation unless it holds; `text` is made only then. */
export function hold(condition: boolean, invariant: string, text: () => string): void {
  if (!condition) throw new Violation(invariant, text())
}
