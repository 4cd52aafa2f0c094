// Where everything stands on the canvas: time runs to the right; faults above, nodes in the middle, clients below.
import type { MessageKind, TracedCall, TracedFault, TracedMessage } from '../events.ts'
import type { Model, NodeLine, Spanned, Spans } from './model.ts'
import type { View } from './scale.ts'

/** What is shown. */
export interface Filters {
  readonly kinds: Record<MessageKind, boolean>
  readonly nodes: Record<string, boolean>
  indexes: boolean
  calls: boolean
  faults: boolean
}

export interface Layout {
  readonly width: number
  readonly height: number
  readonly rows: readonly { readonly spans: Spans<TracedFault>; readonly y: number }[]
  readonly nodes: readonly { readonly line: NodeLine; readonly y: number }[]
  /** Where the line of each node in view is. */
  readonly yOf: ReadonlyMap<string, number>
  /** Above and below the lines of the nodes. */
  readonly top: number
  readonly bottom: number
  readonly calls: readonly { readonly process: number; readonly spans: Spans<TracedCall>; readonly y: number }[]
}

/** All that painting depends on. */
export interface Scene {
  readonly model: Model
  readonly filters: Filters
  readonly layout: Layout
  readonly view: View
  readonly colours: Record<string, string>
  /** Indexes of the events that match the search; null where nothing is searched for. */
  readonly matches: ReadonlySet<number> | null
}

/** Pixels. The gutter at the left names the lanes. */
export const gutter = 138
export const margin = 14
export const axisHeight = 26
export const faultHeight = 17
export const callHeight = 15
export const nodeSpaceMin = 64
export const nodeSpaceMax = 210

export function layoutOf(model: Model, filters: Filters, width: number, heightLeast: number): Layout {
  const lines = model.nodes.filter(line => filters.nodes[line.name] === true)
  const faults = filters.faults ? model.faults : []
  const calls = filters.calls ? model.calls : []
  const top = axisHeight + faults.length * faultHeight + 6
  const below = calls.length * callHeight + 22
  const space = (heightLeast - top - below) / Math.max(1, lines.length)
  const nodeSpace = Math.min(nodeSpaceMax, Math.max(nodeSpaceMin, space))
  const nodes = lines.map((line, at) => ({ line, y: Math.round(top + (at + 0.55) * nodeSpace) }))
  const bottom = top + nodeSpace * lines.length
  return {
    width,
    height: Math.max(heightLeast, bottom + below),
    rows: faults.map((spans, at) => ({ spans, y: axisHeight + at * faultHeight })),
    nodes,
    yOf: new Map(nodes.map(({ line, y }) => [line.name, y])),
    top,
    bottom,
    calls: calls.map(({ process, spans }, at) => ({ process, spans, y: bottom + 10 + at * callHeight }))
  }
}

export function xOf({ view, layout }: Scene, at: number): number {
  return gutter + ((at - view.from) / (view.to - view.from)) * (layout.width - gutter - margin)
}

export function timeOf({ view, layout }: Scene, x: number): number {
  return view.from + ((x - gutter) / (layout.width - gutter - margin)) * (view.to - view.from)
}

export interface Segment {
  readonly x1: number
  readonly y1: number
  readonly x2: number
  readonly y2: number
}

/** The arrow of a message; null where it is not shown. What is not seen to arrive is a stub towards where it was sent. */
export function segmentOf(scene: Scene, { from, to, of }: Spanned<TracedMessage>): Segment | null {
  const { filters, layout } = scene
  if (!filters.kinds[of.what]) return null
  const source = layout.yOf.get(of.from)
  const target = layout.yOf.get(of.to)
  if (source === undefined || target === undefined) return null
  const down = target > source ? 1 : -1
  const x1 = xOf(scene, from)
  const x2 = xOf(scene, to)
  const y1 = source + 5 * down
  const y2 = target - 5 * down
  if (of.fate === 'delivered') return { x1, y1, x2, y2 }
  if (of.fate === 'dropped' && to > from) return { x1, y1, x2, y2: y2 - 9 * down }
  // Stubs of one broadcast differ in length, so that their crosses do not cover each other.
  const lanes = Math.abs(target - source) / Math.abs(layout.nodes[1]!.y - layout.nodes[0]!.y)
  return { x1, y1, x2: x1 + 3 + 2 * lanes, y2: y1 + (10 + 6 * lanes) * down }
}

/** How far a point is from the nearest one of a segment. */
export function distanceTo({ x1, y1, x2, y2 }: Segment, x: number, y: number): number {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2
  const share = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length))
  return Math.hypot(x - (x1 + share * (x2 - x1)), y - (y1 + share * (y2 - y1)))
}

/** The colour of a fault is that of what it strikes. */
export function faultFamily(what: string): 'process' | 'clock' | 'disk' | 'network' {
  if (['crash', 'crash-all', 'pause', 'stall', 'slow'].includes(what)) return 'process'
  if (what === 'clock') return 'clock'
  return /disk|writes|torn|rot|io-/.test(what) ? 'disk' : 'network'
}

/** The text of a message without who sends it to whom in which term, which its place on the canvas says. */
export function shortText(text: string): string {
  return text.replace(/^\S+ -> \S+ (@\d+ )?/, '')
}
