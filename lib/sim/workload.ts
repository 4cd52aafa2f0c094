// Clients with a purpose: what a run has them do, and how it asks whether they were served as promised.
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { ClientParts } from '../client/session-client.ts'
import { MemoryNet } from '../transport/memory-net.ts'
import type { SimCluster } from './cluster.ts'
import { Violation } from './ghost/violation.ts'
import { Life } from './world/world.ts'

/** Told of each call, for a trace. Gives what is told when it ends. */
export type CallListener = (process: number, text: string) => (outcome: 'ok' | 'fail' | 'info', answer: string) => void

export interface WorkloadParts {
  readonly cluster: SimCluster
  /** Processes that call at the same time. */
  readonly clients: number
  readonly listener: CallListener | null
}

export interface Workload {
  /** Hosts that the network may cut off. */
  readonly hosts: readonly string[]
  /** Calls that have ended, whatever came of them. */
  readonly operations: number
  /** Calls that have not. */
  readonly pending: number
  /** Nobody may write for long, so that whoever leads has nothing to commit. Left out: somebody always writes. */
  readonly mayRest?: boolean
  start(): void
  /** No further call is made. */
  stop(): void
  /** A client that was not there before looks at everything; the cluster is whole again. */
  look(): Promise<void>
  /** @throws Violation */
  judge(): void
}

export const callMsMax = 2_000
/** A wheel of 50 ms, and a turn of the loop. */
const lateMsMax = 150

/** One process that calls: its life, its clock and its way to the nodes. */
export class Caller {
  readonly process: number
  readonly host: string
  readonly life: Life
  readonly env: Env
  readonly random: Random
  readonly #cluster: SimCluster

  constructor(cluster: SimCluster, process: number) {
    this.process = process
    this.host = `c${process}`
    this.life = new Life(this.host, true)
    this.random = cluster.world.random(`client ${process}`)
    this.env = cluster.world.env(this.life, cluster.world.random(`client env ${process}`))
    this.#cluster = cluster
  }

  get parts(): ClientParts {
    return { env: this.env, net: new MemoryNet(this.#cluster.fabric, this.env, this.host) }
  }

  get endpoints(): string[] {
    const { endpoints } = this.#cluster
    const first = this.random.below(endpoints.length)
    return [...endpoints.slice(first), ...endpoints.slice(0, first)]
  }

  sleep(ms: number): Promise<void> {
    return new Promise(resolve => {
      this.#cluster.world.after(ms, this.life, resolve)
    })
  }
}

/** Counts calls, and holds each to its deadline: everybody is answered. */
export class Calls {
  operations = 0
  pending = 0
  readonly #cluster: SimCluster
  readonly #listener: CallListener | null

  constructor({ cluster, listener }: WorkloadParts) {
    this.#cluster = cluster
    this.#listener = listener
  }

  /** Rejects with a StrettoError only; anything else ends the run. */
  async make<T>(process: number, text: string, call: () => Promise<T>): Promise<T> {
    const { world } = this.#cluster
    const begun = world.now
    const ended = this.#listener?.(process, text)
    this.pending++
    try {
      const result = await call()
      ended?.('ok', result === undefined ? '' : JSON.stringify(result))
      return result
    } catch (error) {
      if (error instanceof StrettoError) ended?.(error.fate === 'unknown' ? 'info' : 'fail', error.code)
      throw error
    } finally {
      this.pending--
      this.operations++
      const late = world.now - begun - callMsMax
      if (late > lateMsMax)
        this.#cluster.fail(new Violation('IL5', `${text} was answered ${late} ms after its deadline`))
    }
  }

  /** Runs one process; what it throws, other than the refusal of a call, ends the run. */
  run(process: () => Promise<void>): void {
    process().catch((error: Error) => this.#cluster.fail(error))
  }
}
