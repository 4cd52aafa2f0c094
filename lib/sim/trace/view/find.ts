// What lies under the pointer, and what a person is told about it.
import type { TraceEvent } from '../events.ts'
import { arrowsWithin } from './arrows.ts'
import { callHeight, distanceTo, faultHeight, gutter, type Scene, timeOf, xOf } from './layout.ts'
import { type Model, nodeAt, spansWithin } from './model.ts'
import { faultText, indexText, roleText, timeText } from './moments.ts'
import { marksWithin } from './nodes.ts'

/** The index of the event at this point of the canvas; -1 where there is none. What is small is found before what is large. */
export function eventAt(scene: Scene, x: number, y: number): number {
  if (x < gutter) return -1
  const { layout, model, filters } = scene
  const near = layout.nodes.find(node => Math.abs(node.y - y) < 15)
  if (near !== undefined) {
    const life = near.line.lives.find(({ at }) => Math.abs(xOf(scene, at) - x) < 7 && Math.abs(near.y - y) < 8)
    if (life !== undefined) return life.event
    const note = model.notes.find(({ at, node }) => node === near.line.name && Math.abs(xOf(scene, at) - x) < 6)
    if (note !== undefined && y < near.y) return note.event
    if (filters.indexes && y > near.y + 3) {
      const marks = [...marksWithin(near.line.commits, scene), ...marksWithin(near.line.applies, scene)]
      const mark = marks.find(({ at, index, event }) => index > 0 && event >= 0 && Math.abs(xOf(scene, at) - x) < 4)
      if (mark !== undefined) return mark.event
    }
  }
  const arrow = arrowAt(scene, x, y)
  if (arrow >= 0) return arrow
  const violation = model.violations.find(({ at }) => Math.abs(xOf(scene, at) - x) < 5)
  if (violation !== undefined) return violation.event
  const time = timeOf(scene, x)
  if (near !== undefined && Math.abs(near.y - y) < 8) {
    const hold = near.line.holds.find(({ from, to }) => from <= time && time <= to)
    return hold?.event ?? nodeAt(near.line, time).stretch.event
  }
  return boxAt(scene, x, y)
}

export function arrowAt(scene: Scene, x: number, y: number): number {
  let best = 6
  let found = -1
  for (const { segment, span } of arrowsWithin(scene)) {
    const distance = distanceTo(segment, x, y)
    if (distance >= best) continue
    best = distance
    found = span.event
  }
  return found
}

export function boxAt(scene: Scene, x: number, y: number): number {
  const { layout, model } = scene
  // As much time as two pixels are, so that what is short is found as well.
  const from = timeOf(scene, x - 2)
  const to = timeOf(scene, x + 2)
  const call = layout.calls.find(lane => y >= lane.y && y < lane.y + callHeight)
  if (call !== undefined) return spansWithin(call.spans, from, to)[0]?.event ?? -1
  const row = layout.rows.find(each => y >= each.y && y < each.y + faultHeight)
  if (row !== undefined) return spansWithin(row.spans, from, to)[0]?.event ?? -1
  return model.notes.find(({ at, node }) => node === null && at >= from && at <= to)?.event ?? -1
}

/** The head of what is told about an event, and what else is known of it by name. */
export interface Detail {
  readonly head: string
  readonly rows: readonly (readonly [name: string, value: string])[]
}

export function detailOf(model: Model, event: TraceEvent): Detail {
  const at = ['at', `${timeText(event.at)} ms`] as const
  switch (event.kind) {
    case 'message': {
      const { text, until, fate, why, from, to, copy, what } = event
      const took = until === null ? '' : ` after ${timeText(until - event.at)} ms`
      const arrived = fate === 'delivered' ? `delivered${took}` : 'not seen to arrive'
      const end = fate === 'dropped' ? `dropped (${why})${took}` : arrived
      const rows = [
        ['sent', `${timeText(event.at)} ms`],
        ['fate', copy ? `${end}; a copy made by the network` : end],
        ['kind', what],
        [`${from} at sending`, stateText(model, from, event.at)],
        [`${to} at ${until === null ? 'sending' : 'the end'}`, stateText(model, to, until ?? event.at)]
      ] as const
      return { head: text, rows }
    }
    case 'call': {
      const { process, text, node, outcome, answer, until } = event
      const end = until === null ? 'open at the end' : `${outcome} after ${timeText(until - event.at)} ms`
      const rows = [at, ['outcome', end], ['told', answer], ['asked', node ?? 'any node']] as const
      return { head: `client ${process}: ${text}`, rows: rows.filter(([, value]) => value !== '') }
    }
    case 'fault': {
      const until = event.until === null ? 'the end of the run' : `${timeText(event.until)} ms`
      return { head: faultText(event), rows: [at, ['until', until], ['strikes', event.nodes.join(', ') || 'all']] }
    }
    case 'role':
      return { head: `${event.node} becomes ${roleText(event.role, event.term, event.leader)}`, rows: [at] }
    case 'commit':
    case 'applied': {
      const verb = event.kind === 'commit' ? 'commits' : 'has applied'
      return {
        head: `${event.node} ${verb} up to ${event.index}`,
        rows: [at, ['it is', stateText(model, event.node, event.at)]]
      }
    }
    case 'life': {
      const until = event.until === null ? [] : [['until', `${timeText(event.until)} ms`] as const]
      return { head: `${event.node} ${event.change} ${event.text}`.trim(), rows: [at, ...until] }
    }
    case 'violation':
      return { head: `${event.invariant}: ${event.text}`, rows: [at] }
    default:
      return { head: event.text, rows: event.node === null ? [at] : [at, ['node', event.node]] }
  }
}

/** What a node was at a time, in a line. */
export function stateText(model: Model, name: string, at: number): string {
  const line = model.nodes.find(node => node.name === name)
  if (line === undefined) return 'unknown'
  const { stretch, commit, applied, held } = nodeAt(line, at)
  if (!stretch.alive) return 'down'
  const role = roleText(stretch.role, stretch.term, stretch.leader)
  return `${role}, commit ${indexText(commit)}, applied ${indexText(applied)}${held ? ', held up' : ''}`
}
