// The entry point: runs one command and ends with its exit code.
import { exitCode } from './faults.ts'
import { runProgram } from './program.ts'

// The reader of a pipe may leave early, as `head` does: that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : exitCode.failed))

process.exit(await runProgram(process.argv.slice(2)))
