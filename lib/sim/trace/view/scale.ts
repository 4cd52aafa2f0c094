// Between time and pixels: the part of the run that is in view, how it moves, and where the ticks of its axis stand.

/** The part of the run in view, milliseconds. */
export interface View {
  readonly from: number
  readonly to: number
}

/** Milliseconds that the view shows at least. */
export const viewMsMin = 0.05

/** `view` brought back into the run, as wide as it was where that is possible. */
export function keepWithin(view: View, whole: View): View {
  const width = Math.min(Math.max(view.to - view.from, viewMsMin), whole.to - whole.from)
  const from = Math.min(Math.max(view.from, whole.from), whole.to - width)
  return { from, to: from + width }
}

/** `factor` below 1 shows less, and what is at `at` stays where it is. */
export function zoomed(view: View, factor: number, at: number, whole: View): View {
  const width = Math.min(Math.max((view.to - view.from) * factor, viewMsMin), whole.to - whole.from)
  const share = (at - view.from) / (view.to - view.from)
  const from = at - share * width
  return keepWithin({ from, to: from + width }, whole)
}

/** Moved by a share of its width. */
export function moved(view: View, share: number, whole: View): View {
  const ms = (view.to - view.from) * share
  return keepWithin({ from: view.from + ms, to: view.to + ms }, whole)
}

/** Moved so far that `at` is in view, in its middle if it was not. */
export function showing(view: View, at: number, whole: View): View {
  const width = view.to - view.from
  const inner = width * 0.05
  if (at >= view.from + inner && at <= view.to - inner) return view
  return keepWithin({ from: at - width / 2, to: at + width / 2 }, whole)
}

/** Round times in the view, about so many, and how many digits after the point they need. */
export function ticksOf(view: View, countMax: number): { readonly times: number[]; readonly digits: number } {
  const rough = (view.to - view.from) / Math.max(1, countMax)
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find(each => each * power >= rough) ?? 10)
  const times: number[] = []
  for (let count = Math.ceil(view.from / step); count * step <= view.to; count++) times.push(count * step)
  return { times, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) }
}
