// `stretto lock NAME [-- COMMAND...]`: holds a lock, for as long as a command runs or until it is interrupted.
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Command } from 'commander'
import type { Lock } from '../lib/client/client.ts'
import { parseDuration } from '../lib/server/durations.ts'
import { addClientOptions, outputOf, useClient } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { acquireOptionsOf, addHoldingOptions, type HoldingOptions, hold, interruption } from './holding.ts'
import { printJson, printLine, printValue, shown } from './print.ts'

/** The lock counts as lost a tenth of its ttl before it can have ended; what then goes on for half of that is killed. */
const graceShare = 0.05

export function lock(command: Command): void {
  command.argument('<name>').argument('[command...]', 'what to run while it is held, after --')
  addHoldingOptions(command)
  addClientOptions(command)
  command.addHelpText(
    'after',
    `
The command finds the fencing token in STRETTO_LOCK_FENCING_TOKEN, and is stopped when the lock is lost; its exit code is that
of this one. Without a command the lock is held until this process is interrupted.`
  )
  command.action(runLock)
}

async function runLock(name: string, words: readonly string[], options: HoldingOptions): Promise<void> {
  const interrupted = interruption()
  await useClient(
    options,
    async db => {
      const held = await db.lock(name, acquireOptionsOf(options, interrupted))
      try {
        if (words.length > 0) await runUnder(held, words, parseDuration(options.ttl) * graceShare, interrupted)
        else {
          show(name, held, options)
          await hold(held, interrupted)
        }
      } finally {
        await held[Symbol.asyncDispose]()
      }
    },
    true
  )
}

function show(name: string, { fencingToken }: Lock, options: HoldingOptions): void {
  const output = outputOf(options)
  if (output === 'value') printValue(fencingToken)
  else if (output === 'json') printJson({ name, fencingToken })
  else printLine(`'${shown(name)}' is held; fencing token ${fencingToken}`)
}

async function runUnder(
  held: Lock,
  [program, ...args]: readonly string[],
  graceMs: number,
  interrupted: AbortSignal
): Promise<void> {
  const env = { ...process.env, STRETTO_LOCK_FENCING_TOKEN: String(held.fencingToken) }
  const child = spawn(program!, args, { stdio: 'inherit', env })
  let timer: NodeJS.Timeout | undefined
  const onLost = (): void => {
    child.kill('SIGTERM')
    timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  }
  const onInterrupt = (): void => void child.kill('SIGTERM')
  held.signal.addEventListener('abort', onLost)
  interrupted.addEventListener('abort', onInterrupt)
  if (held.signal.aborted) onLost()
  if (interrupted.aborted) onInterrupt()
  try {
    const code = await endOf(child, program!)
    held.check()
    if (code !== 0) throw new CommandFault(code, '')
  } finally {
    clearTimeout(timer)
    held.signal.removeEventListener('abort', onLost)
  }
}

/** The exit code, as a shell would give it. */
function endOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', error => {
      reject(new CommandFault(exitCode.failed, `'${shown(program)}' cannot be run: ${error.message}`))
    })
    child.on('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}
