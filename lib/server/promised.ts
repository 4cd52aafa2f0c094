// The bridge from callbacks inside the house to promises at its edge.
import type { Done } from '../base/env.ts'

/** The answer of a call that takes a `Done`. */
export function promised<T = void>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error === null ? resolve(result) : reject(error)))
  })
}
