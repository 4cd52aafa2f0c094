// The watches of a client link: begun where nothing is missed, ended with the life of the node or where it has lost touch.
import type { Cancel, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Feed, FeedSink } from '../machine/feed.ts'
import type { StateMachine } from '../machine/machine.ts'
import type { Node } from '../node/node.ts'
import { readWatchFrame, type WatchFrame, writeEntries, writeEvents, writeProgress } from '../wire/watch.ts'

interface WatchedLife {
  readonly node: Node
  readonly machine: StateMachine
}

export interface WatchesParts {
  readonly env: Env
  /** Null between two lives, and before founding. */
  readonly life: () => WatchedLife | null
}

export interface WatchesLimits {
  readonly watchesMax: number
  /** Watches are told nothing while more than this is unsent on their link, in bytes. */
  readonly watchBytesMax: number
  /** A node that has not been in touch with a leader for so long ends its watches, so that they go on at another. */
  readonly outOfTouchMs: number
}

/** The link, as its watches see it. */
export interface WatchedLink {
  /** Bytes that the system has not taken yet. */
  unsent(): number
  send(frame: Uint8Array): void
  refuse(number: number, error: Error): void
}

interface Begun {
  credit: number
  /** Null while it waits for the point from which on it is to see everything. */
  feed: Feed | null
}

/** How often it is looked whether a full link has drained. */
const drainMs = 10
/** How often it is looked whether the node is in touch with a leader. */
const touchMs = 250

export class Watches {
  readonly #parts: WatchesParts
  readonly #limits: WatchesLimits
  readonly #link: WatchedLink
  readonly #sink: FeedSink
  readonly #begun = new Map<number, Begun>()
  #feed: { readonly machine: StateMachine; readonly feed: Feed } | null = null
  #draining: Cancel | null = null
  #looking: Cancel | null = null
  #closed = false

  constructor(parts: WatchesParts, limits: WatchesLimits, link: WatchedLink) {
    this.#parts = parts
    this.#limits = limits
    this.#link = link
    const isOpen = (): boolean => this.#isOpen()
    this.#sink = {
      get open() {
        return isOpen()
      },
      events: (revision, changes, receivers) => link.send(writeEvents(revision, changes, receivers)),
      entries: (number, page) => link.send(writeEntries({ number, ...page })),
      progress: (revision, numbers) => link.send(writeProgress({ revision, numbers })),
      ended: (number, error) => this.#refuse(number, error)
    }
  }

  /** @throws StrettoError BAD_REQUEST where it is no frame */
  begin(frame: Uint8Array): void {
    const watch = readWatchFrame(frame)
    const { number, credit } = watch
    if (this.#begun.has(number)) throw new StrettoError('BAD_REQUEST', 'two watches with one number')
    const life = this.#parts.life()
    if (life === null || this.#isOut(life)) return this.#link.refuse(number, outOfTouch())
    if (this.#begun.size >= this.#limits.watchesMax) {
      const text = `more than ${this.#limits.watchesMax} watches on one link`
      return this.#link.refuse(number, new StrettoError('OVERLOADED', text, { retryAfterMs: 1000 }))
    }
    const begun: Begun = { credit, feed: null }
    this.#begun.set(number, begun)
    this.#look()
    if (!watch.fresh) return this.#open(watch, begun, life)
    const terms = { point: 'linearizable', leastIndex: 0, patienceMs: 0, enough: null, bytes: frame.length } as const
    life.node.read(terms, error => {
      if (this.#closed || this.#begun.get(number) !== begun) return
      if (error === null) this.#open(watch, begun, life)
      else this.#refuse(number, error)
    })
  }

  /** False where it is none of these. */
  credit(number: number, bytes: number): boolean {
    const begun = this.#begun.get(number)
    if (begun === undefined) return false
    if (begun.feed === null) begun.credit += bytes
    else begun.feed.credit(number, bytes)
    return true
  }

  /** False where it is none of these. */
  end(number: number): boolean {
    this.#begun.get(number)?.feed?.end(number)
    return this.#begun.delete(number)
  }

  close(): void {
    this.#closed = true
    this.#draining?.()
    this.#looking?.()
    this.#feed?.feed.close()
    this.#begun.clear()
  }

  #open({ number, body }: WatchFrame, begun: Begun, { machine }: WatchedLife): void {
    try {
      if (machine.feed === undefined) throw new StrettoError('BAD_REQUEST', 'nothing of this machine can be watched')
      if (this.#feed?.machine !== machine) {
        this.#feed?.feed.close()
        this.#feed = { machine, feed: machine.feed(this.#sink) }
      }
      begun.feed = this.#feed.feed
      begun.feed.begin(number, body, begun.credit)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      this.#refuse(number, error)
    }
  }

  #refuse(number: number, error: Error): void {
    if (this.#begun.delete(number)) this.#link.refuse(number, error)
  }

  #isOpen(): boolean {
    if (this.#closed || this.#draining !== null) return false
    if (this.#link.unsent() <= this.#limits.watchBytesMax) return true
    this.#drain()
    return false
  }

  #drain(): void {
    this.#draining = this.#parts.env.after(drainMs, () => {
      this.#draining = null
      if (this.#link.unsent() > this.#limits.watchBytesMax / 2) this.#drain()
      else this.#feed?.feed.drained()
    })
  }

  #isOut({ node }: WatchedLife): boolean {
    return node.ageMs > this.#limits.outOfTouchMs
  }

  /** As long as there are watches: is the node in touch? */
  #look(): void {
    this.#looking ??= this.#parts.env.after(touchMs, () => {
      this.#looking = null
      const life = this.#parts.life()
      if (life !== null && this.#isOut(life)) {
        for (const [number, { feed }] of this.#begun) {
          feed?.end(number)
          this.#refuse(number, outOfTouch())
        }
      }
      if (this.#begun.size > 0) this.#look()
    })
  }
}

function outOfTouch(): StrettoError {
  return new StrettoError('UNAVAILABLE', 'this node is not in touch with a leader: watch at another', {
    retryAfterMs: 100
  })
}
