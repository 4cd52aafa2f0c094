// Paints the messages: an arrow from sending to delivery, a stub with a cross for what was lost.
import type { TracedMessage } from '../events.ts'
import type { Pen } from './dom.ts'
import { distanceTo, gutter, margin, type Scene, type Segment, segmentOf, shortText } from './layout.ts'
import { type Spanned, spansWithin } from './model.ts'

/** Up to so many messages in view have heads, and up to so many their text. */
export const headsMax = 1_500
export const textsMax = 70
/** One path of a canvas becomes slow with very many lines in it. */
export const linesPerPath = 400

interface Arrow {
  readonly segment: Segment
  readonly span: Spanned<TracedMessage>
}

export function arrowsWithin(scene: Scene): Arrow[] {
  const arrows: Arrow[] = []
  for (const span of spansWithin(scene.model.messages, scene.view.from, scene.view.to)) {
    const segment = segmentOf(scene, span)
    if (segment !== null) arrows.push({ segment, span })
  }
  return arrows
}

export function paintArrows(pen: Pen, scene: Scene): void {
  const { layout, matches, colours } = scene
  const arrows = arrowsWithin(scene)
  const groups = new Map<string, Segment[]>()
  const seen = new Set<string>()
  for (const { segment, span } of arrows) {
    const dim = matches !== null && !matches.has(span.event)
    const group = `${span.of.fate === 'dropped' ? 'drop' : span.of.what}${dim ? ' dim' : ''}`
    // From far away very many lines fall on the same pixels.
    const { x1, y1, x2, y2 } = segment
    const place = `${group} ${Math.round(x1)} ${Math.round(x2)} ${y1} ${y2}`
    if (arrows.length > headsMax && seen.has(place)) continue
    seen.add(place)
    const own = groups.get(group)
    if (own === undefined) groups.set(group, [segment])
    else own.push(segment)
  }
  pen.save()
  pen.beginPath()
  pen.rect(gutter, 0, layout.width - gutter - margin, layout.height)
  pen.clip()
  const dense = arrows.length > headsMax
  for (const name of [...groups.keys()].sort(byWeight)) {
    const dim = name.endsWith(' dim')
    const kind = dim ? name.slice(0, -4) : name
    pen.strokeStyle = colours[kind]
    pen.fillStyle = colours[kind]
    pen.lineWidth = kind === 'heartbeat' || dense ? 0.8 : 1.3
    pen.globalAlpha = dim ? 0.12 : dense ? 0.45 : kind === 'heartbeat' ? 0.75 : 0.9
    strokeSegments(pen, groups.get(name)!)
    if (kind === 'drop') strokeCrosses(pen, groups.get(name)!)
    else if (!dense) fillHeads(pen, groups.get(name)!)
  }
  pen.globalAlpha = 1
  if (arrows.length <= textsMax) paintTexts(pen, scene, arrows)
  pen.restore()
}

/** What is dim and what is usual is painted first, so that what is rare lies above it. */
export function byWeight(a: string, b: string): number {
  const weights = ['heartbeat', 'append', 'read', 'other', 'snapshot', 'vote', 'drop']
  const weightOf = (name: string): number => {
    const kind = name.replace(' dim', '')
    return weights.indexOf(kind) - (name === kind ? 0 : weights.length)
  }
  return weightOf(a) - weightOf(b)
}

export function strokeSegments(pen: Pen, segments: readonly Segment[]): void {
  for (let at = 0; at < segments.length; at += linesPerPath) {
    pen.beginPath()
    for (const { x1, y1, x2, y2 } of segments.slice(at, at + linesPerPath)) {
      pen.moveTo(x1, y1)
      pen.lineTo(x2, y2)
    }
    pen.stroke()
  }
}

export function fillHeads(pen: Pen, segments: readonly Segment[]): void {
  pen.beginPath()
  for (const { x1, y1, x2, y2 } of segments) {
    const length = Math.hypot(x2 - x1, y2 - y1)
    if (length < 8) continue
    const along = { x: (x2 - x1) / length, y: (y2 - y1) / length }
    const base = { x: x2 - 7 * along.x, y: y2 - 7 * along.y }
    pen.moveTo(x2, y2)
    pen.lineTo(base.x - 3 * along.y, base.y + 3 * along.x)
    pen.lineTo(base.x + 3 * along.y, base.y - 3 * along.x)
    pen.closePath()
  }
  pen.fill()
}

export function strokeCrosses(pen: Pen, segments: readonly Segment[]): void {
  pen.beginPath()
  for (const { x2, y2 } of segments) {
    pen.moveTo(x2 - 3, y2 - 3)
    pen.lineTo(x2 + 3, y2 + 3)
    pen.moveTo(x2 - 3, y2 + 3)
    pen.lineTo(x2 + 3, y2 - 3)
  }
  pen.stroke()
}

/** Texts of arrows that the search has found, where they do not lie upon each other. */
export function paintTexts(pen: Pen, scene: Scene, arrows: readonly Arrow[]): void {
  const written: Segment[] = []
  for (const arrow of arrows) {
    const { segment, span } = arrow
    const { x1, y1, x2, y2 } = segment
    if (span.of.fate === 'dropped' || (scene.matches !== null && !scene.matches.has(span.event))) continue
    if (written.some(other => distanceTo(other, (x1 + x2) / 2, (y1 + y2) / 2) < 13)) continue
    if (paintText(pen, scene, arrow)) written.push(segment)
  }
}

/** The text along the arrow, where the arrow is long enough for some of it; false where it is not. */
export function paintText(pen: Pen, scene: Scene, { segment, span }: Arrow): boolean {
  const { x1, y1, x2, y2 } = segment
  const room = Math.floor((Math.hypot(x2 - x1, y2 - y1) - 24) / 6.1)
  if (room < 6) return false
  const text = shortText(span.of.text)
  pen.save()
  pen.font = '10px ui-monospace, monospace'
  pen.translate((x1 + x2) / 2, (y1 + y2) / 2)
  pen.rotate(Math.atan2(y2 - y1, x2 - x1))
  pen.textAlign = 'center'
  pen.textBaseline = 'bottom'
  pen.fillStyle = scene.colours[span.of.what]
  pen.fillText(text.length <= room ? text : `${text.slice(0, room - 1)}…`, 0, -1)
  pen.restore()
  return true
}
