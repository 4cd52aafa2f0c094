// Why a data directory cannot be opened, and what a failed write means: errors of one line that the server can print.
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'

/**
 * `amnesia`: what the node promised is lost, and it may return only as a new member. `unfounded`: it belongs to no cluster
 * yet. `locked`: a live process has it. `io`: the disk refuses; the same start may succeed later.
 */
export type Fault =
  | 'amnesia'
  | 'unfounded'
  | 'foreign-id'
  | 'foreign-cluster'
  | 'newer-format'
  | 'locked'
  | 'corrupt'
  | 'io'

export class OpenError extends StrettoError {
  readonly fault: Fault

  constructor(fault: Fault, message: string, cause?: unknown) {
    super(codeOf(fault, cause), message, { cause })
    this.fault = fault
  }
}

function codeOf(fault: Fault, cause: unknown): 'CORRUPT' | 'NO_SPACE' | 'UNAVAILABLE' | 'BAD_REQUEST' {
  if (fault === 'amnesia' || fault === 'corrupt') return 'CORRUPT'
  if (fault === 'io') return isFull(cause) ? 'NO_SPACE' : 'UNAVAILABLE'
  return 'BAD_REQUEST'
}

/** The error that opening `what` ends with, whatever LevelDB or the file system has thrown. */
export function openFault(what: string, error: Error): OpenError {
  if (error instanceof OpenError) return error
  // Of the state beside the log, whose rooms know nothing of faults: a form that only a newer program reads.
  if (error instanceof StrettoError && error.code === 'BAD_REQUEST')
    return new OpenError('newer-format', error.message, error)
  const code = levelCodeOf(error)
  if (code === 'LEVEL_LOCKED') return new OpenError('locked', `${what} is in use by another process`, error)
  if (code === 'LEVEL_CORRUPTION') {
    return new OpenError('corrupt', `${what} is damaged: ${reasonOf(error)}: ${advice}`, error)
  }
  // LevelDB's words for a CURRENT that is damaged, or names what is not there.
  if (code === 'LEVEL_IO_ERROR' && /no such file or directory/i.test(reasonOf(error))) {
    return new OpenError('corrupt', `a part of ${what} is missing: ${reasonOf(error)}: ${advice}`, error)
  }
  return new OpenError('io', `${what} cannot be opened: ${reasonOf(error)}`, error)
}

const advice = 'stretto inspect tells more, and stretto repair mends what can be mended'

/** The error of a write that the disk has refused: whether it is there shows only after reopening. */
export function writeFault(what: string, error: Error): StrettoError {
  if (error instanceof StrettoError) return error
  const code = isFull(error) ? 'NO_SPACE' : 'UNAVAILABLE'
  return new StrettoError(code, `${what} cannot be written: ${reasonOf(error)}`, { fate: 'unknown', cause: error })
}

export function corrupt(message: string): StrettoError {
  return new StrettoError('CORRUPT', message)
}

/** Ends a call with an error and no result. */
export function refuse<T>(done: Done<T>, error: Error): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody looks at a result beside an error
  done(error, undefined as T)
}

/** LevelDB's own code stands in the cause of what `open` rejects with. */
function levelCodeOf(error: Error): unknown {
  const cause: unknown = error.cause
  const inner = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined
  return inner ?? (error as NodeJS.ErrnoException).code
}

function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message
}

function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (error as NodeJS.ErrnoException).code === 'ENOSPC' || /no space left/i.test(reasonOf(error))
}
