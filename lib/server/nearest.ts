// The known name that a mistyped one most likely stands for.

/** The name of `known` nearest to `text`, or null where none is near enough to be worth naming. */
export function nearestName(text: string, known: Iterable<string>): string | null {
  let best: string | null = null
  let least = Number.POSITIVE_INFINITY
  const plain = simplified(text)
  for (const name of known) {
    const distance = editDistance(plain, simplified(name))
    if (distance < least) {
      least = distance
      best = name
    }
  }
  return least <= Math.max(1, Math.floor(plain.length / 3)) ? best : null
}

/** `dataDir`, `data_dir` and `data-dir` are the same slip. */
function simplified(text: string): string {
  return text
    .slice(0, 64)
    .toLowerCase()
    .replaceAll(/[-_. ]/g, '')
}

/** Letters to insert, delete, replace or swap with their neighbour to make `b` of `a` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1
      let least = Math.min(last[column]! + 1, next[column - 1]! + 1, last[column - 1]! + cost)
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) least = Math.min(least, beforeLast[column - 2]! + 1)
      next.push(least)
    }
    beforeLast = last
    last = next
  }
  return last[b.length]!
}
