// What the commands that work on a stopped node have in common: output, and the faults of a directory in one line.
import { type Command, Option } from 'commander'
import { StrettoError } from '../lib/base/errors.ts'
import { OpenError } from '../lib/log/faults.ts'
import { faultCode, faultText, UsageError } from '../lib/server/usage-error.ts'
import type { Output } from './print.ts'

export interface OfflineOptions {
  readonly output?: Exclude<Output, 'value'>
}

export function addOutputOption(command: Command): void {
  const text = 'table or json (default: table on a terminal, else json)'
  command.addOption(new Option('-o, --output <format>', text).choices(['table', 'json']))
}

/** Runs `work`; what a person can mend by naming another directory, or by stopping the node, becomes wrong usage. */
export async function offline<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof OpenError) throw new UsageError(error.message)
    if (error instanceof StrettoError && error.code === 'BAD_REQUEST') throw new UsageError(error.message)
    const code = faultCode(error)
    if (code === 'ENOENT') throw new UsageError(faultText(error))
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EISDIR') {
      throw new UsageError(`this user may not do that here: ${faultText(error)}`)
    }
    throw error
  }
}
