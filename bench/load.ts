// The load: a closed loop with so many operations in flight, or an open one at a given rate; and the latency of each.
import { createHistogram, performance } from 'node:perf_hooks'
import { Random } from '../lib/base/random.ts'
import type { Client } from '../lib/client/client.ts'
import { type Operation, operationOf, type Store, type WorkloadName } from './workloads.ts'

export interface LoadJob extends Store {
  readonly workload: WorkloadName
  /**
   * Closed: so many callers, each of which calls again once it is answered. Open: so many calls a second, whether the ones
   * before are answered or not; their latency counts from the moment at which they were due, so that a slow answer is not
   * hidden by the calls that it holds up (coordinated omission).
   */
  readonly pace: { readonly inFlight: number } | { readonly perSecond: number }
  readonly warmUpMs: number
  readonly durationMs: number
  readonly seed: number
}

export interface LoadResult {
  readonly operations: number
  readonly errors: number
  /** Text of the first error, for whoever wonders. */
  readonly firstError: string | null
  readonly elapsedMs: number
  /** The most that were in flight at one time. */
  readonly inFlightMax: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
  /** Latencies for a plot: pairs of a share of the operations in percent, and milliseconds. */
  readonly spectrum: readonly (readonly [number, number])[]
  readonly cpuUs: number
}

/** Called when the measured time begins and when it ends, so that others measure the same span. */
export type Mark = (at: 'begin' | 'end') => void

/** Operations go to the clients in turn. */
export async function runLoad(clients: readonly Client<Uint8Array>[], job: LoadJob, mark: Mark): Promise<LoadResult> {
  const meter = new Meter()
  const operation = operationOf(job.workload, job, new Random(job.seed, job.workload))
  const ended =
    'inFlight' in job.pace
      ? runClosed(clients, operation, job.pace.inFlight, meter)
      : runOpen(clients, operation, job.pace.perSecond, meter)
  await after(job.warmUpMs)
  mark('begin')
  meter.begin()
  await after(job.durationMs)
  meter.end()
  mark('end')
  await ended
  return meter.result()
}

async function runClosed(
  clients: readonly Client<Uint8Array>[],
  operation: Operation,
  inFlight: number,
  meter: Meter
): Promise<void> {
  const caller = async (db: Client<Uint8Array>): Promise<void> => {
    while (meter.running) await measured(operation, db, performance.now(), meter)
  }
  await Promise.all(Array.from({ length: inFlight }, (_, at) => caller(clients[at % clients.length]!)))
}

async function runOpen(
  clients: readonly Client<Uint8Array>[],
  operation: Operation,
  perSecond: number,
  meter: Meter
): Promise<void> {
  const open = new Set<Promise<void>>()
  const begun = performance.now()
  for (let number = 0; meter.running; ) {
    const now = performance.now()
    for (;;) {
      const due = begun + (1_000 * number) / perSecond
      if (due > now) break
      const call = measured(operation, clients[number++ % clients.length]!, due, meter)
      open.add(call)
      void call.then(() => open.delete(call))
    }
    await after(1)
  }
  await Promise.all(open)
}

/** One operation, with as little around it as can be: the load must not be what limits. */
async function measured(operation: Operation, db: Client<Uint8Array>, due: number, meter: Meter): Promise<void> {
  meter.begun()
  try {
    await operation(db)
    meter.answered(due)
  } catch (error) {
    meter.failed(due, error as Error)
  }
}

class Meter {
  running = true
  readonly #latencies = createHistogram({ figures: 3 })
  #measuring = false
  #operations = 0
  #errors = 0
  #firstError: string | null = null
  #inFlight = 0
  #inFlightMax = 0
  #begunAt = 0
  #endedAt = Number.POSITIVE_INFINITY
  #cpu = process.cpuUsage()
  #cpuUs = 0

  begin(): void {
    this.#cpu = process.cpuUsage()
    this.#begunAt = performance.now()
    this.#measuring = true
  }

  end(): void {
    this.#endedAt = performance.now()
    this.running = false
    const { user, system } = process.cpuUsage(this.#cpu)
    this.#cpuUs = user + system
  }

  begun(): void {
    this.#inFlight++
    if (this.#inFlight > this.#inFlightMax) this.#inFlightMax = this.#inFlight
  }

  /** Counts what is answered within the measured time; for its latency also what is answered later and was due in it. */
  answered(due: number): void {
    this.#inFlight--
    if (!this.#measuring || due > this.#endedAt) return
    const now = performance.now()
    if (now <= this.#endedAt) this.#operations++
    this.#latencies.record(Math.max(1, Math.round((now - due) * 1e6)))
  }

  failed(due: number, error: Error): void {
    this.#inFlight--
    if (!this.#measuring || due > this.#endedAt) return
    this.#errors++
    this.#firstError ??= error.message
  }

  result(): LoadResult {
    const isEmpty = this.#latencies.count === 0
    const percentile = (share: number): number => (isEmpty ? 0 : this.#latencies.percentile(share) / 1e6)
    return {
      operations: this.#operations,
      errors: this.#errors,
      firstError: this.#firstError,
      elapsedMs: this.#endedAt - this.#begunAt,
      inFlightMax: this.#inFlightMax,
      p50Ms: percentile(50),
      p99Ms: percentile(99),
      p999Ms: percentile(99.9),
      maxMs: isEmpty ? 0 : this.#latencies.max / 1e6,
      spectrum: shares.map(share => [share, percentile(share)]),
      cpuUs: this.#cpuUs
    }
  }
}

const shares = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99] as const

function after(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
