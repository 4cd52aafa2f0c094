// The load: a closed loop with so many operations in flight over one client, and the latency of each.
import { createHistogram, performance } from 'node:perf_hooks'
import { Random } from '../lib/base/random.ts'
import type { Client } from '../lib/client/client.ts'
import type { Workload } from './report.ts'

export interface LoadJob {
  readonly workload: Workload
  readonly inFlight: number
  readonly warmUpMs: number
  readonly durationMs: number
  readonly keys: number
  readonly valueBytes: number
  readonly seed: number
}

export interface LoadResult {
  readonly operations: number
  readonly errors: number
  /** Text of the first error, for whoever wonders. */
  readonly firstError: string | null
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly cpuUs: number
}

/** Called when the measured time begins and when it ends, so that others measure the same span. */
export type Mark = (at: 'begin' | 'end') => void

export async function runLoad(db: Client<Uint8Array>, job: LoadJob, mark: Mark): Promise<LoadResult> {
  const load = new Load(db, job)
  const loops = Array.from({ length: job.inFlight }, () => load.loop())
  await after(job.warmUpMs)
  mark('begin')
  load.begin()
  await after(job.durationMs)
  const result = load.end()
  mark('end')
  await Promise.all(loops)
  return result
}

/** Every key once, so that no read finds an absent one. */
export async function fillKeys(db: Client<Uint8Array>, keys: number, valueBytes: number): Promise<void> {
  const value = new Uint8Array(valueBytes).fill(120)
  const batch = 500
  for (let first = 0; first < keys; first += batch) {
    const count = Math.min(batch, keys - first)
    await Promise.all(Array.from({ length: count }, (_, at) => db.put(keyOf(first + at), value)))
  }
}

function keyOf(number: number): string {
  return `bench/${String(number).padStart(8, '0')}`
}

class Load {
  readonly #db: Client<Uint8Array>
  readonly #job: LoadJob
  readonly #random: Random
  readonly #keys: string[]
  readonly #value: Uint8Array
  readonly #latencies = createHistogram({ figures: 3 })
  #measuring = false
  #running = true
  #operations = 0
  #errors = 0
  #firstError: string | null = null
  #begunAt = 0
  #cpu = process.cpuUsage()

  constructor(db: Client<Uint8Array>, job: LoadJob) {
    this.#db = db
    this.#job = job
    this.#random = new Random(job.seed, job.workload)
    this.#keys = Array.from({ length: job.keys }, (_, at) => keyOf(at))
    this.#value = Uint8Array.from({ length: job.valueBytes }, () => this.#random.below(256))
  }

  begin(): void {
    this.#cpu = process.cpuUsage()
    this.#begunAt = performance.now()
    this.#measuring = true
  }

  end(): LoadResult {
    this.#measuring = false
    this.#running = false
    const elapsedMs = performance.now() - this.#begunAt
    const { user, system } = process.cpuUsage(this.#cpu)
    const percentile = (share: number) => (this.#operations === 0 ? 0 : this.#latencies.percentile(share) / 1e6)
    return {
      operations: this.#operations,
      errors: this.#errors,
      firstError: this.#firstError,
      elapsedMs,
      p50Ms: percentile(50),
      p99Ms: percentile(99),
      p999Ms: percentile(99.9),
      cpuUs: user + system
    }
  }

  /** One of the operations in flight: the next begins when the last is answered. */
  async loop(): Promise<void> {
    const writes = this.#job.workload === 'put'
    while (this.#running) {
      const key = this.#keys[this.#random.below(this.#keys.length)]!
      const begun = performance.now()
      try {
        if (writes) await this.#db.put(key, this.#value)
        else if ((await this.#db.get(key)) === null) throw new Error(`the key ${key} is absent`)
      } catch (error) {
        if (!this.#measuring) continue
        this.#errors++
        this.#firstError ??= error instanceof Error ? error.message : String(error)
        continue
      }
      if (!this.#measuring) continue
      this.#operations++
      this.#latencies.record(Math.max(1, Math.round((performance.now() - begun) * 1e6)))
    }
  }
}

function after(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
