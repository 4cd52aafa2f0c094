// Paints the canvases: the diagram itself, what follows the pointer above it, and the whole run in small.

import { paintArrows } from './arrows.ts'
import { paintAxis, paintCalls, paintFaults, paintLeftOut, paintUpright, paintViolations, within } from './bands.ts'
import type { Pen } from './dom.ts'
import { axisHeight, callHeight, faultHeight, gutter, type Scene, segmentOf, xOf } from './layout.ts'
import { nodeAt } from './model.ts'
import { indexText, timeText } from './moments.ts'
import { paintNodes } from './nodes.ts'

export function paintStage(pen: Pen, scene: Scene): void {
  const { width, height, nodes, calls, rows } = scene.layout
  pen.clearRect(0, 0, width, height)
  paintAxis(pen, scene)
  within(pen, scene, () => {
    paintLeftOut(pen, scene)
    paintFaults(pen, scene)
  })
  paintArrows(pen, scene)
  within(pen, scene, () => {
    paintNodes(pen, scene)
    paintCalls(pen, scene)
    paintViolations(pen, scene)
  })
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  pen.font = '600 14px system-ui, sans-serif'
  pen.fillStyle = scene.colours['ink']
  for (const { line, y } of nodes) pen.fillText(line.name, 10, y - 14)
  pen.font = '11px system-ui, sans-serif'
  pen.fillStyle = scene.colours['quiet']
  for (const [at, { process, y }] of calls.entries()) {
    if (calls[at - 1]?.process !== process) pen.fillText(`client ${process}`, 10, y + callHeight / 2)
  }
  if (rows.length > 0) pen.fillText('faults', 10, axisHeight + faultHeight / 2)
}

/** What follows the pointer and what is pinned, over the stage. */
export interface Pointed {
  /** The time at the pointer; null where it is elsewhere. */
  readonly at: number | null
  readonly hovered: number
  readonly pinned: number
  readonly pinnedAt: number | null
}

export function paintOverlay(pen: Pen, scene: Scene, { at, hovered, pinned, pinnedAt }: Pointed): void {
  const { layout, colours, view } = scene
  pen.clearRect(0, 0, layout.width, layout.height)
  paintStates(pen, scene, at ?? pinnedAt ?? view.to)
  within(pen, scene, () => {
    if (at !== null) {
      pen.setLineDash([3, 3])
      paintUpright(pen, xOf(scene, at), layout.height, colours['quiet']!, 1)
      pen.setLineDash([])
    }
    if (pinned >= 0) paintHighlight(pen, scene, pinned, 1)
    if (hovered >= 0 && hovered !== pinned) paintHighlight(pen, scene, hovered, 0.7)
  })
  if (at === null) return
  // With something pinned, the pointer measures from there.
  const text =
    pinnedAt === null ? timeText(at) : `${timeText(at)} (${at < pinnedAt ? '' : '+'}${timeText(at - pinnedAt)})`
  pen.font = '600 11px system-ui, sans-serif'
  pen.textBaseline = 'middle'
  pen.textAlign = 'center'
  const half = pen.measureText(text).width / 2 + 6
  const x = Math.min(Math.max(xOf(scene, at), gutter + half), layout.width - half)
  pen.fillStyle = colours['ink']
  pen.fillRect(x - half, 2, 2 * half, axisHeight - 8)
  pen.fillStyle = colours['card']
  pen.fillText(text, x, axisHeight / 2 - 2)
}

/** In the gutter: what each node was at that time. */
export function paintStates(pen: Pen, scene: Scene, at: number): void {
  const { colours } = scene
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  for (const { line, y } of scene.layout.nodes) {
    const { stretch, commit, applied, held } = nodeAt(line, at)
    const { alive, role, term } = stretch
    pen.font = '11px system-ui, sans-serif'
    const quiet = role === null || role === 'follower' || role === 'learner'
    pen.fillStyle = alive ? colours[quiet ? 'quiet' : role] : colours['drop']
    const state = alive ? `${role ?? 'starting'}${role === null ? '' : ` t${term}`}${held ? ', held' : ''}` : 'down'
    pen.fillText(state, 10, y + 2)
    pen.fillStyle = colours['quiet']
    if (alive) pen.fillText(`commit ${indexText(commit)}`, 10, y + 16)
    if (alive && applied !== commit) pen.fillText(`applied ${indexText(applied)}`, 10, y + 29)
  }
}

export function paintHighlight(pen: Pen, scene: Scene, index: number, alpha: number): void {
  const { layout, colours, model } = scene
  const event = model.recording.events[index]!
  // A violation is a line across everything already.
  if (event.kind === 'violation') return
  const x = xOf(scene, event.at)
  const until =
    'until' in event && event.until !== null ? event.until : event.kind === 'message' ? event.at : model.recording.until
  pen.globalAlpha = alpha
  pen.strokeStyle = colours['ink']
  pen.fillStyle = colours['ink']
  pen.lineWidth = 2.5
  pen.beginPath()
  if (event.kind === 'message') {
    const segment = segmentOf(scene, { from: event.at, to: until, event: index, of: event })
    if (segment !== null) {
      pen.moveTo(segment.x1, segment.y1)
      pen.lineTo(segment.x2, segment.y2)
      pen.stroke()
      pen.beginPath()
      pen.arc(segment.x1, segment.y1, 3.5, 0, 2 * Math.PI)
      pen.fill()
      pen.beginPath()
      pen.arc(segment.x2, segment.y2, 3.5, 0, 2 * Math.PI)
    }
  } else if (event.kind === 'call' || event.kind === 'fault') {
    const lanes = event.kind === 'call' ? layout.calls : layout.rows
    const lane = lanes.find(({ spans }) => spans.spans.some(span => span.event === index))
    const height = event.kind === 'call' ? callHeight : faultHeight
    if (lane !== undefined) pen.rect(x, lane.y, Math.max(3, xOf(scene, until) - x), height - 1)
    const node = event.kind === 'call' && event.node !== null ? layout.yOf.get(event.node) : undefined
    if (lane !== undefined && node !== undefined) {
      pen.moveTo(x, lane.y)
      pen.lineTo(x, node)
    }
  } else if ('node' in event && event.node !== null && layout.yOf.has(event.node)) {
    pen.arc(x, layout.yOf.get(event.node)!, 10, 0, 2 * Math.PI)
  } else {
    pen.moveTo(x, axisHeight)
    pen.lineTo(x, layout.height)
  }
  pen.stroke()
  pen.globalAlpha = 1
}
