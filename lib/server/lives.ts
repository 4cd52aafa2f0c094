// The lives of a node in one process: one after the other, each from its opening to its end, and what follows it.
import type { Logger } from 'pino'
import { AssertionError } from '../base/assert.ts'
import type { Env } from '../base/env.ts'
import { lacksSpace } from '../base/full-disk.ts'
import type { Waiting } from '../transport/founding.ts'
import type { Life } from './life.ts'

/** What an opening life tells of itself. */
export interface LifeHooks {
  readonly founding: (waiting: readonly Waiting[]) => void
  /** It has to wait for somebody, perhaps for long. */
  readonly waits: () => void
  readonly failed: (error: Error) => void
  readonly renewed: () => void
}

export interface LivesParts {
  readonly env: Pick<Env, 'now'>
  readonly log: Logger
  /** Aborted when no further life is to begin. */
  readonly halt: AbortSignal
  readonly open: (hooks: LifeHooks) => Promise<Life>
  /** A life is open, and in use from now on. */
  readonly opened: (life: Life) => void
  /** For whom the founding waits, a line each; empty once it is over. */
  readonly founding: (reasons: readonly string[]) => void
  /** Comes when the disk has room again. */
  readonly roomAgain: () => Promise<void>
  /** No further life follows. */
  readonly ended: (error: Error) => void
}

/** Lives that ended by a fault: so many within this time, and the node gives up. */
const livesMax = 3
const livesWithinMs = 60_000

export class Lives {
  /** Null between two lives, before founding and after the end. */
  current: Life | null = null
  readonly #parts: LivesParts
  #faultTimes: number[] = []
  /** Comes when no life is being opened or closed any more. */
  #between: Promise<void> = Promise.resolve()

  constructor(parts: LivesParts) {
    this.#parts = parts
  }

  /** Opens a life. Comes back early when that has to wait for others; what happens then is told by `ended`. */
  begin(): Promise<void> {
    const { halt, open, ended } = this.#parts
    return new Promise((resolve, reject) => {
      let waits = false
      const early = (): void => {
        waits = true
        resolve()
      }
      const life = open({
        founding: waiting => {
          this.#parts.founding(waiting.map(({ id, reason }) => `waiting for ${id}: ${reason}`))
          if (waiting.length > 0) early()
        },
        waits: early,
        failed: error => void this.#failed(error),
        renewed: () => void this.#renewed()
      })
      this.#between = life.then(
        async opened => {
          if (halt.aborted) await opened.close()
          else this.#live(opened)
          resolve()
        },
        (error: Error) => {
          if (lacksSpace(error)) {
            resolve()
            void this.#failed(error)
          } else if (!waits) reject(error)
          else if (!halt.aborted) ended(error)
        }
      )
    })
  }

  /** Closes the present life, and whatever is being opened; `halt` has been aborted. */
  async close(): Promise<void> {
    const life = this.current
    this.current = null
    await life?.close()
    await this.#between
  }

  #live(life: Life): void {
    this.current = life
    const { clusterId, incarnation, boot } = life.memory.memory
    const { applied } = life.node
    const facts = { event: 'open', clusterId, incarnation, boot, applied }
    this.#parts.log.info(facts, `member of cluster ${clusterId}, start ${boot}`)
    this.#parts.opened(life)
  }

  /**
   * A life has ended by a fault, or could not begin. A bug of ours ends the node; a fault of the disk begins another life,
   * a few times; after a full disk that begins when there is room, however often.
   */
  async #failed(error: Error): Promise<void> {
    const { log, env, halt, roomAgain, ended } = this.#parts
    log.error({ event: 'fault', err: error }, error.message)
    await this.#end()
    if (halt.aborted) return
    if (lacksSpace(error)) {
      await roomAgain()
      await this.#beginAgain()
      return
    }
    const now = env.now()
    this.#faultTimes = [...this.#faultTimes.filter(at => now - at < livesWithinMs), now]
    if (error instanceof AssertionError || this.#faultTimes.length >= livesMax) ended(error)
    else await this.#beginAgain()
  }

  /** A life has ended because a snapshot stands in the place of its state: the next one begins with that. */
  async #renewed(): Promise<void> {
    this.#parts.log.info({ event: 'snapshot' }, 'took up a snapshot of the leader')
    await this.#end()
    await this.#beginAgain()
  }

  async #end(): Promise<void> {
    const closing = this.current?.close()
    this.current = null
    if (closing !== undefined) this.#between = closing
    await closing
  }

  async #beginAgain(): Promise<void> {
    const { halt, ended } = this.#parts
    if (halt.aborted) return
    await this.begin().catch((fault: Error) => {
      if (!halt.aborted) ended(fault)
    })
  }
}
