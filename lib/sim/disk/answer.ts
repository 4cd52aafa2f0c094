// An answer that comes in virtual time: it calls back at that very moment, without a promise and its turns.

type End<T> = { readonly error: Error } | { readonly error: null; readonly result: T }

/** Given once. What a listener throws goes to whoever gives the answer: an assertion that fails ends the run. */
export class Answer<T> implements PromiseLike<T> {
  #end: End<T> | null = null
  #listeners: (() => void)[] = []

  give(result: T): void {
    this.#give({ error: null, result })
  }

  refuse(error: Error): void {
    this.#give({ error })
  }

  // oxlint-disable-next-line unicorn/no-thenable -- to be taken for a promise is what it is for
  then<A = T, B = never>(
    given?: ((result: T) => A | PromiseLike<A>) | null,
    refused?: ((error: Error) => B | PromiseLike<B>) | null
  ): Answer<A | B> {
    const next = new Answer<A | B>()
    const hear = (): void => {
      const end = this.#end!
      if (end.error !== null) {
        if (refused) next.#follow(refused(end.error))
        else next.refuse(end.error)
      } else if (given) next.#follow(given(end.result))
      else next.give(end.result as unknown as A)
    }
    if (this.#end === null) this.#listeners.push(hear)
    else hear()
    return next
  }

  #give(end: End<T>): void {
    if (this.#end !== null) return
    this.#end = end
    const listeners = this.#listeners
    this.#listeners = []
    for (const hear of listeners) hear()
  }

  #follow(value: T | PromiseLike<T>): void {
    if (isThenable(value)) {
      value.then(
        result => this.give(result),
        (error: Error) => this.refuse(error)
      )
    } else this.give(value)
  }
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value
}
