// The key-value store as its clients understand it: registers that are read, written, and written under a condition.
import type { Key, Model } from './sequential-model.ts'

/** Null: the key is absent. Numbers are equal to numbers only, text to text only. */
export type Value = string | number | boolean | null

export type RegisterInput =
  | { readonly f: 'get'; readonly key: Key }
  | { readonly f: 'put'; readonly key: Key; readonly value: Value }
  | { readonly f: 'delete'; readonly key: Key }
  /** Puts `value` if the key holds `expected`. Answered `ok` it did; if it did not it is a `fail`. */
  | { readonly f: 'cas'; readonly key: Key; readonly expected: Value; readonly value: Value }

/** What a get has found; null of what changes something. */
export type RegisterOutput = Value

/** Histories of single keys, each key by itself. */
export const registerModel: Model<Value, RegisterInput, RegisterOutput> = {
  init: () => null,
  step: (state, input, output) => {
    switch (input.f) {
      case 'get':
        return output === undefined || output === state ? state : undefined
      case 'put':
        return input.value
      case 'delete':
        return null
      case 'cas':
        if (input.expected === state) return input.value
        return output === undefined ? state : undefined
    }
  },
  keyOf: state => (typeof state === 'number' ? state : nameOf(state)),
  reads: ({ f }) => f === 'get',
  keysOf: ({ key }) => [key],
  kindOf: input => {
    if (input.f === 'cas') return JSON.stringify([input.expected, input.value])
    return input.f === 'get' ? '' : nameOf(leftBy(input))
  },
  traces: {
    leaves: input => (input.f === 'get' ? [] : [nameOf(leftBy(input))]),
    finds: (input, output) => {
      if (input.f === 'cas') return [nameOf(input.expected)]
      return input.f === 'get' && output !== undefined ? [nameOf(output)] : []
    },
    hides: (state, input) => (input.f === 'get' || leftBy(input) === state ? [] : [nameOf(state)]),
    initially: () => [nameOf(null)],
    replaces: ({ f }) => f === 'put' || f === 'delete'
  }
}

/** What a write leaves in its key. */
export function leftBy(input: Exclude<RegisterInput, { readonly f: 'get' }>): Value {
  return input.f === 'delete' ? null : input.value
}

/** Different for different values. */
export function nameOf(value: Value): string {
  return typeof value === 'string' ? `'${value}` : String(value)
}
