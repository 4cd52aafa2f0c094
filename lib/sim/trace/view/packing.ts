// A recording as it lies in the page: the names of the fields once for each shape of event, not with every event.
import type { Recording, TraceEvent } from '../events.ts'

export interface Packed extends Omit<Recording, 'events'> {
  /** The names of the fields of each shape. */
  readonly shapes: readonly (readonly string[])[]
  /** Number of its shape, then the values of its fields. */
  readonly rows: readonly (readonly unknown[])[]
}

export function packRecording({ events, ...rest }: Recording): Packed {
  const shapes: string[][] = []
  const numbers = new Map<string, number>()
  const rows = events.map(event => {
    const names = Object.keys(event)
    const whole = names.join()
    let number = numbers.get(whole)
    if (number === undefined) {
      number = shapes.push(names) - 1
      numbers.set(whole, number)
    }
    return [number, ...Object.values(event).map(rounded)]
  })
  return { ...rest, shapes, rows }
}

/** Times to the microsecond: more digits say nothing to a person, and the order has numbers of its own. */
export function rounded(value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value
}

export function unpackRecording({ shapes, rows, ...rest }: Packed): Recording {
  const events = rows.map(row => {
    const names = shapes[row[0] as number]!
    return Object.fromEntries(names.map((name, at) => [name, row[at + 1]])) as unknown as TraceEvent
  })
  return { ...rest, events }
}
