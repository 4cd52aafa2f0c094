// Looks for damage that nobody has met yet, for as long as a node lives: after its start, and then once a day.
//
// What is damaged here is whole elsewhere, as long as it is found in time. Damage of the log has it begin above that, since
// the state contains what was there; damage of the state has it thrown away and brought by a leader.
import type { Cancel, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import { type Damage, scrub } from '../log/scrub.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import type { Node } from '../node/node.ts'
import type { Index } from '../raft/types.ts'

export interface ScrubbingParts {
  readonly env: Env
  readonly node: Node
  /** With what opening it has believed unread. */
  readonly log: Log & { readonly unverified: Index }
  readonly machine: ReplicatedMachine
  readonly say: (line: string) => void
}

/** What cannot be mended yet is tried again, so often at most: until the state is flushed, or another node leads. */
const againMs = 2_000
const triesMax = 15

export class Scrubbing {
  readonly #parts: ScrubbingParts
  #stopLog: Cancel = () => {}
  #stopWaiting: Cancel = () => {}
  #stopped = false

  constructor(parts: ScrubbingParts) {
    this.#parts = parts
  }

  start(): void {
    const { log, node } = this.#parts
    this.#scrubLog(log.unverified, () => this.#wait(node.limits.scrubAfterMs, () => this.#round()))
  }

  stop(): void {
    this.#stopped = true
    this.#stopLog()
    this.#stopWaiting()
  }

  #wait(ms: number, then: () => void): void {
    if (!this.#stopped) this.#stopWaiting = this.#parts.env.after(ms, then)
  }

  #round(): void {
    const { log, node } = this.#parts
    this.#scrubState(() => {
      this.#scrubLog(log.tail.index, () => this.#wait(node.limits.scrubEveryMs, () => this.#round()))
    })
  }

  #scrubLog(upTo: Index, done: () => void): void {
    const { env, log, node } = this.#parts
    if (this.#stopped) return
    const report = (damage: Damage | null): void => {
      if (damage === null) return done()
      this.#found(`the log is damaged: ${damage.error.message}`)
      // Whoever holds the whole log can bring it to those that lag, where this node would have to send its state.
      if (node.raft.status.role === 'leader') node.transfer(null)
      this.#mendLog(damage, triesMax, mended => (mended ? this.#scrubLog(upTo, done) : done()))
    }
    this.#stopLog = scrub(log, upTo, env, report, bytes => {
      node.counters.scrubbedBytes += bytes
    })
  }

  #mendLog(damage: Damage, tries: number, done: (mended: boolean) => void): void {
    if (this.#parts.node.compaction.mend(damage.error, damage.last)) return done(true)
    if (tries === 0) return done(false)
    this.#wait(againMs, () => this.#mendLog(damage, tries - 1, done))
  }

  /** A snapshot is measured when it is taken: that reads every row. */
  #scrubState(done: () => void): void {
    const { node, machine } = this.#parts
    node.betweenFlushes(() => {
      if (this.#stopped) return
      machine.snapshot((error, source) => {
        if (this.#stopped) return source?.close()
        if (error instanceof StrettoError && error.code === 'CORRUPT') {
          this.#found(error.message)
          return this.#mendState(error, triesMax, done)
        }
        if (source !== null) node.counters.scrubbedBytes += source.size
        source?.close()
        done()
      })
    })
  }

  /** A leader hands over first. Without one it stays: were all to throw away a state with one bad row, none would be left. */
  #mendState(error: StrettoError, tries: number, done: () => void): void {
    const { node, log } = this.#parts
    const { role, leader, membership, self } = node.raft.status
    const alone = membership.voters.every(key => key === self)
    if (alone ? log.base.index === 0 : role !== 'leader' && leader !== null) return node.condemn(error)
    if (alone || tries === 0) return done()
    if (role === 'leader') node.transfer(null)
    this.#wait(againMs, () => this.#mendState(error, tries - 1, done))
  }

  #found(finding: string): void {
    this.#parts.node.counters.damagesFound++
    this.#parts.say(finding)
  }
}
