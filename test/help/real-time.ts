// An Env of the real world, and waiting in it for what a test expects.
import { performance } from 'node:perf_hooks'
import type { Env } from '../../lib/base/env.ts'
import { realEnv as makeEnv } from '../../lib/client/real-env.ts'

export const realEnv: Env = makeEnv()

/** Resolves to true once the condition holds, to false when it did not within `ms`. */
export async function eventually(condition: () => boolean, ms = 10_000): Promise<boolean> {
  const end = performance.now() + ms
  while (!condition()) {
    if (performance.now() > end) return false
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  return true
}
