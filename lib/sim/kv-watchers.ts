// Watchers of the built-in workload: each follows a range for as long as the run lasts, at its own pace, and is judged.
import { Client } from '../client/kv-client.ts'
import type { Watch } from '../client/watch.ts'
import type { WatchOptions } from '../client/watch-options.ts'
import { type Watched, WatchJudge } from './checks/watch-judge.ts'
import type { GhostStore } from './ghost/ghost-store.ts'
import { hold } from './ghost/violation.ts'
import { Caller, type Calls, callMsMax, type WorkloadParts } from './workload.ts'

export const watchersMax = 2
/** How often a watcher is told how far it is, and may go wrong: this long after all is well it has heard everything. */
const progressMs = 300
const levelMsMax = 10_000
/** Rounds between two watches of one watcher, and how long it may rest after a batch, milliseconds. */
const batchesMax = 60
const restMsMax = 300
const lateMsMax = 1_000

/** Bounds of what is watched: all keys, some, one. */
const ranges = [
  { from: '', to: null },
  { from: 'a', to: 'd' },
  { from: 'b', to: 'b\0' },
  { from: 'p', to: 'y' }
] as const

export class KvWatchers {
  readonly callers: readonly Caller[]
  readonly #parts: WorkloadParts
  readonly #calls: Calls
  readonly #ghost: GhostStore
  readonly #judges = new Map<Caller, WatchJudge>()
  /** The highest revision that was acknowledged to anybody. */
  readonly #acknowledged: () => number
  #hurry = false

  constructor(parts: WorkloadParts, calls: Calls, ghost: GhostStore, acknowledged: () => number, count: number) {
    this.#parts = parts
    this.#calls = calls
    this.#ghost = ghost
    this.#acknowledged = acknowledged
    this.callers = Array.from({ length: count }, (_, at) => new Caller(parts.cluster, 800 + at))
  }

  start(): void {
    for (const caller of this.callers) this.#calls.run(() => this.#live(caller))
  }

  /** They rest no more. */
  hurry(): void {
    this.#hurry = true
  }

  /** All have heard of everything up to this revision before long. */
  async level(caller: Caller, revision: number): Promise<void> {
    const { world } = this.#parts.cluster
    const begun = world.now
    for (;;) {
      const behind = [...this.#judges.values()].filter(judge => judge.revision < revision)
      if (behind.length === 0) return
      hold(world.now - begun < levelMsMax, 'IW3', () => `a watch has heard of nothing after ${behind[0]!.revision}`)
      await caller.sleep(100)
    }
  }

  async #live(caller: Caller): Promise<void> {
    const db = new Client<string>(caller.parts, caller.endpoints, { timeout: callMsMax })
    let position = 0
    for (;;) position = await this.#follow(caller, db, position)
  }

  /** One watch, from where the one before ended or from now on. Gives how far it came. */
  async #follow(caller: Caller, db: Client<string>, position: number): Promise<number> {
    const { random } = caller
    const range = ranges[random.below(ranges.length)]!
    const goesOn = position > 0 && random.below(2) === 0
    const initial = random.below(3) === 0
    const types = random.below(4) === 0 ? (['delete'] as const) : (['put', 'delete'] as const)
    const previous = random.below(2) === 0
    // Of the future, now and then.
    const after = goesOn ? position + (random.below(4) === 0 ? random.below(20) : 0) : this.#acknowledged()
    const watched: Watched = { ...range, types, previous, initial, after, exact: goesOn && !initial }
    const options: WatchOptions = { from: range.from, filter: types, previous, initial, progress: progressMs }
    const watch = db.watch({
      ...options,
      ...(range.to !== null && { to: range.to }),
      ...(goesOn && { fromRevision: after + 1 })
    })
    const { checks } = this.#parts.cluster
    const judge = new WatchJudge(this.#ghost, watched, `watcher ${caller.process}`, () => checks.compacted)
    this.#judges.set(caller, judge)
    await this.#take(caller, watch, judge)
    return judge.revision
  }

  async #take(caller: Caller, watch: Watch<string>, judge: WatchJudge): Promise<void> {
    const { random } = caller
    let left = 1 + random.below(batchesMax)
    for await (const batch of watch) {
      // A node may tell of a change a moment before the record that made it has been executed to its end.
      for (let ms = 0; this.#ghost.revision < batch.revision && ms < lateMsMax; ms++) await caller.sleep(1)
      judge.take(batch)
      if (!this.#hurry && random.below(8) === 0) await caller.sleep(1 + random.below(restMsMax))
      if (left-- <= 0 && !this.#hurry) return
    }
  }
}
