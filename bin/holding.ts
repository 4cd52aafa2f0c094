// What `lock` and `elect` have in common: how long to wait, and holding on until it is lost or somebody interrupts.
import type { Command } from 'commander'
import type { AcquireOptions, Held } from '../lib/client/client.ts'
import { parseDuration } from '../lib/server/durations.ts'
import { type ClientOptions } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'

export interface HoldingOptions extends ClientOptions {
  readonly ttl: string
  /** True: without end. */
  readonly wait?: string | boolean
}

const ttlDefault = '10s'

export function addHoldingOptions(command: Command): void {
  command
    .option('--ttl <duration>', 'how long it outlasts this process, at least 1s', ttlDefault)
    .option('--wait <duration>', 'how long to wait for it; without end when left out')
    .option('--no-wait', 'end with exit code 4 where somebody else holds it')
}

/** @throws UsageError */
export function acquireOptionsOf({ ttl, wait = true }: HoldingOptions, signal: AbortSignal): AcquireOptions {
  const terms = { ttl: parseDuration(ttl), signal }
  if (wait === false) return { ...terms, wait: 0 }
  return typeof wait === 'string' ? { ...terms, wait: parseDuration(wait) } : terms
}

/** Aborted by the first SIGINT or SIGTERM; the second one ends the process. */
export function interruption(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exitCode.interrupted)
      controller.abort(new CommandFault(exitCode.interrupted, 'interrupted'))
    })
  }
  return controller.signal
}

/** Until it is lost or the process is interrupted, either of which ends the command. */
export async function hold(held: Held, interrupted: AbortSignal): Promise<never> {
  await new Promise<void>(resolve => {
    for (const signal of [held.signal, interrupted]) {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    }
  })
  held.check()
  throw interrupted.reason
}
