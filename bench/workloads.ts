// What one operation of each workload does, and that it was answered as it must be.
import type { Random } from '../lib/base/random.ts'
import type { Client } from '../lib/client/client.ts'

/** `mixed`: nine linearizable gets to one put. `range100`, `range1000`: so many entries in order. */
export const workloadNames = ['put', 'get', 'mixed', 'range100', 'range1000'] as const
export type WorkloadName = (typeof workloadNames)[number]

export interface Store {
  /** How many keys there are. */
  readonly keys: number
  readonly valueBytes: number
}

/** One operation; rejects where it failed or was answered wrongly. */
export type Operation = (db: Client<Uint8Array>) => Promise<unknown>

export function operationOf(workload: WorkloadName, { keys, valueBytes }: Store, random: Random): Operation {
  const names = Array.from({ length: keys }, (_, at) => keyOf(at))
  const value = Uint8Array.from({ length: valueBytes }, () => random.below(256))
  const put: Operation = db => db.put(names[random.below(keys)]!, value)
  const get: Operation = async db => {
    const key = names[random.below(keys)]!
    if ((await db.get(key)) === null) throw new Error(`the key ${key} is absent`)
  }
  const range = (limit: number): Operation => {
    return async db => {
      const from = names[random.below(keys - limit + 1)]!
      let last = ''
      let found = 0
      for await (const { key } of db.range({ from, limit })) {
        if (key <= last) throw new Error(`the key ${key} comes after ${last}`)
        last = key
        found++
      }
      if (found !== limit) throw new Error(`a range of ${found} entries instead of ${limit}`)
    }
  }
  switch (workload) {
    case 'put':
      return put
    case 'get':
      return get
    case 'mixed':
      return db => (random.below(10) === 0 ? put(db) : get(db))
    case 'range100':
      return range(100)
    case 'range1000':
      return range(1_000)
  }
}

/** Every key once, so that no read finds an absent one. */
export async function fillStore(db: Client<Uint8Array>, { keys, valueBytes }: Store): Promise<void> {
  const value = new Uint8Array(valueBytes).fill(120)
  const batch = 500
  for (let first = 0; first < keys; first += batch) {
    const count = Math.min(batch, keys - first)
    await Promise.all(Array.from({ length: count }, (_, at) => db.put(keyOf(first + at), value)))
  }
}

function keyOf(number: number): string {
  return `bench/${String(number).padStart(8, '0')}`
}
