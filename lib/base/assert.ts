// What must be: assertions stay on in production, and a breach stops the node rather than let it go on wrong.

/** A broken invariant: a bug of ours, never a fault of the outside. Nothing catches it but the guard that stops the node. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws `AssertionError` unless `condition` holds. `text` is a constant, so that the check costs nothing where it passes. */
export function assert(condition: boolean, text: string): asserts condition {
  if (!condition) throw new AssertionError(text)
}

/** Marks a place which the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}
