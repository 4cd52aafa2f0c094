// All open watches of a client: frames that tell several of them at once, and the turns in which they speak to their nodes.
import type { StrettoError } from '../base/errors.ts'
import { frameKind } from '../wire/client.ts'
import { readChange } from '../wire/kv/watches.ts'
import { readEvents, readProgress } from '../wire/watch.ts'
import type { Connection } from './connection.ts'
import type { Context } from './context.ts'
import type { Path } from './requests.ts'
import type { OpenWatch, WatchOwner } from './watch.ts'

export class Watches implements WatchOwner {
  readonly context: Context
  readonly #open = new Map<number, OpenWatch>()
  /** Those that have something to say to a node. */
  readonly #due = new Set<OpenWatch>()
  /** Why no more are begun. */
  #closed: StrettoError | null = null

  constructor(context: Context) {
    this.context = context
    context.requests.shared = (frame, from) => this.#shared(frame, from)
  }

  start(watch: OpenWatch): void {
    if (this.#closed !== null) return watch.fail(this.#closed)
    watch.number = this.context.requests.add(watch)
    this.#open.set(watch.number, watch)
    this.context.links.start()
    this.due(watch)
  }

  end(watch: OpenWatch): void {
    this.context.requests.remove(watch.number)
    this.#open.delete(watch.number)
    this.#due.delete(watch)
  }

  due(watch: OpenWatch): void {
    this.#due.add(watch)
    this.context.takeTurn()
  }

  turn(path: Connection | null, now: number): void {
    for (const watch of this.#due) if (watch.turn(path, now)) this.#due.delete(watch)
  }

  lost(connection: Connection): void {
    for (const watch of this.#open.values()) watch.lost(connection)
  }

  close(reason: StrettoError): void {
    this.#closed = reason
    for (const watch of this.#open.values()) watch.fail(reason)
  }

  /** A frame for several watches. @throws StrettoError BAD_REQUEST */
  #shared(frame: Uint8Array, from: Path): boolean {
    if (frame[4] === frameKind.progress) {
      const { revision, numbers } = readProgress(frame)
      for (const number of numbers) this.#open.get(number)?.progressed(revision, from)
      return true
    }
    if (frame[4] !== frameKind.events) return false
    const { revision, changes, receivers } = readEvents(frame)
    const read = changes.map(readChange)
    for (const { number, places } of receivers) {
      const mine = places === null ? read : places.map(place => read[place]!)
      this.#open.get(number)?.changed(revision, mine, from)
    }
    return true
  }
}
