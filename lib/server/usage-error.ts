// What a person has to mend: said in one line on stderr, without a stack trace, with exit code 2.

/** A fault in what was asked for, not in the program. The text says what is wrong and how to mend it, in one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The text of anything thrown, in one line. */
export function faultText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n', 1)[0]!
}

/** The `code` of an error of the system or of this library. */
export function faultCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
