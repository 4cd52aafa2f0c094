// The search for an order of operations that a machine could have gone through one by one (Wing and Gong, Lowe).
import { Explored } from './explored.ts'
import type { Item } from './item.ts'
import { Needs } from './needs.ts'
import type { Model, Traces } from './sequential-model.ts'
import type { Sources } from './sources.ts'
import { Steps } from './steps.ts'
import { UnknownKinds } from './unknown-kinds.ts'
import { Unplaced } from './unplaced.ts'

/**
 * A configuration that is being searched: what is placed, and the state that this has led to. What can come next:
 *
 * - An operation that changes nothing is placed as soon as it fits, and this is not taken back for another try: wherever it
 *   stands in an order, it could stand here as well, and nothing else would notice.
 * - A certain operation, if none that has to be placed was answered before it was called.
 * - An unknown one, of each kind the earliest called, where it changes the state. Nobody has to place it, so it has to be
 *   needed at once: what follows is not something that would have led to the same state without it, nor a certain operation
 *   that could as well have come before it. The order without it, or with it later, is searched anyway.
 *
 * Nothing is placed that takes away what another has yet to find and nobody can bring back. Where there is but one thing to
 * be found, what nobody has noticed is placed along with whatever replaces it, and by itself only when it has to be.
 */
interface Configuration<S> {
  readonly state: S
  /** Certain operations by number; unknown ones by kind, as `~kind`. */
  readonly choices: readonly number[]
  next: number
  /** What was placed on the way here, in order. */
  readonly placed: readonly number[]
  /** The kind of unknown operation that was used on the way here, or -1. */
  readonly kind: number
}

/** An unknown operation just placed, as long as nothing has needed it. */
interface Idle<S, I, O> {
  readonly before: S
  readonly item: Item<I, O>
}

/** So many possible states say enough. */
const statesMax = 8

export class OrderSearch<S, I, O> {
  readonly #traces: Traces<S, I, O> | undefined
  readonly #steps: Steps<S, I, O>
  /** The certain operations, in the order of their calls. */
  readonly #items: readonly Item<I, O>[]
  readonly #unknown: UnknownKinds<S, I, O>
  readonly #sources: Sources<I, O> | null
  readonly #needs: Needs<S, I, O> | null
  readonly #reads: readonly boolean[]
  readonly #unnoticed: readonly boolean[]
  /** Which of several to try first, by number. */
  readonly #ranks: Int32Array
  readonly #unplaced: Unplaced
  readonly #explored = new Explored()
  readonly #stack: Configuration<S>[] = []
  /** States in which everything is placed. */
  readonly #ends = new Set<S>()
  #furthest: Item<I, O> | null = null

  constructor(items: readonly Item<I, O>[], model: Model<S, I, O>, sources: Sources<I, O> | null) {
    const { traces } = model
    const unknown = items.filter(item => !item.certain)
    this.#traces = traces
    this.#steps = new Steps(model)
    this.#items = items.filter(item => item.certain).toSorted((a, b) => a.invoked - b.invoked)
    this.#unknown = new UnknownKinds(unknown, model)
    this.#sources = sources
    this.#needs = traces === undefined || sources === null ? null : new Needs(this.#items, unknown, sources, traces)
    this.#reads = this.#items.map(({ input }) => model.reads(input))
    this.#unnoticed = this.#items.map(({ input, noticed }) => !noticed && this.#replaces(input))
    this.#ranks = ranksOf(this.#items)
    this.#unplaced = new Unplaced(this.#items.length)
  }

  get configurations(): number {
    return this.#explored.count
  }

  /** The operation that held the search up where it came furthest. */
  get furthest(): Item<I, O> | null {
    return this.#furthest
  }

  /** Whether there is an order; null where that is not known after so many configurations. */
  run(configurationsMax: number): boolean | null {
    const isWhole = this.#search(configurationsMax, 1)
    return this.#ends.size > 0 || (isWhole ? false : null)
  }

  /** Some of the states to which the orders lead. */
  states(configurationsMax: number): readonly S[] {
    this.#search(configurationsMax, statesMax)
    return [...this.#ends]
  }

  /** False where there is more to be searched. */
  #search(configurationsMax: number, statesMax: number): boolean {
    this.#enter(this.#steps.init(), [], -1, null)
    while (this.#ends.size < statesMax && this.#explored.count < configurationsMax) {
      const configuration = this.#stack.at(-1)
      if (configuration === undefined) return true
      const choice = configuration.choices[configuration.next++]
      if (choice === undefined) {
        this.#stack.pop()
        this.#turnBack(configuration.placed, configuration.kind)
      } else if (choice >= 0) this.#place(configuration.state, choice)
      else this.#use(configuration.state, ~choice)
    }
    return false
  }

  #place(state: S, number: number): void {
    const { input } = this.#items[number]!
    const next = this.#steps.after(state, this.#items[number]!)
    if (next === undefined) return
    const placed = this.#replaces(input) ? this.#takeUnnoticed(number) : []
    this.#take(number, placed)
    if (this.#isLost(state, next, input)) this.#turnBack(placed, -1)
    else this.#enter(next, placed, -1, null)
  }

  #use(state: S, kind: number): void {
    const item = this.#unknown.next(kind)
    const { input } = item
    const next = this.#steps.after(state, item)
    if (next === undefined) return
    const isIdle = state !== next
    const placed = this.#replaces(input) ? this.#takeUnnoticed(-1) : []
    // What does not change the state may still have been needed, to replace what nobody has noticed.
    if (!isIdle && placed.length === 0) return
    this.#unknown.used[kind]!++
    this.#needs?.placed(item)
    if (this.#isLost(state, next, input)) this.#turnBack(placed, kind)
    else this.#enter(next, placed, kind, isIdle ? { before: state, item } : null)
  }

  /** Goes on in `state`: places what only looks, and finds what can come next. Turns back where that is nothing new. */
  #enter(state: S, placed: number[], kind: number, idle: Idle<S, I, O> | null): void {
    const unplaced = this.#unplaced
    const placedBefore = placed.length
    const ready: number[] = []
    let stuck = -1
    let firstEnd = Number.POSITIVE_INFINITY
    let number = unplaced.first
    for (; number < unplaced.end; number = unplaced.after(number)) {
      const item = this.#items[number]!
      if (item.invoked > firstEnd) break
      if (this.#reads[number] === true && this.#steps.after(state, item) !== undefined) {
        this.#take(number, placed)
        continue
      }
      ready.push(number)
      if (item.ended >= firstEnd) continue
      firstEnd = item.ended
      stuck = number
    }
    if (stuck < 0) {
      this.#ends.add(state)
      this.#turnBack(placed, kind)
      return
    }
    if (firstEnd > (this.#furthest?.ended ?? -1)) this.#furthest = this.#items[stuck]!
    const all = this.#choices(ready, stuck, firstEnd)
    const choices = idle === null || placed.length > placedBefore ? all : this.#choicesThatNeed(idle, state, all)
    // Every operation that is placed was called before the one at which the loop above has ended.
    if (
      choices.length > 0 &&
      this.#explored.add(unplaced.key(number) + this.#steps.codeOf(state), this.#unknown.used)
    ) {
      this.#stack.push({ state, choices, next: 0, placed, kind })
    } else this.#turnBack(placed, kind)
  }

  #choices(ready: readonly number[], stuck: number, firstEnd: number): number[] {
    const choices = ready
      .filter(number => this.#reads[number] === false && (this.#unnoticed[number] === false || number === stuck))
      .sort((a, b) => this.#ranks[a]! - this.#ranks[b]!)
    if (this.#unknown.size === 0) return choices
    for (const kind of this.#kindsToTry(ready, firstEnd)) {
      if (this.#needs?.isNeeded(this.#unknown.next(kind).input) !== false) choices.push(~kind)
    }
    return choices
  }

  /** Where there is one thing to be found at a time, what comes after an unknown operation has to find just that. */
  #kindsToTry(ready: readonly number[], firstEnd: number): readonly number[] {
    const sources = this.#sources
    if (sources === null || this.#traces?.replaces === undefined) return this.#unknown.ready(firstEnd)
    const names = ready.flatMap(number => sources.foundBy(this.#items[number]!).map(({ name }) => name))
    return this.#unknown.readyToLeave(names, firstEnd)
  }

  /** After an unknown operation that nothing has needed yet: only what would not be the same without it, or before it. */
  #choicesThatNeed(idle: Idle<S, I, O>, state: S, choices: readonly number[]): number[] {
    return choices.filter(choice => {
      const item = choice >= 0 ? this.#items[choice]! : this.#unknown.next(~choice)
      const after = this.#steps.after(state, item)
      if (after === undefined) return false
      const without = this.#steps.after(idle.before, item)
      if (without === undefined || choice < 0) return without !== after
      return without !== after && this.#steps.after(without, idle.item) !== after
    })
  }

  #replaces(input: I): boolean {
    return this.#traces?.replaces?.(input) === true
  }

  #isLost(state: S, next: S, input: I): boolean {
    return state !== next && this.#needs?.isLost(state, input) === true
  }

  /** Takes what nobody has noticed and can come next, as what is placed after it replaces it. All but `number`. */
  #takeUnnoticed(number: number): number[] {
    const placed: number[] = []
    const unplaced = this.#unplaced
    let firstEnd = Number.POSITIVE_INFINITY
    for (let at = unplaced.first; at < unplaced.end; at = unplaced.after(at)) {
      const { invoked, ended } = this.#items[at]!
      if (invoked > firstEnd) break
      if (this.#unnoticed[at] === true && at !== number) this.#take(at, placed)
      else firstEnd = Math.min(firstEnd, ended)
    }
    return placed
  }

  #take(number: number, placed: number[]): void {
    this.#unplaced.take(number)
    this.#needs?.placed(this.#items[number]!)
    placed.push(number)
  }

  #turnBack(placed: readonly number[], kind: number): void {
    for (let at = placed.length - 1; at >= 0; at--) {
      this.#unplaced.putBack(placed[at]!)
      this.#needs?.putBack(this.#items[placed[at]!]!)
    }
    if (kind < 0) return
    this.#unknown.used[kind]!--
    this.#needs?.putBack(this.#unknown.next(kind))
  }
}

/** The places of the items where they are sorted by hint, then by the time until which they have to be placed. */
function ranksOf<I, O>(items: readonly Item<I, O>[]): Int32Array {
  const order = items.map((_, number) => number)
  order.sort((a, b) => {
    const left = items[a]!
    const right = items[b]!
    return left.hint === right.hint ? left.ended - right.ended : left.hint - right.hint
  })
  const ranks = new Int32Array(items.length)
  order.forEach((number, rank) => {
    ranks[number] = rank
  })
  return ranks
}
