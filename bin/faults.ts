// How a command ends: the exit code and the one line on stderr for anything that was thrown.
import { type ErrorCode, StrettoError } from '../lib/base/errors.ts'
import { faultCode, faultText, UsageError } from '../lib/server/usage-error.ts'

export const exitCode = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  conditionFailed: 4,
  unavailable: 5,
  unknownOutcome: 6,
  permission: 7,
  interrupted: 130
} as const

/** Ends a command with this exit code and this line, empty for none. */
export class CommandFault extends Error {
  override readonly name = 'CommandFault'
  readonly exitCode: number

  constructor(exitCode: number, line: string) {
    super(line)
    this.exitCode = exitCode
  }
}

const exitOfCode: Readonly<Partial<Record<ErrorCode, number>>> = {
  CONDITION_FAILED: exitCode.conditionFailed,
  FENCED: exitCode.conditionFailed,
  LOCK_LOST: exitCode.conditionFailed,
  LEASE_NOT_FOUND: exitCode.notFound,
  NOT_LEADER: exitCode.unavailable,
  OVERLOADED: exitCode.unavailable,
  TIMED_OUT: exitCode.unavailable,
  UNAVAILABLE: exitCode.unavailable,
  STOPPED: exitCode.unavailable,
  UNAUTHENTICATED: exitCode.permission,
  PERMISSION_DENIED: exitCode.permission
}

/** The exit code for anything thrown. An unknown outcome outweighs the reason for it. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCode.usage
  if (error instanceof CommandFault) return error.exitCode
  if (!(error instanceof StrettoError)) return exitCode.failed
  if (error.fate === 'unknown') return exitCode.unknownOutcome
  return exitOfCode[error.code] ?? exitCode.failed
}

/** The line for anything thrown: what is wrong, and for a write of the store whether it may have happened. */
export function faultLine(error: unknown): string {
  if (error instanceof StrettoError && error.fate === 'unknown') {
    const operation = error.operationId === undefined ? '' : ` (operation ${error.operationId})`
    return `${faultText(error)}; it is not known whether it was applied${operation}`
  }
  const place = faultCode(error) === 'ENOSPC' ? ': make room on the disk and try again' : ''
  return `${faultText(error)}${place}`
}
