// A counter as its clients understand it: each increment gives the number that it made.
import type { Model } from './sequential-model.ts'

export interface CounterInput {
  readonly f: 'increment' | 'get'
  readonly key: string
}

/** Histories of counters that begin at 0, each by itself. An increment that took effect twice, or was lost, has no place. */
export const counterModel: Model<number, CounterInput, number> = {
  init: () => 0,
  step: (state, { f }, output) => {
    const after = f === 'increment' ? state + 1 : state
    return output === undefined || output === after ? after : undefined
  },
  keyOf: state => state,
  reads: ({ f }) => f === 'get',
  keysOf: ({ key }) => [key],
  kindOf: ({ f, key }) => `${f} ${key}`
}
