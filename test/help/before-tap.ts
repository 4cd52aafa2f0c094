// Properties of promises, run before tap is loaded: tap follows every promise there is, which makes them seven times slower.
import { relative } from 'node:path'
import fc from 'fast-check'
import { macrotask } from './arrivals.ts'

/** `FC_SEED` and `FC_PATH`, as a failure has printed them, bring one case back. */
const { FC_SEED: seedAsked, FC_PATH: path } = process.env

type Arbitraries<Ts extends unknown[]> = { [K in keyof Ts]: fc.Arbitrary<Ts[K]> }

/**
 * A property of whatever order a scheduler chooses. The order is drawn from a seed, not by the arbitrary `fc.scheduler`,
 * whose clones do not begin where it did: a case that had been made smaller did not come back.
 */
export function inAnyOrder<Ts extends [unknown, ...unknown[]]>(
  arbitraries: Arbitraries<Ts>,
  holds: (order: fc.Scheduler, ...values: Ts) => Promise<void>
): fc.IAsyncProperty<[number, ...Ts]> {
  const property = async (seed: number, ...values: Ts): Promise<void> => {
    const order = schedulerOf(seed)
    try {
      await holds(order, ...values)
    } catch (error) {
      const happened = order.report().filter(({ status }) => status !== 'pending')
      const lines = happened.map(({ label }) => `  ${label}`)
      throw new Error([stackOf(error), 'What had happened, in order:', ...lines].join('\n'), { cause: error })
    }
  }
  // The compiler cannot see that mapping each of a list of types keeps a first one in its place.
  const all = [fc.noShrink(fc.nat()), ...arbitraries] as unknown as [fc.Arbitrary<number>, ...Arbitraries<Ts>]
  return fc.asyncProperty<[number, ...Ts]>(...all, property)
}

/** Each task is followed by a macrotask, so that whoever waits for a promise has gone on before the next is chosen. */
export function schedulerOf(seed: number): fc.Scheduler {
  const act = async (task: () => Promise<void>): Promise<void> => {
    await task()
    await macrotask()
  }
  return fc.sample(fc.scheduler({ act }), { seed, numRuns: 1 })[0]!
}

/** Runs the property, in which no promise may be rejected that nobody looks at. Gives its failure, null for none. */
export async function failureOf<Ts>(numRuns: number, property: fc.IAsyncProperty<Ts>): Promise<Error | null> {
  const unhandled: unknown[] = []
  const hear = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', hear)
  const { run } = property
  property.run = async (...values) => {
    unhandled.length = 0
    const failure = await run.apply(property, values)
    await macrotask()
    if (failure !== null || unhandled.length === 0) return failure
    return { error: new Error(`nobody looks at a rejection: ${stackOf(unhandled[0])}`) }
  }
  const replay = seedAsked === undefined ? {} : { seed: Number(seedAsked), ...(path === undefined ? {} : { path }) }
  const details = await fc.check(property, { numRuns, ...replay })
  process.off('unhandledRejection', hear)
  return details.failed ? failure(details) : null
}

interface Failed {
  readonly seed: number
  readonly counterexamplePath: string | null
  readonly errorInstance: unknown
  readonly counterexample: unknown
}

/** The command that brings the case back, the case, and why: with the order of all that has happened last. */
function failure({ seed, counterexamplePath, errorInstance, counterexample }: Failed): Error {
  const file = relative(process.cwd(), process.argv[1] ?? '')
  const replay = `FC_SEED=${seed} FC_PATH=${counterexamplePath} npx tsx ${file}`
  const text = [replay, fc.stringify(counterexample), stackOf(errorInstance)].join('\n\n')
  return new Error(text.replaceAll(/([^ ])\1{99,}/g, all => `${all[0]} (${all.length} times)`))
}

export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
