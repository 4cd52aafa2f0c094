// Paints the whole run in small: how much is said when, who leads, what breaks, and which part of it the stage shows.
import type { Pen } from './dom.ts'
import { gutter, margin, type Scene } from './layout.ts'
import type { View } from './scale.ts'

export const mapHeight = 46

export function mapX(whole: View, width: number, at: number): number {
  return gutter + ((at - whole.from) / (whole.to - whole.from)) * (width - gutter - margin)
}

export function mapTime(whole: View, width: number, x: number): number {
  return whole.from + ((x - gutter) / (width - gutter - margin)) * (whole.to - whole.from)
}

export function paintMap(pen: Pen, scene: Scene, whole: View): void {
  const { layout, colours, view, model } = scene
  const { width } = layout
  pen.clearRect(0, 0, width, mapHeight)
  paintDensity(pen, scene, whole)
  for (const { line } of layout.nodes) {
    for (const { from, to, alive, role } of line.stretches) {
      if (!alive || role === null || role === 'follower' || role === 'learner') continue
      const x = mapX(whole, width, from)
      pen.fillStyle = colours[role]
      pen.fillRect(x, role === 'leader' ? mapHeight - 6 : mapHeight - 10, Math.max(1, mapX(whole, width, to) - x), 4)
    }
    pen.fillStyle = colours['drop']
    for (const { at, begins } of line.lives) if (!begins) pen.fillRect(mapX(whole, width, at) - 1, mapHeight - 16, 2, 6)
  }
  pen.fillStyle = colours['drop']
  for (const { at } of model.violations) pen.fillRect(mapX(whole, width, at) - 1, 0, 3, mapHeight)
  const from = mapX(whole, width, view.from)
  const to = mapX(whole, width, view.to)
  pen.fillStyle = colours['ground']
  pen.globalAlpha = 0.6
  pen.fillRect(gutter, 0, from - gutter, mapHeight)
  pen.fillRect(to, 0, width - margin - to, mapHeight)
  pen.globalAlpha = 1
  pen.strokeStyle = colours['ink']
  pen.lineWidth = 1.5
  pen.strokeRect(from, 1, Math.max(3, to - from), mapHeight - 2)
  pen.font = '11px system-ui, sans-serif'
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  pen.fillStyle = colours['quiet']
  pen.fillText('the whole run', 10, mapHeight / 2)
}

/** Messages in each two pixels of time, those lost on top of the others. */
export function paintDensity(pen: Pen, scene: Scene, whole: View): void {
  const { model, filters, layout, colours } = scene
  const sent = new Map<number, { all: number; lost: number }>()
  let most = 1
  for (const { from, of } of model.messages.spans) {
    if (!filters.kinds[of.what]) continue
    const place = Math.floor(mapX(whole, layout.width, from) / 2)
    const counts = sent.get(place) ?? { all: 0, lost: 0 }
    counts.all++
    if (of.fate === 'dropped') counts.lost++
    most = Math.max(most, counts.all)
    sent.set(place, counts)
  }
  // A burst must not make everything else invisible, so the bars grow with the square root.
  const heightOf = (count: number): number => Math.sqrt(count / most) * (mapHeight - 18)
  for (const [place, { all, lost }] of sent) {
    pen.fillStyle = colours['append']
    pen.fillRect(place * 2, mapHeight - 12 - heightOf(all), 2, heightOf(all))
    pen.fillStyle = colours['drop']
    if (lost > 0) pen.fillRect(place * 2, mapHeight - 12 - heightOf(lost), 2, heightOf(lost))
  }
}
