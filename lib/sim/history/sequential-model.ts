// What a history is compared with: a machine that does one operation at a time. States are values, never changed in place.

/** Names a part of the state that operations touch. */
export type Key = string | number

export interface Model<S, I, O> {
  init(): S
  /**
   * The state after `input` in `state`; undefined where it could not have been answered by `output` there. An `output` of
   * undefined is one that nobody knows: whatever it was, it fits. A function of its arguments.
   */
  step(state: S, input: I, output: O | undefined): S | undefined
  /** The same for two states exactly where no later step can tell them apart. */
  keyOf(state: S): string | number
  /** True only of an operation that changes no state whatsoever. */
  reads(input: I): boolean
  /**
   * What `input` touches. Operations that have nothing in common, not even through others, are judged apart from each
   * other. Left out: everything touches everything.
   */
  keysOf?(input: I): readonly Key[]
  /** The same for inputs only where they do the same to every state. Left out: each input is one of a kind. */
  kindOf?(input: I): string
  readonly traces?: Traces<S, I, O>
  /** Another model that judges the same of a part of the history with these inputs, with less effort; null: there is none. */
  simplerFor?(inputs: readonly I[]): Model<S, I, O> | null
}

/**
 * What can be told of operations without a search: by name, what each can leave behind to be found, and what it must have
 * found. A name that is found was left by an operation before, or was there from the beginning, and was not taken away
 * since. With unique values this settles nearly every operation whose outcome is not known.
 */
export interface Traces<S, I, O> {
  /** All that `input` may leave for others to find, which is all that it changes. */
  leaves(input: I): readonly string[]
  /** What `input` has certainly found, given `output`; without an output, what it must find in order to have an effect. */
  finds(input: I, output: O | undefined): readonly string[]
  /** What is there to be found in `state` and no more after `input`, if that has an effect. */
  hides(state: S, input: I): readonly string[]
  /** What is there to be found from the beginning, in the state of these keys. */
  initially(keys: readonly Key[]): readonly string[]
  /**
   * Where what is left is to be found: of each place there is one name at a time, and what is left there replaces what was.
   * Left out: there is one place.
   */
  placeOf?(name: string): string
  /** True of an operation that leads to the same state from every other. Only where there is one place. */
  replaces?(input: I): boolean
}
